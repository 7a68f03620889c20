"""Files beside a journal, written so that a reader or a power cut finds the old text or the new, never half of one."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from autoloop.errors import refused

_HALF_WRITTEN = re.compile(r"\.[\w.-]+\.\d+")
_WRITING_SECONDS = 60.0
"""That writing a small file takes at the very most."""


def write_atomically(path: Path, text: str, *, durable: bool = False) -> None:
    """Replace a file in one step, so that a reader finds the old text or the new; `durable`: also after a power cut."""
    beside = f"{path.parent}/.{path.name}.{os.getpid()}"
    with writing(path):
        try:
            with open(beside, "w", errors="replace") as file:
                file.write(text)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(beside, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(beside)
            raise


def half_written(folder: Path) -> list[Path]:
    """What processes that were killed while they replaced a file have left in a folder."""
    before, found = time.time() - _WRITING_SECONDS, []
    for path in folder.iterdir():
        if _HALF_WRITTEN.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            with suppress(FileNotFoundError):
                found += [path] if path.stat().st_mtime < before else []
    return found


def append_text(path: Path, text: str) -> None:
    """Add to the end of a file: all of it or, where that is possible, nothing."""
    with writing(path), path.open("ab", buffering=0) as file:
        length = file.seek(0, os.SEEK_END)
        rest = text.encode(errors="replace")
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except BaseException:
            with suppress(OSError):
                file.truncate(length)
            raise


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError into an AutoloopError with a hint."""
    try:
        yield
    except OSError as error:
        hint = "Make room or repair the disk, then resume the run."
        raise refused(error, f"{path} cannot be written: {error.strerror}", hint) from error
