"""The program of a run: its criteria, scope, rules of measuring and limits.

The field names are those of `config.toml`; each note is also what a wrong value's message says. `contradictions` finds
fields that contradict each other although each alone is right.
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from itertools import combinations
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import Field, model_validator

from autoloop.core.globs import matches
from autoloop.core.model import Frozen

Fraction = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Milliseconds = Annotated[int, Field(ge=0)]
Name = Annotated[str, Field(min_length=1)]


class Direction(StrEnum):
    """Which way the metric should move."""

    LOWER = "lower"
    HIGHER = "higher"


class Rule(StrEnum):
    """How a measured candidate is judged."""

    PAIRED = "paired"
    MEDIAN = "median"


class Gate(Frozen):
    """A secondary metric's hard bound."""

    min: float | None = None
    max: float | None = None
    max_regression: Annotated[float, Field(ge=0)] | None = None
    """Largest relative loss against the run's first measurement, as a fraction."""
    direction: Direction | None = None
    """Which way is better, for `max_regression`; without it: higher when only `min` is given, else lower."""

    @model_validator(mode="after")
    def _bounds(self) -> "Gate":
        if self.min is None and self.max is None and self.max_regression is None:
            raise ValueError("needs one of min, max, max_regression")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self

    @property
    def better(self) -> Direction:
        """The direction that `max_regression` is judged in."""
        only_min = self.min is not None and self.max is None
        return self.direction or (Direction.HIGHER if only_min else Direction.LOWER)


class SecondaryMetric(Frozen):
    """A metric that is shown and never decides."""

    direction: Direction


class Criteria(Frozen):
    """The criteria of a decision: the metric, the rule, the gates."""

    metric_field: Name = Field(description="the name of the primary metric in the measurement's output")
    direction: Direction = Field(description='"lower" or "higher"')
    noise_threshold: Fraction | None = Field(
        None, description="a fraction from 0 to below 1, such as 0.02 for 2 %; without it, from calibration"
    )
    rule: Rule = Field(Rule.PAIRED, description='"paired" or "median"')
    repeats: Count = Field(3, description="a whole number from 1: samples per measurement under `median`")
    alpha: float = Field(0.02, gt=0, lt=0.5, description="a number above 0 and below 0.5")
    max_pairs: Count = Field(16, description="a whole number from 1")
    calibration_pairs: int = Field(10, ge=3, description="a whole number from 3")
    baseline: Literal["fresh", "reuse"] = Field("fresh", description='"fresh" or "reuse"')
    quality_gates: dict[str, Gate] = Field({}, description="a table {field: {min, max, max_regression}}")
    secondary_metrics: dict[str, SecondaryMetric] = Field({}, description="a table {field: {direction}}")
    keep_simplifications: bool = Field(True, description="true or false")
    strict: bool = Field(False, description="true or false")
    min_sample_ms: Positive | None = Field(None, description="a number above 0, in milliseconds")

    @property
    def fields(self) -> tuple[str, ...]:
        """Every field that a measurement must print."""
        return (self.metric_field, *self.quality_gates, *self.secondary_metrics)


class Scope(Frozen):
    """Which files a candidate may touch and which directories the trees share or keep."""

    editable: tuple[Name, ...] = Field(("**",), min_length=1, description="a list of globs")
    protected: tuple[Name, ...] = Field((), description="a list of globs")
    cache_paths: tuple[Name, ...] = Field((), description="a list of directories")
    share_paths: tuple[Name, ...] = Field((), description="a list of paths")
    sparse: tuple[Name, ...] = Field((), description="a list of directories")
    max_candidate_mb: Positive = Field(100.0, description="a number above 0, in megabytes")

    def is_protected(self, path: str) -> bool:
        """Whether a change of this path is a lock violation."""
        return matches(path, self.protected)

    def is_editable(self, path: str) -> bool:
        """Whether a candidate may change this path."""
        return matches(path, self.editable) and not self.is_protected(path)


class Measuring(Frozen):
    """The rules by which samples are taken."""

    measurement_timeout: Milliseconds = Field(60_000, description="milliseconds, 0 for none")
    build_timeout: Milliseconds = Field(600_000, description="milliseconds, 0 for none")
    measure_network: Literal["off", "loopback", "on"] = Field("off", description='"off", "loopback" or "on"')
    measure_env: tuple[Name, ...] = Field((), description="a list of environment variables")
    measure_tracing: bool = Field(False, description="true or false")
    devices: tuple[Name, ...] = Field((), description="a list of device nodes")
    sockets: tuple[Name, ...] = Field((), description="a list of socket paths")
    read_paths: tuple[Name, ...] = Field((), description="a list of paths")
    holdout_paths: tuple[Name, ...] = Field((), description="a list of paths")
    canary: bool = Field(True, description="true or false")
    warmup: int = Field(1, ge=0, description="a whole number from 0: samples thrown away after each build")


class Limits(Frozen):
    """When a run stops, and what one session may use."""

    max_experiments: Count = Field(50, description="a whole number from 1")
    max_consecutive_discards: Count = Field(10, description="a whole number from 1")
    max_hours: Positive | None = Field(None, description="a number above 0")
    max_cost_usd: Positive | None = Field(None, description="a number above 0")
    max_tokens: Count | None = Field(None, description="a whole number from 1")
    target: float | None = Field(None, description="a number")
    max_turns: Count = Field(50, description="a whole number from 1")
    agent_timeout: Milliseconds = Field(1_800_000, description="milliseconds, 0 for none")
    agent_idle_timeout: Milliseconds = Field(600_000, description="milliseconds, 0 for none")
    on_quota: Literal["wait", "fallback", "stop"] = Field("wait", description='"wait", "fallback" or "stop"')
    min_free_gb: Annotated[float, Field(ge=0)] = Field(1.0, description="a number from 0")
    max_load: Positive | None = Field(None, description="a number above 0")


class Knob(Frozen):
    """One value that the tuner may set: the text that `pattern`'s first group matches in `file`."""

    name: Name
    file: Name
    pattern: Name
    type: Literal["int", "float", "choice"]
    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[str | int | float | bool, ...] = ()

    @model_validator(mode="after")
    def _range(self) -> "Knob":
        if self.type == "choice":
            if len(self.choices) < 2:
                raise ValueError(f"knob {self.name!r} needs at least two choices")
        elif self.low is None or self.high is None or self.low >= self.high:
            raise ValueError(f"knob {self.name!r} needs low below high")
        elif self.log and self.low <= 0:
            raise ValueError(f"knob {self.name!r} has a log scale, so low must be above 0")
        return self


class Tuning(Frozen):
    """The knobs declared for the tuner."""

    knobs: tuple[Knob, ...] = Field(
        (), description="a list of tables {name, file, pattern, type, low, high, log, choices}"
    )


class Program(Frozen):
    """A reusable target, as it was when the run began."""

    slug: str
    directory: str
    """Where it was read: relative to the repository's root when inside it, else absolute."""
    text: str
    """`program.md`: the goal and rules in the user's words."""
    scripts: tuple[str, ...]
    """Names of the scripts that it has: `measure.sh`, and any optional ones."""
    criteria: Criteria
    scope: Scope = Scope()
    measuring: Measuring = Measuring()
    limits: Limits = Limits()
    tuning: Tuning = Tuning()

    def has(self, script: str) -> bool:
        """Whether the program ships this optional script."""
        return script in self.scripts


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
