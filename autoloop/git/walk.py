"""Walking a tree's files: what lies there that its commit does not list, and making it go.

Never follows a symlink. Names are bytes, since file names are.
"""

import errno
import os
import shutil
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from autoloop.errors import AutoloopError
from autoloop.git.contents import NOTHING, Contents, split

HINTS = {
    errno.ENOSPC: "Free some disk space and resume.",
    errno.EDQUOT: "Free some disk space and resume.",
    errno.EACCES: "Make it yours: a tree must be writable.",
    errno.EPERM: "Make it yours: a tree must be writable.",
}
FULL = stat.S_IRWXU
LONGEST_PATH = 3000
"""Bytes of a path from the tree's root. Systems take 4096, and the tree has a path as well."""


@dataclass(frozen=True)
class Spared:
    """Paths that a walk leaves alone, and the folders that lead to them."""

    paths: frozenset[bytes]
    """No slash at the end."""
    leading: frozenset[bytes]

    @classmethod
    def of(cls, *paths: bytes) -> "Spared":
        """The spared paths, with the folders that lead to each."""
        leading = {path[:cut] for path in paths for cut in range(len(path)) if path[cut : cut + 1] == b"/"}
        return cls(frozenset(paths), frozenset(leading))

    def holds(self, path: bytes) -> bool:
        """Whether a path is spared or lies in a spared folder."""
        if not self.paths:
            return False
        while path:
            if path in self.paths:
                return True
            path = split(path)[0][:-1]
        return False


@dataclass(frozen=True)
class Stray:
    """Something that the commit does not list; its folder is listed."""

    path: bytes
    is_folder: bool


def strays(root: bytes, contents: Contents, spared: Spared) -> Iterator[Stray]:
    """What the commit does not list, topmost first: a stray folder is not entered. Opens closed folders."""
    open_up(root)
    folders = [b""]
    while folders:
        folder = folders.pop()
        files = contents.files.get(folder, NOTHING)
        inside = contents.folders.get(folder, NOTHING)
        for entry in entries(root + b"/" + folder):
            name = entry.name
            if not entry.is_dir(follow_symlinks=False):
                if name not in files and folder + name not in spared.paths:
                    yield Stray(folder + name, False)
                continue
            path = folder + name
            if path in spared.paths:
                continue
            if entry.stat(follow_symlinks=False).st_mode & FULL != FULL:
                open_up(entry.path)
            if name in inside or path in spared.leading:
                folders.append(path + b"/")
            else:
                yield Stray(path, True)


def entries(folder: bytes) -> list[os.DirEntry[bytes]]:
    """A folder's entries, read at once so that removing some of them is safe."""
    with os.scandir(folder) as found:
        return list(found)


def files_below(root: bytes, folder: bytes) -> Iterator[bytes]:
    """Every path below a stray folder that is not a folder; every `.git`, and what is too deep, not entered."""
    folders = [folder]
    while folders:
        folder = folders.pop()
        if len(folder) > LONGEST_PATH:
            yield folder
            continue
        for entry in entries(root + b"/" + folder):
            path = folder + b"/" + entry.name
            if not entry.is_dir(follow_symlinks=False) or entry.name == b".git":
                yield path
                continue
            if entry.stat(follow_symlinks=False).st_mode & FULL != FULL:
                open_up(entry.path)
            folders.append(path)


def open_up(folder: bytes) -> None:
    """Give a folder's owner the rights to list, enter and change it."""
    mode = os.lstat(folder).st_mode
    if mode & FULL != FULL:
        os.chmod(folder, stat.S_IMODE(mode) | FULL)


def clean(root: bytes, contents: Contents, spared: Spared) -> None:
    """Remove whatever the commit does not list."""
    for stray in strays(root, contents, spared):
        path = root + b"/" + stray.path
        remove_folder(path) if stray.is_folder else os.unlink(path)


def remove_folder(path: bytes) -> None:
    """Remove a folder with everything in it, closed folders included, however deep it is."""
    try:
        shutil.rmtree(path)
    except (RecursionError, PermissionError):
        open_up(path)
        take_apart(path)


def take_apart(root: bytes) -> None:
    """Remove a folder with closed ones in it, or too deep for a recursion or a path: all is brought to its top."""
    folders, number = [root], 0
    while folders:
        folder = folders.pop()
        for entry in entries(folder):
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.path)
                continue
            open_up(entry.path)
            while os.path.lexists(top := root + b"/.deep-%d" % number):
                number += 1
            os.rename(entry.path, top)
            folders.append(top)
        if folder != root:
            os.rmdir(folder)
    os.rmdir(root)


def remove(path: bytes) -> None:
    """Remove whatever is at a path, if anything is."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    remove_folder(path) if stat.S_ISDIR(mode) else os.unlink(path)


def unlink_all(root: bytes, paths: Collection[bytes]) -> None:
    """Remove some files, and the folders that this empties: Python imports an empty one as a package."""
    for path in paths:
        with suppress(FileNotFoundError):
            os.unlink(root + b"/" + path)
    for folder in sorted({split(path)[0] for path in paths} - {b""}, reverse=True):
        with suppress(OSError):
            os.removedirs(root + b"/" + folder[:-1])


def make_real(root: bytes, path: bytes) -> None:
    """Make `path` below `root` a real folder, all the way down: what stands in its way is removed."""
    at = root
    for name in path.split(b"/") if path else []:
        at = at + b"/" + name
        if not is_real_folder(at):
            remove(at)
            os.mkdir(at)


def link(root: bytes, path: bytes, target: bytes) -> None:
    """Make `path` below `root` a symlink to `target`, or nothing where there is no target."""
    at = root + b"/" + path
    if os.path.islink(at) and os.readlink(at) == target:
        return
    remove(at)
    if os.path.lexists(target):
        make_real(root, split(path)[0][:-1])
        os.symlink(target, at)


def mount_point(root: bytes, path: bytes, target: bytes) -> None:
    """Make `path` below `root` a mount point for `target`: a folder or an empty file, or nothing when there is none."""
    at = root + b"/" + path
    if os.path.isdir(target):
        make_real(root, path)
    elif not os.path.isfile(at) or os.path.islink(at):
        remove(at)
        if os.path.exists(target):
            make_real(root, split(path)[0][:-1])
            open(at, "wb").close()


@contextmanager
def explained(place: Path) -> Iterator[None]:
    """Turn an OSError into an AutoloopError with a hint."""
    try:
        yield
    except OSError as error:
        hint = HINTS.get(error.errno or 0, "The trees of a run can be deleted: they are rebuilt.")
        raise AutoloopError(f"{error.filename or place!s}: {error.strerror}", hint) from error


def is_real_folder(path: bytes) -> bool:
    """Whether a path is a folder, not a symlink to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
