"""What a commit puts into a tree: the names of its files, folder by folder.

Held in memory so that looking for strays in a tree needs no git, and copied cheaply from a parent to a candidate.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

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
    """Bytes; 0 for what has no file."""

    @property
    def name(self) -> str:
        """The path for people and for globs: bytes that are not UTF-8 as `\\xNN`."""
        return self.path.decode("utf-8", "backslashreplace")


@dataclass(frozen=True)
class Submodule:
    """A commit of another repository that is placed as plain files."""

    path: bytes
    """From the root of the outermost tree."""
    commit: str
    objects: Path
    home: Path
    """Its git directory in the user's repository: only read."""


@dataclass(frozen=True)
class Contents:
    """Names by folder. A folder is `b""` or ends in a slash."""

    files: Mapping[bytes, frozenset[bytes] | set[bytes]]
    folders: Mapping[bytes, frozenset[bytes] | set[bytes]]
    gitlinks: Mapping[bytes, str]
    """Paths of submodules, and the commit each is at; a folder whether it is populated or not."""
    submodules: tuple[Submodule, ...] = ()
    """Those of the gitlinks that can be populated."""
    absent: tuple[bytes, ...] = ()
    """Those that cannot: the user never initialised them."""
    bytes_on_disk: int = 0
    """Of one tree; a candidate is taken to be as large as its parent."""

    def after(self, added: Iterable[bytes], removed: Iterable[bytes]) -> "Contents":
        """The same with some files more and some less. Untouched folders are shared, not copied."""
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
    """Folder (with its slash) and name."""
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
