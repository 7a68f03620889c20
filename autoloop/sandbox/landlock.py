"""The tier `landlock`: the kernel refuses what a command's rules do not allow. It needs no program and no rights.

Nothing is mounted: every path is where it always is, the tree included. Rules only ever allow, for a directory
and all below it, so what is hidden is left out by allowing what stands beside it.

Stays open here, where bubblewrap closes it: the network, in all three settings; sockets in the file system before
version 9; names, sizes and modes of all files, which can be listed; chmod, chown and utime of what the user owns;
`/dev/shm`, the user's terminals and keyring; limits and priorities of the user's other processes. Before version 6
signals and abstract sockets are open too, before version 3 truncation of what the user can write; before version 2
no file can be moved to another directory. `/tmp` is hidden and has no private one in its place: commands have to
heed TMPDIR. What lies in a place that can be written cannot be hidden there.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from glob import glob
from pathlib import Path

from autoloop.ports import Cell, Room, Tier
from autoloop.sandbox import restrict
from autoloop.sandbox.places import RESOLVER, Places

DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts")
TEMPORARY = "tmp"
"""The directory for temporary files, in the private home."""
_DEV = Path("/dev")
_BESIDE = str(Path(restrict.__file__).parent)
_START = f"import sys; sys.path.append({_BESIDE!r}); import restrict; restrict.main(sys.argv[1:])"
"""The launcher is imported, since a script would be compiled before each command: 2 ms."""
_CROWDED = 1000
"""Where more than this stands beside what is hidden, nothing is allowed: the rules would take longer than a command."""


@dataclass(frozen=True)
class LandlockSandbox:
    """The tier `landlock`: commands run under rules of the kernel, with every path where it always is."""

    places: Places
    tier: Tier = "landlock"

    def enter(self, cell: Cell) -> Room:
        """How to start one command in the cell; its home is given links to tools and to what it shows and keeps."""
        _link_into_home(cell.home, self.places.home, (*self.places.tools, *cell.shows, *cell.kept))
        hides = tuple(path.resolve() for path in cell.hides)
        rules = (
            *_system(self.places, hides),
            *(rule for path in (*cell.reads, *cell.shows) for rule in _Walk(hides).readable(path)),
            *(f"w{path.resolve()}" for path in (cell.tree, cell.home, *cell.writes, *cell.kept)),
            *(f"d{path}" for path in _matching(cell.devices)),
            *(f"s{path}" for path in _matching(cell.sockets)),
            *(() if cell.tracing else (restrict.UNTRACED,)),
        )
        return Room(
            prefix=(sys.executable, "-I", "-S", "-c", _START, *rules, "--"),
            cwd=cell.tree,
            env={"HOME": str(cell.home), "TMPDIR": str(cell.home / TEMPORARY)},
            seen=_as_it_is,
        )

    @staticmethod
    def abi() -> int:
        """The version of Landlock here; 0 where there is none."""
        return restrict.abi()


@lru_cache(maxsize=32)
def _system(places: Places, hides: tuple[Path, ...]) -> tuple[str, ...]:
    """The rules that do not depend on where a command works."""
    secret = (path for path in places.secret if os.access(path, os.R_OK) or os.access(path, os.X_OK))
    walk = _Walk((_DEV, *places.hidden, *secret, *hides))
    objects = (places.objects,) if places.objects else ()
    through = (*places.tools, *places.shares, *objects, *map(Path, RESOLVER))
    shown = (path.resolve() for path in through)
    return (
        *walk.readable(Path("/")),
        *(rule for path in shown if not _lies_in(path, places.secret) for rule in walk.readable(path)),
        "l/",  # Bun before 1.4 opens every directory above its own, and listing one allows listing all below it
        f"w{(_DEV / 'shm').resolve()}",  # semaphores of Python's multiprocessing
        *(f"d{(_DEV / name).resolve()}" for name in DEVICES),
    )


class _Walk:
    """Finds what can be allowed without allowing what is denied."""

    def __init__(self, denied: Iterable[Path]) -> None:
        self.denied = {str(path) for path in denied}
        self.above = {str(parent) for path in self.denied for parent in Path(path).parents}

    def readable(self, top: Path) -> Iterator[str]:
        """Rules for the largest parts of a place that hold nothing denied."""
        return self._below(str(top.resolve()))

    def _below(self, path: str) -> Iterator[str]:
        if path in self.denied:
            return
        if path not in self.above:
            yield f"r{path}"
            return
        inside: list[str] = []
        with suppress(OSError), os.scandir(path) as entries:
            inside = [entry.path for entry in entries if not entry.is_symlink()]  # a link is judged by its target
        for child in inside:
            if len(inside) <= _CROWDED or child in self.above:
                yield from self._below(child)


def _link_into_home(home: Path, users_home: Path, wanted: Iterable[Path]) -> None:
    """A place for temporary files, and links to parts of the user's home.

    Commands can write here, so nothing that they left is followed or replaced.
    """
    top = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(FileExistsError):
            os.mkdir(TEMPORARY, dir_fd=top)
        parts = {path.parent.resolve() / path.name for path in wanted}
        for path in sorted(path for path in parts if path != users_home and path.is_relative_to(users_home)):
            with suppress(FileExistsError, NotADirectoryError):
                _link(top, path.relative_to(users_home).parts, path)
    finally:
        os.close(top)


def _link(top: int, parts: tuple[str, ...], target: Path) -> None:
    """Make a link, and the directories above it, without following a link on the way."""
    here = os.dup(top)
    try:
        for name in parts[:-1]:
            with suppress(FileExistsError):
                os.mkdir(name, dir_fd=here)
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = below
        os.symlink(target, parts[-1], dir_fd=here)
    finally:
        os.close(here)


def _lies_in(path: Path, places: Iterable[Path]) -> bool:
    return any(path.is_relative_to(place) for place in places)


def _matching(patterns: Iterable[str]) -> list[Path]:
    found = (Path(path).resolve() for pattern in patterns for path in glob(os.path.expanduser(pattern)))
    return sorted(set(found))


def _as_it_is(path: Path) -> Path:
    return path
