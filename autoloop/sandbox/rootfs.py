"""A root file system put together from parts of this machine's, so that commands find paths that do not exist here.

Nothing can be mounted at a path that does not exist in a place that can only be read. So the root is a directory of
the cell, and every entry of `/` is mounted in it; what a command makes beside them lasts for the cell's next command.
The rest of this module makes bubblewrap's mount options. It takes them in their order: a later one lies on top.
"""

import os
from collections.abc import Iterable, Iterator
from functools import cache
from glob import glob
from pathlib import Path

from autoloop.git.walk import link, make_real
from autoloop.ports import Mount
from autoloop.sandbox.places import Places

ROOT = Path("/")
_OWN = ("dev", "proc")
"""Top-level entries that every command has of its own."""


def words(root: Path, places: Places, targets: Iterable[Path]) -> tuple[str, ...]:
    """The root of a cell: this machine's entries, to be read. Links that could lead past what is hidden are made anew.

    Any other link is the mount of its target: in a root that can be written, a link could be replaced. What a command
    put on the way to a target goes: bubblewrap would follow a link there.
    """
    entries = _entries(places)
    for target in targets:
        if not os.path.lexists(ROOT / target.parts[1]):
            _clear_way(bytes(root), target)
    for name, leads_to in entries.links:
        link(bytes(root), os.fsencode(name), os.fsencode(leads_to))
    return (*bind("--bind", root, ROOT), *entries.mounts)


def _clear_way(root: bytes, target: Path) -> None:
    make_real(root, bytes(target.parent.relative_to(ROOT)) if target.parent != ROOT else b"")
    place = root + bytes(target)
    if os.path.islink(place):
        os.unlink(place)


class _Entries:
    """The entries of this machine's `/`: mounts, and links to make anew."""

    def __init__(self, places: Places) -> None:
        mounts: list[str] = []
        self.links: list[tuple[str, str]] = []
        private = (*places.hidden, *places.secret)
        for entry in sorted(os.scandir(ROOT), key=lambda entry: entry.name):
            target = Path(entry.path).resolve()
            if entry.name in _OWN or not (target.is_dir() or target.is_file()):
                continue
            if entry.is_symlink() and (
                lies_in(target, private) or any(path.is_relative_to(target) for path in private)
            ):
                self.links.append((entry.name, os.readlink(entry.path)))
            else:
                mounts += bind("--ro-bind", target, Path(entry.path))
        self.mounts = tuple(mounts)


@cache
def _entries(places: Places) -> _Entries:
    return _Entries(places)


def opened(targets: Iterable[Path], hidden: tuple[Path, ...]) -> list[Path]:
    """The directories of this machine in which a target is missing; the root and what is hidden need nothing."""
    found = set()
    for target in targets:
        if not target.exists():
            above = next(way for way in target.parents if way.is_dir())
            if above != ROOT and not lies_in(above, hidden):
                found.add(above)
    return sorted(found, key=lambda path: len(path.parts))


def parts(folder: Path) -> list[str]:
    """A directory of this machine, made of its parts, so that more can be mounted in it."""
    made = ["--perms", "0755", "--tmpfs", str(folder)]
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_symlink():
            made += ["--symlink", os.readlink(entry.path), entry.path]
        elif entry.is_dir() or entry.is_file():
            made += bind("--ro-bind", Path(entry.path), Path(entry.path))
    return made


def anchors(outer: Iterable[Path], targets: Iterable[Path]) -> Iterator[str]:
    """Mounts on the way to each target: a folder that is a mount cannot be renamed, nor replaced by a link."""
    places = tuple(outer)
    ways = {
        way
        for target in targets
        for place in places
        if target.is_relative_to(place)
        for way in target.parents
        if way != place and way.is_relative_to(place)
    }
    for way in sorted(ways, key=lambda path: len(path.parts)):
        yield from ("--perms", "0755", "--tmpfs", str(way))


def held(tree: Path, root: Path, targets: Iterable[Path]) -> Iterator[str]:
    """Folders of the tree that lead to a mount, held in their place by being mounts themselves."""
    ways = {way for target in targets for way in target.parents if way != Path(".")}
    for way in sorted(ways, key=lambda path: len(path.parts)):
        make_real(bytes(tree), bytes(way))
        yield from bind("--bind", tree / way, root / way)


def bind(how: str, real: Path, seen: Path) -> tuple[str, str, str]:
    """The option that mounts a path of this machine at a path of the sandbox."""
    return how, str(real), str(seen)


def mounted(mount: Mount) -> tuple[str, str, str]:
    """The option for a mount that a cell asks for."""
    return bind("--bind" if mount.writable else "--ro-bind", mount.real, mount.seen)


def lies_in(path: Path, places: Iterable[Path]) -> bool:
    """Whether a path is one of these places, or below one."""
    return any(path.is_relative_to(place) for place in places)


def masked(real: Path, seen: Path | None = None) -> tuple[str, ...]:
    """The options that put an empty file or directory in the place of something."""
    place = str(seen or real)
    return ("--tmpfs", place, "--remount-ro", place) if real.is_dir() else ("--dev-bind", "/dev/null", place)


def matching(patterns: Iterable[str]) -> Iterator[str]:
    """The paths that globs find on this machine."""
    return (path for pattern in patterns for path in sorted(glob(os.path.expanduser(pattern))))
