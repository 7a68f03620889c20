"""What the journal says of a captured tree: the candidate, and where it went too far."""

from collections.abc import Iterable

from autoloop.core.candidate import Capture
from autoloop.core.events import Captured
from autoloop.core.program import Scope
from autoloop.core.simplicity import code_removed


def inspect(found: Capture, scope: Scope, seal_violations: Iterable[str], *, experiment: int, at: float) -> Captured:
    """The event of a capture: protected paths are lock violations, other paths outside `editable` are breaches."""
    candidate = found.candidate
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
    )
