"""A candidate's diff read file by file: what kind of file each is, and which lines come and go."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from autoloop.core.run.candidate import Candidate, Change

_TEXT = (".md", ".rst", ".txt", ".csv", ".tsv", ".po", ".svg", ".png", ".jpg", ".ipynb", ".snap", ".patch", ".diff")
_SETTINGS = (".json", ".jsonl", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".xml", ".lock", ".sum")
_PAPERS = ("license", "licence", "copying", "notice", "authors", "readme", "changelog", "codeowners")
_TEST_PARTS = frozenset(("test", "tests", "__tests__", "testing", "spec", "specs", "fixtures"))
_TEST_NAME = re.compile(r"(test_.*|.*_(test|spec)\.\w+|.*\.(test|spec)\.\w+|conftest\.py|.*[a-z]Tests?\.\w+)")
_COMMENT = re.compile(r"#(?!\s*(include|define|if|el|endif|pragma)\b|\[)|//|/\*|\*(?=[\s*/]|$)|--\s|;;|<!--")

_QUOTED = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"})


class FileKind(StrEnum):
    """The kind of a file (code, test, text ...), as its path tells it."""

    CODE = "code"
    TEST = "test"
    BENCHMARK = "benchmark"
    SETTINGS = "settings"
    TEXT = "text"


def kind_of(path: str) -> FileKind:
    """The kind of a file, by its path alone."""
    pure = PurePosixPath(path)
    above = {part.lower() for part in pure.parts[:-1]}
    if _TEST_PARTS & above or _TEST_NAME.fullmatch(pure.name):
        return FileKind.TEST
    if pure.suffix.lower() in _TEXT or (not pure.suffix and pure.name.lower() in _PAPERS):
        return FileKind.TEXT
    if pure.suffix.lower() in _SETTINGS:
        return FileKind.SETTINGS
    return FileKind.BENCHMARK if "benchmarks" in above else FileKind.CODE


def is_code_line(line: str) -> bool:
    """Whether a line is neither blank nor a comment."""
    stripped = line.strip()
    return bool(stripped) and not _COMMENT.match(stripped)


@dataclass(frozen=True)
class FilePatch:
    """The part of a diff that changes one file."""

    change: Change
    added: tuple[str, ...]
    removed: tuple[str, ...]

    @property
    def path(self) -> str:
        """The path of the changed file, from the repository's root."""
        return self.change.path

    @property
    def is_whole(self) -> bool:
        """Whether every line that changed is shown: not where the diff was cut, nor of a binary file."""
        return (len(self.added), len(self.removed)) == (self.change.added, self.change.removed)


def read_patch(patch: str, candidate: Candidate) -> list[FilePatch]:
    """Every change of the candidate, with what the diff shows of it."""
    headers = {header: change.path for change in candidate.changes for header in _headers(change.path)}
    shown: dict[str, list[str]] = {change.path: [] for change in candidate.changes}
    lines: list[str] = []
    in_hunk = False
    for line in patch.split("\n"):
        if line.startswith("diff --git "):
            in_hunk, lines = False, shown[headers[line]] if line in headers else []
        elif line.startswith("@@"):
            in_hunk = True
        elif in_hunk and line.startswith(("+", "-")):
            lines.append(line)
    return [FilePatch(change, *_sides(shown[change.path])) for change in candidate.changes]


def without_moves(patches: Iterable[FilePatch]) -> list[FilePatch]:
    """Code lines alone, without those that were moved or indented: removed in one place and added in another."""
    coded = [
        FilePatch(patch.change, tuple(filter(is_code_line, patch.added)), tuple(filter(is_code_line, patch.removed)))
        for patch in patches
    ]
    added = Counter(_plain(line) for patch in coded for line in patch.added)
    removed = Counter(_plain(line) for patch in coded for line in patch.removed)
    moved = added & removed
    come, gone = Counter(moved), Counter(moved)
    return [FilePatch(one.change, _less(one.added, come), _less(one.removed, gone)) for one in coded]


def _headers(path: str) -> tuple[str, str]:
    """How git begins a file's part of a diff: names with quotes, backslashes or control characters are quoted."""
    quoted = path.translate(_QUOTED)
    return f"diff --git a/{path} b/{path}", f'diff --git "a/{quoted}" "b/{quoted}"'


def _sides(lines: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    added = tuple(line[1:] for line in lines if line[0] == "+")
    return added, tuple(line[1:] for line in lines if line[0] == "-")


def _plain(line: str) -> str:
    return " ".join(line.split())


def _less(lines: tuple[str, ...], taken: "Counter[str]") -> tuple[str, ...]:
    """The lines without those that are counted, which are counted down."""
    left = []
    for line in lines:
        if taken[_plain(line)] > 0:
            taken[_plain(line)] -= 1
        else:
            left.append(line)
    return tuple(left)
