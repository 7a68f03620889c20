"""What the journal says of a captured tree: the candidate, and where it went too far."""

from collections.abc import Collection, Iterable

from autoloop.core.candidate import Capture
from autoloop.core.events import Captured
from autoloop.core.gaming import signs
from autoloop.core.program import Program
from autoloop.core.simplicity import code_removed


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
