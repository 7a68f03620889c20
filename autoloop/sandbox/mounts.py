"""The words that tell bubblewrap what to mount where. They are taken in their order: a later one lies on top."""

import os
from collections.abc import Iterable, Iterator
from glob import glob
from pathlib import Path

from autoloop.ports import Mount
from autoloop.trees.walk import make_real


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
    """A path of this machine at a path of the sandbox."""
    return how, str(real), str(seen)


def mounted(mount: Mount) -> tuple[str, str, str]:
    """What a cell asks for."""
    return bind("--bind" if mount.writable else "--ro-bind", mount.real, mount.seen)


def lies_in(path: Path, places: Iterable[Path]) -> bool:
    """Whether a path is one of these, or below."""
    return any(path.is_relative_to(place) for place in places)


def masked(real: Path, seen: Path | None = None) -> tuple[str, ...]:
    """Something in whose place there is nothing."""
    place = str(seen or real)
    return ("--tmpfs", place, "--remount-ro", place) if real.is_dir() else ("--dev-bind", "/dev/null", place)


def matching(patterns: Iterable[str]) -> Iterator[str]:
    """The paths that globs find on this machine."""
    return (path for pattern in patterns for path in sorted(glob(os.path.expanduser(pattern))))
