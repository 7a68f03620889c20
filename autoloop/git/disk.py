"""How much disk a folder takes, and freeing it. Never follows a symlink, and goes on where the system refuses."""

import os
import secrets
import stat
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autoloop.git.walk import is_real_folder, make_real, open_up, remove

BLOCK = 512
"""Bytes of a block of `st_blocks`: always 512, whatever the file system's block size (stat(2))."""


@dataclass(frozen=True)
class DiskUse:
    """Bytes on disk that removing something would free."""

    total: int
    apart: int
    """How many of them are in the folders that were asked for."""


def disk_use(root: bytes, apart: frozenset[bytes] = frozenset()) -> DiskUse:
    """What lies at a path and below it, without what has another name elsewhere. What cannot be read counts for 0."""
    total = inside = 0
    names: Counter[tuple[int, int]] = Counter()
    todo = [(root, False)]
    while todo:
        path, is_apart = todo.pop()
        try:
            about = os.lstat(path)
        except OSError:
            continue
        is_folder = stat.S_ISDIR(about.st_mode)
        if about.st_nlink > 1 and not is_folder:
            names[about.st_dev, about.st_ino] += 1
            if names[about.st_dev, about.st_ino] < about.st_nlink:
                continue
        size = about.st_blocks * BLOCK
        total += size
        inside += size if is_apart else 0
        if is_folder:
            with suppress(OSError):
                todo += [(path + b"/" + name, is_apart or path + b"/" + name in apart) for name in os.listdir(path)]
    return DiskUse(total, inside)


def set_aside(path: Path, root: Path, below: str) -> Path:
    """Move a folder in one step to a place below `root` where nobody looks for it; its new path."""
    make_real(os.fsencode(root), os.fsencode(below))
    target = root / below / f"{path.name}.{secrets.token_hex(4)}"
    if is_real_folder(os.fsencode(path)):
        open_up(os.fsencode(path))
    os.rename(path, target)
    return target


def drop_empty(folder: Path) -> None:
    """Remove a folder in which nothing is set aside any more."""
    if is_real_folder(bytes(folder)):
        for place in (*folder.iterdir(), folder):
            with suppress(OSError):
                place.rmdir()


def remove_what_goes(path: bytes) -> OSError | None:
    """Remove as much as the system allows; its first error, with the path of something that is left."""
    try:
        remove(path)
        return None
    except OSError as error:
        refused = error
    # In place, so that what is left is where the error says that it is.
    with suppress(OSError, RecursionError):
        for folder, inside, _ in os.walk(path):
            for below in (os.path.join(folder, name) for name in inside):
                with suppress(OSError):
                    open_up(below)
        for _, folders, files, at in os.fwalk(path, topdown=False, follow_symlinks=False):
            for name in (*files, *folders):
                with suppress(OSError):
                    os.unlink(name, dir_fd=at)
            for name in folders:
                with suppress(OSError):
                    os.rmdir(name, dir_fd=at)
        os.rmdir(path)
    return OSError(refused.errno, refused.strerror, _something_in(path)) if os.path.lexists(path) else None


def _something_in(path: bytes) -> bytes:
    """A file or an empty folder that is left below a path."""
    while is_real_folder(path):
        try:
            names = sorted(os.listdir(path))
        except OSError:
            break
        if not names:
            break
        path = path + b"/" + names[0]
    return path
