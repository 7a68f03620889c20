"""What the journal records of a captured tree: the candidate, where it left its scope, and how much code it removes.

Code is counted in lines in scope, without tests, comments and blank lines.
"""

from collections.abc import Collection, Iterable

from autoloop.core.gaming.patches import FileKind, FilePatch, is_code_line, kind_of, read_patch
from autoloop.core.gaming.signs import signs
from autoloop.core.run.candidate import Candidate, Capture
from autoloop.core.run.events import Captured
from autoloop.core.run.program import Program, Scope


def inspect(
    found: Capture,
    program: Program,
    seal_violations: Iterable[str],
    *,
    cases: Collection[str],
    experiment: int,
    at: float,
) -> Captured:
    """The event of a capture: protected paths are lock violations, other paths outside `editable` are breaches.

    `cases` are the names of the measured cases, which no candidate should know.
    """
    candidate, scope = found.candidate, program.scope
    paths = [change.path for change in candidate.changes] if candidate else []
    tampered = [path for path in paths if scope.is_protected(path)]
    outside = [path for path in paths if not scope.is_protected(path) and not scope.is_editable(path)]
    return Captured(
        at=at,
        experiment=experiment,
        candidate=candidate,
        tampered=(*tampered, *seal_violations),
        breaches=(*outside, *found.breaches),
        ignored=found.ignored,
        code_removed=code_removed(candidate, found.patch, scope) if candidate else 0,
        flags=signs(candidate, found.patch, metric=program.criteria.metric_field, cases=cases) if candidate else (),
    )


def code_removed(candidate: Candidate, patch: str, scope: Scope) -> int:
    """Lines of code removed minus added; negative when code was added.

    Read from the patch. Where that does not show a file (clipped), its line counts stand in.
    """
    return sum(
        _weight(shown)
        for shown in read_patch(patch, candidate)
        if is_code(shown.path) and scope.is_editable(shown.path)
    )


def is_code(path: str) -> bool:
    """Whether the path looks like code that is not a test."""
    return kind_of(path) is FileKind.CODE


def _weight(shown: FilePatch) -> int:
    if not shown.is_whole:
        return (shown.change.removed or 0) - (shown.change.added or 0)
    return sum(map(is_code_line, shown.removed)) - sum(map(is_code_line, shown.added))
