"""How much code a candidate removes: lines of code in scope, without tests, comments and blank lines."""

import re
from pathlib import PurePosixPath

from autoloop.core.candidate import Candidate
from autoloop.core.program import Scope

_NOT_CODE = frozenset(
    [".md", ".rst", ".txt", ".json", ".jsonl", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".lock", ".csv", ".tsv", ".svg", ".png", ".jpg", ".xml", ".po"]
)
_TEST_PARTS = frozenset(("test", "tests", "__tests__", "testing", "spec", "specs", "fixtures", "benchmarks"))
_TEST_NAME = re.compile(r"(test_.*|.*_test\.\w+|.*\.(test|spec)\.\w+|conftest\.py)")
_COMMENT = re.compile(r"#(?!\s*(include|define|if|el|endif|pragma)\b)|//|/\*|\*|--\s|;;|<!--")


def code_removed(candidate: Candidate, patch: str, scope: Scope) -> int:
    """Lines of code removed minus added; negative when code was added.

    Read from the patch. Where that does not show a file (clipped), its line counts stand in.
    """
    counted = _counts(patch)
    total = 0
    for change in candidate.changes:
        if is_code(change.path) and scope.is_editable(change.path):
            total += counted.get(change.path, (change.removed or 0) - (change.added or 0))
    return total


def is_code(path: str) -> bool:
    """Whether the path looks like code that is not a test."""
    pure = PurePosixPath(path)
    tests = _TEST_PARTS.intersection(part.lower() for part in pure.parts[:-1]) or _TEST_NAME.fullmatch(
        pure.name
    )
    return not tests and pure.suffix.lower() not in _NOT_CODE


def _counts(patch: str) -> dict[str, int]:
    """Removed minus added lines of code for each file that the patch shows whole."""
    counts: dict[str, int] = {}
    path = ""
    for line in patch.splitlines():
        if line.startswith("diff --git "):
            path = line.rpartition(" b/")[2]
            counts[path] = 0
        elif path and line[:1] in "+-" and not line.startswith(("+++ ", "--- ")) and _is_code_line(line[1:]):
            counts[path] += 1 if line[0] == "-" else -1
    if "characters left out" in patch and path:
        counts.pop(path)
    return counts


def _is_code_line(line: str) -> bool:
    stripped = line.strip()
    return bool(stripped) and not _COMMENT.match(stripped)
