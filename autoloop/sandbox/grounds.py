"""A root that is put together from the parts of this machine's, so that a command finds paths that are not there.

Nothing can be mounted at a path that does not exist in a place that can only be read. So the root is a directory of
the cell, and every entry of `/` is mounted in it; what a command makes beside them lasts for the cell's next command.
"""

import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from autoloop.sandbox.mounts import bind, lies_in
from autoloop.sandbox.places import Places
from autoloop.trees.walk import link, make_real

ROOT = Path("/")
_OWN = ("dev", "proc")
"""What every command has of its own."""


def words(ground: Path, places: Places, targets: Iterable[Path]) -> tuple[str, ...]:
    """The root of a cell: this machine's entries, to be read. Links that could lead past what is hidden are made anew.

    Any other link is the mount of its target: in a root that can be written, a link could be replaced. What a command
    put on the way to a target goes: bubblewrap would follow a link there.
    """
    entries = _entries(places)
    for target in targets:
        if not os.path.lexists(ROOT / target.parts[1]):
            _clear_way(bytes(ground), target)
    for name, leads_to in entries.links:
        link(bytes(ground), os.fsencode(name), os.fsencode(leads_to))
    return (*bind("--bind", ground, ROOT), *entries.mounts)


def _clear_way(ground: bytes, target: Path) -> None:
    make_real(ground, bytes(target.parent.relative_to(ROOT)) if target.parent != ROOT else b"")
    place = ground + bytes(target)
    if os.path.islink(place):
        os.unlink(place)


class _Entries:
    """What `/` holds."""

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
