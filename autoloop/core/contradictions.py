"""What fits no program although each field alone is right: fields that contradict each other."""

import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import PurePosixPath

from autoloop.core.globs import matches
from autoloop.core.program import Knob, Program, Scope

_RESERVED = ("cases", "cost_usd")


def contradictions(program: Program) -> Iterator[str]:
    """One sentence for each contradiction: the field, what was found, what is allowed."""
    criteria, scope = program.criteria, program.scope
    metric = criteria.metric_field
    if metric in _RESERVED:
        yield f'metric_field is "{metric}", which means something else in the output; allowed: another name'
    if metric in criteria.secondary_metrics:
        yield f"secondary_metrics.{metric} is the metric_field itself; allowed: other metrics"
    yield from _scope(scope)
    yield from _paths(program)
    for index, knob in enumerate(program.tuning.knobs):
        yield from (f"knobs[{index}].{problem}" for problem in _knob(knob, scope))
    names = [knob.name for knob in program.tuning.knobs]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f'knobs: the name "{name}" stands twice; allowed: one knob a name'


def _scope(scope: Scope) -> Iterator[str]:
    for field, patterns in (("editable", scope.editable), ("protected", scope.protected)):
        for pattern in patterns:
            if problem := _outside(pattern):
                yield f'{field} has "{pattern}", {problem}; allowed: globs from the repository\'s root'
    if all(matches(pattern, scope.protected) for pattern in scope.editable):
        yield "editable lies wholly in protected, so nothing could be changed; allowed: a path outside it"


def _paths(program: Program) -> Iterator[str]:
    """The fields that name real paths: inside the repository, apart from each other and from the program."""
    scope = program.scope
    by_field = {"cache_paths": scope.cache_paths, "share_paths": scope.share_paths, "sparse": scope.sparse}
    named = [(field, path) for field, paths in by_field.items() for path in paths]
    for field, path in named:
        if problem := _outside(path) or ("which is a glob" if re.search(r"[*?]", path) else ""):
            yield f'{field} has "{path}", {problem}; allowed: paths from the repository\'s root'
    own = [(field, path) for field, path in named if field != "sparse"]
    for (field, path), (_, other) in combinations([*own, ("", program.directory)], 2):
        if _overlap(path, other):
            yield f'{field} has "{path}", which overlaps "{other}"; allowed: paths apart from each other'


def _outside(path: str) -> str:
    """What is wrong with a path that should lie inside the repository; empty when nothing is."""
    parts = PurePosixPath(path).parts
    if path.startswith(("/", "~")):
        return "which is not relative"
    if ".." in parts:
        return "which leads out of the repository"
    if ".git" in parts:
        return "which is git's own"
    return "" if parts else "which is the whole repository"


def _overlap(left: str, right: str) -> bool:
    first, second = PurePosixPath(left), PurePosixPath(right)
    return first.is_relative_to(second) or second.is_relative_to(first)


def _knob(knob: Knob, scope: Scope) -> Iterator[str]:
    if not scope.is_editable(knob.file):
        yield f'file is "{knob.file}", which a candidate may not change; allowed: files in editable'
    try:
        groups = re.compile(knob.pattern).groups
    except re.error as error:
        yield f"pattern is no regular expression: {error}"
    else:
        if groups == 0:
            yield "pattern has no group; allowed: a regular expression with the value in parentheses"
