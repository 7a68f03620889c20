"""Finding the commits of submodules in the user's repository, so that trees get their files.

Reads git's own record of them and fetches nothing: what the user never initialised stays an empty folder.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from autoloop.git import Git, GitFailed
from autoloop.trees.contents import GITLINK, Submodule, Tracked, parse_tree


@dataclass
class Found:
    """Everything that the submodules of a commit add to its tree."""

    tracked: list[Tracked]
    """With paths from the tree's root."""
    gitlinks: dict[bytes, str]
    submodules: list[Submodule]
    absent: list[bytes]


@dataclass(frozen=True)
class Place:
    """Where one repository keeps what belongs to its submodules."""

    git_dirs: tuple[Path, ...]
    checkout: Path | None


def populate(git: Git, commit: str, gitlinks: Mapping[bytes, str], place: Place, prefix: bytes = b"") -> Found:
    """Find every submodule of a commit, and theirs."""
    found = Found([], {prefix + path: oid for path, oid in gitlinks.items()}, [], [])
    names = names_by_path(git, commit)
    for path, oid in gitlinks.items():
        for home in homes(names.get(path), path, place):
            there = git.having(GIT_OBJECT_DIRECTORY=home / "objects")
            try:
                tracked = parse_tree(there("ls-tree", "-r", "-l", "-z", oid))
            except GitFailed:
                continue
            found.submodules.append(Submodule(prefix + path, oid, home / "objects", home))
            found.tracked += [replace(entry, path=prefix + path + b"/" + entry.path) for entry in tracked]
            below = {entry.path: entry.oid for entry in tracked if entry.mode == GITLINK}
            if below:
                checkout = place.checkout / os.fsdecode(path) if place.checkout else None
                inner = populate(there, oid, below, Place((home,), checkout), prefix + path + b"/")
                found.tracked += inner.tracked
                found.gitlinks |= inner.gitlinks
                found.submodules += inner.submodules
                found.absent += inner.absent
            break
        else:
            found.absent.append(prefix + path)
    return found


def names_by_path(git: Git, commit: str) -> dict[bytes, str]:
    """What `.gitmodules` calls each submodule: its git directory bears that name."""
    listing = git(
        "config",
        f"--blob={commit}:.gitmodules",
        "-z",
        "--get-regexp",
        r"^submodule\..*\.path$",
        accept=(0, 1, 128),
    )
    pairs = (entry.partition(b"\n") for entry in listing.split(b"\0") if entry)
    return {path: os.fsdecode(key)[len("submodule.") : -len(".path")] for key, _, path in pairs}


def homes(name: str | None, path: bytes, place: Place) -> Iterator[Path]:
    """The git directories that a submodule may have."""
    if name and ".." not in name.split("/"):
        candidates: Iterable[Path] = [git_dir / "modules" / name for git_dir in place.git_dirs]
        yield from (candidate for candidate in candidates if (candidate / "objects").is_dir())
    if place.checkout:
        old_style = place.checkout / os.fsdecode(path) / ".git"
        if (old_style / "objects").is_dir():
            yield old_style
