"""What a suite consists of on the disk: paths that stay inside it, files that can be read, digests of content."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from autoloop.config.fields import quoted
from autoloop.errors import AutoloopError

PASSED_OVER = frozenset({"__pycache__", ".git", ".pytest_cache", ".DS_Store"})
"""Names of what tools leave behind: no part of a task, and no reason for another digest."""


def inside(root: Path, base: Path, path: str, source: str) -> Path:
    """A path that a suite's file names, from `base`; it must be there, and lie in the suite."""
    found = base / path
    if Path(path).is_absolute() or not found.resolve().is_relative_to(root.resolve()):
        raise AutoloopError(
            f"{source}: the path {quoted(path)} leads out of the suite",
            "Name a file below the suite's directory; what a task needs must be part of the suite.",
        )
    if not found.exists():
        raise AutoloopError(f"{source}: there is no {quoted(path)} in {base}")
    return found


def files_below(path: Path) -> Iterator[Path]:
    """Every file and link below a directory, or the file itself, in a fixed order."""
    if path.is_symlink() or not path.is_dir():
        yield path
        return
    for entry in sorted(os.scandir(path), key=lambda entry: entry.name):
        if entry.name not in PASSED_OVER:
            yield from files_below(path / entry.name)


def refuse_escapes(root: Path, path: Path) -> None:
    """An AutoloopError for a link below the path that leads out of the suite, or for what is no file."""
    for file in files_below(path):
        name = file.relative_to(root)
        if file.is_symlink() and not file.resolve().is_relative_to(root.resolve()):
            raise AutoloopError(
                f"{root}: {name} is a link that leads out of the suite, to {os.readlink(file)}",
                "Put a copy in its place; what a task needs must be part of the suite.",
            )
        if not file.is_symlink() and not file.is_file():
            raise AutoloopError(f"{root}: {name} is neither a file nor a directory nor a link")


def digest(values: object, paths: Iterable[Path]) -> str:
    """One digest of values and of the files below the paths: names, contents, what is executable, where links lead."""
    total = hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode())
    for number, path in enumerate(paths):
        for file in files_below(path):
            total.update(f"\0{number}\0{file.relative_to(path)}\0".encode(errors="surrogateescape"))
            total.update(_content(file))
    return total.hexdigest()[:16]


def _content(file: Path) -> bytes:
    if file.is_symlink():
        link = b"link\0" + os.fsencode(os.readlink(file))
        return link + _content(file.resolve()) if file.resolve().is_file() else link
    with file.open("rb") as opened:
        content = hashlib.file_digest(opened, "sha256").digest()
    return (b"x" if file.stat().st_mode & 0o100 else b"-") + content


def text_of(file: Path, root: Path) -> str:
    """The text of a suite's file; an AutoloopError that names it when it cannot be read."""
    name = file.relative_to(root)
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise AutoloopError(f"{root}: {name} is not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        raise AutoloopError(f"{root}: {name} cannot be read: {error.strerror}") from error
