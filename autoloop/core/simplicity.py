"""How much code a candidate removes: lines of code in scope, without tests, comments and blank lines."""

from autoloop.core.candidate import Candidate
from autoloop.core.patches import FilePatch, Kind, is_code_line, kind_of, read_patch
from autoloop.core.program import Scope


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
    return kind_of(path) is Kind.CODE


def _weight(shown: FilePatch) -> int:
    if not shown.is_whole:
        return (shown.change.removed or 0) - (shown.change.added or 0)
    return sum(map(is_code_line, shown.removed)) - sum(map(is_code_line, shown.added))
