"""Homes in the cache directory: whose each is, whether a process works in it, and whether its trees are still there.

A home is where the trees of one run, validation or comparison are. Its file `owner` names the checkout that it belongs
to, and is locked (flock) by the process that works there: the lock dies with the process. Anyone may delete the cache
directory at any time, so trees are looked for before they are used.
"""

import errno
import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from autoloop.errors import AutoloopError
from autoloop.git.contents import Contents
from autoloop.git.inspection import is_real
from autoloop.git.walk import explained, is_real_folder, remove

OWNER = "owner"
REMOVED = "removed"
"""The directory beside the homes for what is being removed, or could not be."""
SEALED = "-sealed"
"""Behind a home's name: the sealed program of a validation, which lies beside its home."""
RUN = re.compile(r"\d{8}-\d{6}-[0-9a-f]{5}")
WORKSHOP = re.compile(r"(validate|compare)-[0-9a-f]{8}")
"""The name of a home that goes when its process ends, unless that is killed."""
DEMO = "autoloop-demo-"
"""The prefix of the directory of a demo's repository."""
_TRIAL = re.compile(r"trial-[0-9a-f]{8}")
_LOOKING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
_PATIENCE = 3.0
"""Seconds: whoever cleans holds a home for a moment only."""


@dataclass(frozen=True)
class Home:
    """One home, by its path; parts of it may be missing."""

    path: Path

    @property
    def name(self) -> str:
        """The id of the run, the validation or the comparison."""
        return self.path.name

    @property
    def owner(self) -> Path | None:
        """The root of the checkout that it belongs to, where that is known."""
        with suppress(OSError):
            file = os.open(self.path / OWNER, _LOOKING)
            with open(file, "rb") as opened:
                root = opened.read(1 << 16).removesuffix(b"\n")
                return Path(os.fsdecode(root)) if root.startswith(b"/") else None
        return None

    @property
    def paths(self) -> tuple[Path, ...]:
        """The directories of this home that exist."""
        places = (self.path, self.path.with_name(self.path.name + SEALED))
        return tuple(place for place in places if is_real_folder(os.fsencode(place)))

    @property
    def is_occupied(self) -> bool:
        """Whether a process works in it."""
        with suppress(OSError):
            file = os.open(self.path / OWNER, _LOOKING)
            with open(file, "rb"):
                # A shared request collides with the holder alone, not with others who look.
                return not _locks(file, fcntl.LOCK_SH)
        return False

    @property
    def age(self) -> float:
        """Seconds since something was last made or removed in it."""
        changed = max((path.lstat().st_mtime for path in self.paths), default=time.time())
        return time.time() - changed


def homes_in(cache: Path) -> Iterator[Home]:
    """Every home in the cache directory. Other entries are not ours and are left alone."""
    with suppress(FileNotFoundError, NotADirectoryError):
        names = {name.removesuffix(SEALED) for name in os.listdir(cache)}
        known = (name for name in sorted(names) if RUN.fullmatch(name) or WORKSHOP.fullmatch(name))
        yield from (home for home in (Home(cache / name) for name in known) if home.paths)


def trials_in(cache: Path) -> list[Path]:
    """The directories in which sandboxes were tried out."""
    names = sorted(os.listdir(cache)) if cache.is_dir() else []
    return [cache / name for name in names if _TRIAL.fullmatch(name) and is_real_folder(bytes(cache / name))]


@contextmanager
def occupied(home: Path, root: Path) -> Iterator[None]:
    """Work in a home, and write down whose it is. AutoloopError when another process does."""
    with explained(home):
        file = _locked(home)
    try:
        os.ftruncate(file, 0)
        os.pwrite(file, os.fsencode(root) + b"\n", 0)
        yield
    finally:
        os.close(file)


@contextmanager
def vacant(home: Path) -> Iterator[bool]:
    """Whether nobody works in a home; while this lasts, nobody begins to."""
    try:
        file = os.open(home / OWNER, _LOOKING)
    except OSError:
        # Nobody can hold what is not there.
        yield True
        return
    try:
        yield _locks(file)
    finally:
        os.close(file)


def _locked(home: Path) -> int:
    """The open and locked owner file of a home, made where it is missing."""
    give_up = time.monotonic() + _PATIENCE
    while True:
        home.mkdir(parents=True, exist_ok=True)
        file = _opened(home / OWNER)
        if file is not None:
            if _locks(file) and _is_still(file, home / OWNER):
                return file
            os.close(file)
        if time.monotonic() > give_up:
            raise AutoloopError(f"{home} is in use by another process", "Is this a copy of a repository with a run?")
        time.sleep(0.01)


def _opened(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            remove(os.fsencode(path))
        elif error.errno != errno.ENOENT:
            raise
        return None


def _locks(file: int, how: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(file: int, path: Path) -> bool:
    """Whether a path still leads to an open file: a home may have been removed in between."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file), os.lstat(path))
    return False


class Presence:
    """The trees as this process placed them, each held open: one that is deleted and made again has another inode."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._held: dict[Path, int] = {}

    def note(self, tree: Path) -> None:
        """Remember a tree that was just placed, by an open descriptor."""
        if not self.intact(tree) or tree not in self._held:
            self._let_go(tree)
            self._held[tree] = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)

    def forget(self) -> bool:
        """Forget every placed tree; whether any was known."""
        known = bool(self._held)
        for tree in list(self._held):
            self._let_go(tree)
        return known

    def intact(self, tree: Path, held: Contents | None = None) -> bool:
        """Whether a tree is the one that was placed, with every file that is given, and not a link to another."""
        if not is_real(os.fsencode(self._home), os.fsencode(tree.relative_to(self._home)) + b"/"):
            return False
        if tree in self._held and not os.path.samestat(os.fstat(self._held[tree]), tree.stat()):
            return False
        return all(map(os.path.lexists, _files(tree, held)))

    def _let_go(self, tree: Path) -> None:
        file = self._held.pop(tree, None)
        if file is not None:
            with suppress(OSError):
                os.close(file)

    def __del__(self) -> None:
        self.forget()


def _files(tree: Path, held: Contents | None) -> Iterator[bytes]:
    root = os.fsencode(tree) + b"/"
    folders = held.files.items() if held else ()
    return (root + folder + name for folder, names in folders for name in names)
