"""How much code a candidate removes: lines of code in scope, without tests, comments and blank lines."""

import re
from pathlib import PurePosixPath

from autoloop.core.candidate import Candidate, Change
from autoloop.core.program import Scope

_TEXT = (".md", ".rst", ".txt", ".csv", ".tsv", ".po", ".svg", ".png", ".jpg", ".ipynb", ".snap")
_SETTINGS = (".json", ".jsonl", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".xml", ".lock", ".sum")
_PAPERS = ("license", "licence", "copying", "notice", "authors", "readme", "changelog", "codeowners")
_TEST_PARTS = frozenset(("test", "tests", "__tests__", "testing", "spec", "specs", "fixtures", "benchmarks"))
_TEST_NAME = re.compile(r"(test_.*|.*_(test|spec)\.\w+|.*\.(test|spec)\.\w+|conftest\.py|.*[a-z]Tests?\.\w+)")
_COMMENT = re.compile(r"#(?!\s*(include|define|if|el|endif|pragma)\b)|//|/\*|\*|--\s|;;|<!--")


def code_removed(candidate: Candidate, patch: str, scope: Scope) -> int:
    """Lines of code removed minus added; negative when code was added.

    Read from the patch. Where that does not show a file (clipped), its line counts stand in.
    """
    counted = _counts(patch, candidate)
    return sum(
        counted.get(change.path, (change.removed or 0) - (change.added or 0))
        for change in candidate.changes
        if is_code(change.path) and scope.is_editable(change.path)
    )


def is_code(path: str) -> bool:
    """Whether the path looks like code that is not a test."""
    pure = PurePosixPath(path)
    tests = _TEST_PARTS.intersection(part.lower() for part in pure.parts[:-1]) or _TEST_NAME.fullmatch(pure.name)
    plain = pure.suffix.lower() in _TEXT + _SETTINGS or (not pure.suffix and pure.name.lower() in _PAPERS)
    return not tests and not plain


def _counts(patch: str, candidate: Candidate) -> dict[str, int]:
    """Removed minus added lines of code for each file whose lines the patch shows all."""
    headers = {f"diff --git a/{change.path} b/{change.path}": change for change in candidate.changes}
    lines: dict[str, list[str]] = {}
    shown: list[str] = []
    in_hunk = False
    for line in patch.split("\n"):
        if line.startswith("diff --git "):
            shown, in_hunk = [], False
            if line in headers:
                lines[headers[line].path] = shown
        elif line.startswith("@@"):
            in_hunk = True
        elif in_hunk and line.startswith(("+", "-")):
            shown.append(line)
    whole = (change for change in candidate.changes if _shows_all(lines.get(change.path, []), change))
    return {change.path: sum(map(_weight, lines.get(change.path, []))) for change in whole}


def _shows_all(lines: list[str], change: Change) -> bool:
    added = sum(line.startswith("+") for line in lines)
    return added == change.added and len(lines) - added == change.removed


def _weight(line: str) -> int:
    if not _is_code_line(line[1:]):
        return 0
    return 1 if line.startswith("-") else -1


def _is_code_line(line: str) -> bool:
    stripped = line.strip()
    return bool(stripped) and not _COMMENT.match(stripped)
