"""Open tasks: which part of what is expected of a workspace holds. No link is followed, in or out of it."""

import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from autoloop import process
from autoloop.core.globs import matches
from autoloop.core.suite.task import Expectation
from autoloop.workspaces import matching


def holding(tree: Path, expectations: Sequence[Expectation], seconds: float) -> list[bool]:
    """Whether each holds; past the deadline none does."""
    until = time.monotonic() + seconds
    files = list(_files(tree))
    return [_holds(tree, files, expectation, until) for expectation in expectations]


def _holds(tree: Path, files: list[str], expectation: Expectation, until: float) -> bool:
    found = [tree / file for file in files if _covers(expectation.path, file)]
    if expectation.contains:
        wanted = expectation.contains.encode()
        found = [file for file in found if wanted in _bytes(file)]
    if expectation.matches and found:
        return _matches(expectation.matches, found, until)
    return bool(found)


def _covers(pattern: str, file: str) -> bool:
    """A pattern speaks of files: unlike a scope, it does not cover all that is below a directory of its name."""
    pattern = pattern.removeprefix("./")
    return matches(file, [pattern]) and (pattern.count("/") == file.count("/") or "**" in pattern)


def _matches(pattern: str, files: list[Path], until: float) -> bool:
    re.compile(pattern)  # what is wrong with it is the suite's fault, and no agent's
    left = until - time.monotonic()
    words = [sys.executable, "-I", "-S", matching.__file__, pattern, *map(str, files)]
    return left > 0 and process.run(words, cwd=files[0].parent, env={}, deadline=left).exit_code == 0


def _files(tree: Path) -> list[str]:
    found = []
    for folder, _, names in os.walk(tree):
        paths = (Path(folder) / name for name in names)
        found += [str(path.relative_to(tree)) for path in paths if path.is_file() and not path.is_symlink()]
    return sorted(found)


def _bytes(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(matching.LARGEST)
    except PermissionError:
        return b""
