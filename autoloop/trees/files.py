"""Single files of a tree, as they lie there: what the system says of them, reading them, writing them anew.

Never follows a symlink, and writes to no file that exists: it may have another name outside of the tree.
"""

import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress

from autoloop.trees.walk import entries, is_real_folder, open_up

LISTABLE = stat.S_IRUSR | stat.S_IXUSR
CHUNK = 1 << 17
GRAIN, COARSE_GRAIN = 20_000_000, 2_000_000_000
"""Nanoseconds in which two changes may get the same time: by the kernel's clock, and where times are whole seconds."""


def lying(tree: bytes, folders: tuple[bytes, ...]) -> Iterator[tuple[bytes, os.stat_result]]:
    """Everything below some folders, and these; a folder comes before what is in it. Closed ones are closed again."""
    left = [(path, os.lstat(tree + b"/" + path)) for path in folders if is_real_folder(tree + b"/" + path)]
    yield from left
    closed: list[tuple[bytes, int]] = []
    while left:
        folder, about = left.pop()
        if about.st_mode & LISTABLE != LISTABLE:
            closed.append((tree + b"/" + folder, stat.S_IMODE(about.st_mode)))
            open_up(tree + b"/" + folder)
        for path, about in children(tree, folder):
            yield path, about
            if stat.S_ISDIR(about.st_mode):
                left.append((path, about))
    for at, mode in reversed(closed):
        os.chmod(at, mode)


def children(tree: bytes, folder: bytes) -> Iterator[tuple[bytes, os.stat_result]]:
    """What lies in a folder."""
    for entry in entries(tree + b"/" + folder):
        yield folder + b"/" + entry.name, entry.stat(follow_symlinks=False)


def open_readable(path: bytes) -> int:
    """Open a file to read it, whether that was allowed or not."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        return os.open(path, flags)
    except PermissionError:
        os.chmod(path, stat.S_IMODE(os.lstat(path).st_mode) | stat.S_IRUSR)
        return os.open(path, flags)


def write_new(path: bytes, source: int, mode: int = 0o600, modified: int | None = None) -> os.stat_result:
    """Make a file of what an open one holds; what the system says of it."""
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        copy_bytes(source, target)
        if mode != 0o600:
            os.fchmod(target, mode)
        if modified is not None:
            os.utime(target, ns=(modified, modified))
    finally:
        os.close(target)
    # Now that it is closed: a file system over the network settles a file's times then.
    return os.lstat(path)


def copy_bytes(source: int, target: int) -> None:
    """Copy all of a file; where the file system can, both share its blocks until one is written to."""
    chunk = os.read(source, CHUNK)
    if len(chunk) == CHUNK:
        os.lseek(source, 0, os.SEEK_SET)
        with suppress(OSError, AttributeError):
            while os.copy_file_range(source, target, 1 << 30):
                pass
        # What it has copied it has also passed by. On macOS, and across file systems, that is nothing.
        chunk = os.read(source, CHUNK)
    while chunk:
        written = memoryview(chunk)
        while written:
            written = written[os.write(target, written) :]
        chunk = os.read(source, CHUNK)


def mend_folder(path: bytes, mode: int, modified: int) -> None:
    """Give a folder back its mode and its time."""
    about = os.lstat(path)
    if about.st_mtime_ns != modified:
        os.utime(path, ns=(about.st_atime_ns, modified), follow_symlinks=False)
    if about.st_mode != mode:
        os.chmod(path, stat.S_IMODE(mode))


def outlast(changed: int) -> None:
    """Wait until a file that changes now would get another time than one that changed then."""
    grain = COARSE_GRAIN if changed % 1_000_000_000 == 0 else GRAIN
    left = changed + grain - time.time_ns()
    if 0 < left <= grain:
        time.sleep(left / 1e9)
