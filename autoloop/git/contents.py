"""What a commit puts into a tree: the names of its files, folder by folder, those of its submodules included.

Held in memory, so that looking for strays in a tree needs no git, and copied cheaply from a parent to a candidate.
Submodules are found in the user's repository by git's own record of them; what the user never initialised stays an
empty folder, and is not fetched. What a partial clone lacks is fetched once, through the user's own git.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from autoloop.errors import AutoloopError
from autoloop.git.command import Git, GitFailed

GITLINK = "160000"
"""The mode of a submodule."""
NOTHING: frozenset[bytes] = frozenset()


@dataclass(frozen=True)
class Tracked:
    """One entry of a commit's tree."""

    path: bytes
    mode: str
    oid: str
    size: int = 0
    """Bytes of the file; 0 for what has none, such as a submodule."""

    @property
    def name(self) -> str:
        """The path for people and for globs: bytes that are not UTF-8 as `\\xNN`."""
        return self.path.decode("utf-8", "backslashreplace")


@dataclass(frozen=True)
class Submodule:
    """A commit of another repository that is placed as plain files."""

    path: bytes
    """The path from the root of the outermost tree."""
    commit: str
    objects: Path
    home: Path
    """The submodule's git directory in the user's repository: only read."""


@dataclass(frozen=True)
class Contents:
    """The names in a commit's tree, by folder. A folder is `b""` or ends in a slash."""

    files: Mapping[bytes, frozenset[bytes] | set[bytes]]
    folders: Mapping[bytes, frozenset[bytes] | set[bytes]]
    gitlinks: Mapping[bytes, str]
    """Paths of submodules, and the commit each is at; a folder whether it is populated or not."""
    submodules: tuple[Submodule, ...] = ()
    """The gitlinks that can be populated."""
    absent: tuple[bytes, ...] = ()
    """Paths of submodules that the user never initialised; their folders stay empty."""
    bytes_on_disk: int = 0
    """Bytes of one tree on disk; a candidate is taken to be as large as its parent."""

    def after(self, added: Iterable[bytes], removed: Iterable[bytes]) -> "Contents":
        """The contents with files added and removed. Untouched folders are shared, not copied."""
        files: dict[bytes, frozenset[bytes] | set[bytes]] = dict(self.files)
        fresh: set[bytes] = set()

        def own(folder: bytes) -> set[bytes]:
            if folder not in fresh:
                fresh.add(folder)
                files[folder] = set(files.get(folder, NOTHING))
            names = files[folder]
            assert isinstance(names, set)
            return names

        for path in removed:
            folder, name = split(path)
            own(folder).discard(name)
        for path in added:
            folder, name = split(path)
            own(folder).add(name)
        return replace(self, files=files, folders=folders_of(files, self.gitlinks))


def contents(paths: Iterable[bytes], gitlinks: Mapping[bytes, str], submodules: tuple[Submodule, ...] = ()) -> Contents:
    """Contents from a list of file paths."""
    files: defaultdict[bytes, set[bytes]] = defaultdict(set)
    for path in paths:
        cut = path.rfind(b"/") + 1
        files[path[:cut]].add(path[cut:])
    plain = dict(files)
    return Contents(plain, folders_of(plain, gitlinks), gitlinks)


def folders_of(files: Mapping[bytes, Iterable[bytes]], gitlinks: Iterable[bytes]) -> dict[bytes, set[bytes]]:
    """Every folder that leads to a file or is a submodule."""
    folders: defaultdict[bytes, set[bytes]] = defaultdict(set)
    seen = {b""}
    for folder in [
        *(folder for folder, names in files.items() if names),
        *(path + b"/" for path in gitlinks),
    ]:
        while folder not in seen:
            seen.add(folder)
            parent, name = split(folder[:-1])
            folders[parent].add(name)
            folder = parent
    return dict(folders)


def split(path: bytes) -> tuple[bytes, bytes]:
    """The folder (with its slash) and the name of a path."""
    cut = path.rfind(b"/") + 1
    return path[:cut], path[cut:]


def parse_tree(listing: bytes) -> list[Tracked]:
    """The entries of `git ls-tree -r -z`, with or without `-l`."""
    entries = []
    for line in listing.split(b"\0")[:-1]:
        about, _, path = line.partition(b"\t")
        mode, _, oid, *size = about.decode("ascii").split()
        entries.append(Tracked(path, mode, oid, int(size[0]) if size and size[0].isdigit() else 0))
    return entries


def in_cone(cone: tuple[bytes, ...], path: bytes) -> bool:
    """Whether a sparse tree holds a path: what is in the cone's folders, and the files beside the way to them."""
    if not cone:
        return True
    folder, _ = split(path)
    return any(folder.startswith(part + b"/") or (part + b"/").startswith(folder) for part in cone)


def cone_patterns(cone: tuple[bytes, ...]) -> bytes:
    """The cone as git's sparse-checkout file."""
    parents = {part[:cut] for part in cone for cut in range(len(part)) if part[cut : cut + 1] == b"/"}
    lines = [b"/*", b"!/*/"]
    for parent in sorted(parents):
        if not any((parent + b"/").startswith(part + b"/") for part in cone):
            lines += [b"/%s/" % escaped(parent), b"!/%s/*/" % escaped(parent)]
    lines += [b"/%s/" % escaped(part) for part in sorted(cone)]
    return b"\n".join(lines) + b"\n"


def escaped(path: bytes) -> bytes:
    """A path as a pattern that matches only itself."""
    return b"".join(b"\\" + bytes([byte]) if byte in b"*?[\\" else bytes([byte]) for byte in path)


def promisor(git: Git) -> str | None:
    """The remote that promised the objects which a partial clone left out; None for a whole clone."""
    listing = git("config", "-z", "--get-regexp", r"^(extensions\.partialclone|remote\..*\.promisor)$", accept=(0, 1))
    for entry in listing.decode("utf-8", "replace").split("\0"):
        key, _, value = entry.partition("\n")
        if key == "extensions.partialclone":
            return value
        if key.startswith("remote.") and value == "true":
            return key[len("remote.") : -len(".promisor")]
    return None


def complete(own: Git, users: Git, remote: str, commit: str, cone: tuple[bytes, ...]) -> None:
    """Fetch the trees of a commit, then its files as far as the cone goes: one batch each."""
    listing = ("rev-list", "--objects", "--no-walk", "--filter=blob:none", "--missing=print", commit)
    asked: set[str] = set()
    while trees := set(lacking(own(*listing))) - asked:
        fetch(users, remote, sorted(trees))
        asked |= trees
    tracked = parse_tree(own("ls-tree", "-r", "-z", commit))
    wanted = sorted({entry.oid for entry in tracked if is_needed(entry, cone)})
    names = "".join(f"{oid}\n" for oid in wanted).encode()
    answers = own("cat-file", "--batch-check", stdin=names).decode().splitlines()
    if absent := [answer.split(" ")[0] for answer in answers if answer.endswith(" missing")]:
        fetch(users, remote, absent)


def is_needed(entry: Tracked, cone: tuple[bytes, ...]) -> bool:
    """Whether a tree cannot be written without this entry."""
    return entry.mode != GITLINK and in_cone(cone, entry.path)


def lacking(listing: bytes) -> list[str]:
    """The objects that `git rev-list --missing=print` marks with `?`."""
    return [line[1:].split(" ")[0] for line in listing.decode("utf-8", "replace").splitlines() if line.startswith("?")]


def fetch(users: Git, remote: str, oids: list[str]) -> None:
    """Fetch promised objects in one batch, with the flags that git itself uses for a single one."""
    try:
        users.setting("fetch.negotiationAlgorithm=noop", "gc.auto=0", "maintenance.auto=false")(
            "fetch", remote, "--quiet", "--no-tags", "--no-write-fetch-head",
            "--recurse-submodules=no", "--filter=blob:none", "--stdin",
            stdin="".join(f"{oid}\n" for oid in oids).encode(),
        )  # fmt: skip
    except GitFailed as error:
        raise AutoloopError(
            f"this is a partial clone, and {len(oids)} objects could not be fetched from {remote}: {error.message}",
            f"Reach the remote, or complete the clone: `git fetch --refetch {remote}`.",
        ) from error


@dataclass
class Submodules:
    """The files that the submodules of a commit add to its tree."""

    tracked: list[Tracked]
    """The files, with paths from the outermost tree's root."""
    gitlinks: dict[bytes, str]
    submodules: list[Submodule]
    absent: list[bytes]


@dataclass(frozen=True)
class Place:
    """Where one repository keeps what belongs to its submodules."""

    git_dirs: tuple[Path, ...]
    checkout: Path | None


def populate(git: Git, commit: str, gitlinks: Mapping[bytes, str], place: Place, prefix: bytes = b"") -> Submodules:
    """Find every submodule of a commit, and theirs."""
    found = Submodules([], {prefix + path: oid for path, oid in gitlinks.items()}, [], [])
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
