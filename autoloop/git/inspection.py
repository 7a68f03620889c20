"""Looking at what an agent left in its tree: what changed, what is new, and what no candidate may hold.

Changes nothing but for three repairs: closed folders and files are opened, and nested git directories are set aside.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from autoloop.git.command import Git, display
from autoloop.git.contents import Contents, in_cone, split
from autoloop.git.walk import LONGEST_PATH, Spared, files_below, is_real_folder, remove, strays

MOST_FILES = 20_000
"""Files that a candidate may change at most: the journal names each one, and a run is replayed from it."""
DIFFER = ("diff-files", "--raw", "-z", "--no-renames")
KINDS = {stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}


@dataclass(frozen=True)
class Layer:
    """One repository's part of a tree: the user's, or a submodule's."""

    prefix: bytes
    """The path in the outermost tree at which it begins: `b""`, or one with a slash at its end."""
    commit: str
    git: Git
    index: Path


@dataclass(frozen=True)
class Rules:
    """The paths that never enter a candidate."""

    spared: Spared
    """Caches and shared paths, which are not even looked at."""
    keep_out: Spared
    cone: tuple[bytes, ...]
    max_bytes: float
    shared: tuple[bytes, ...]
    """What the shared paths lead to in the user's checkout."""


def ignored(layer: Layer, paths: list[bytes]) -> set[bytes]:
    """The paths that the tree's own ignore rules leave out."""
    if not paths:
        return set()
    cut = len(layer.prefix)
    # The dot keeps a name such as `:(top)x` from being read as a pattern.
    asked = b"".join(b"./" + path[cut:] + b"\0" for path in paths)
    answer = layer.git("check-ignore", "--no-index", "-z", "--stdin", stdin=asked, accept=(0, 1))
    return {layer.prefix + path[2:] for path in answer.split(b"\0")[:-1]}


@dataclass
class Findings:
    """The changes that an agent left, as paths from the tree's root."""

    present: dict[bytes, int] = field(default_factory=dict)
    """New or changed, to be taken; with sizes in bytes."""
    removed: list[bytes] = field(default_factory=list)
    breaches: dict[str, None] = field(default_factory=dict)
    """In the order in which they were found, each once."""
    ignored: list[bytes] = field(default_factory=list)
    """New, and left out by the tree's own ignore rules."""

    def excess(self, git: Git, most: float) -> str | None:
        """Why the candidate is too large, naming its largest file; None when it is not."""
        if sum(self.present.values()) > most or len(self.present) > MOST_FILES:
            self._drop_untouched(git)
        if (size := sum(self.present.values())) > most:
            largest = max(self.present, key=lambda path: self.present[path])
            return f"{display(largest)}: makes a candidate of {size / 1e6:,.0f} MB, over max_candidate_mb"
        files = len(self.present) + len(self.removed)
        return f"{files:,} changed files, and {MOST_FILES:,} at most" if files > MOST_FILES else None

    def _drop_untouched(self, git: Git) -> None:
        """Forget the files that were rewritten with what they held: their times alone have changed."""
        differing = set(git("ls-files", "-z", "--modified", "--deleted").split(b"\0"))
        listed = set(git("ls-files", "-z").split(b"\0"))
        self.present = {path: size for path, size in self.present.items() if path in differing or path not in listed}


@dataclass(frozen=True)
class TreeDifference:
    """A tracked file that is not as the index has it."""

    path: bytes
    is_gone: bool


def inspect(tree: bytes, layers: list[Layer], contents: Contents, rules: Rules, aside: Path) -> Findings:
    """Look at the whole tree. git looks at what it knows while we look for what it does not."""
    layers = [layer for layer in layers if is_real(tree, layer.prefix)]
    running = [layer.git.start(*DIFFER) for layer in layers]
    found = Findings()
    new = by_submodule(short_enough(new_files(tree, contents, rules.spared, aside), found), contents)
    for layer, differing in zip(layers, running, strict=True):
        outcome = differing.outcome()
        # Folders that were closed when git looked are open now.
        listing = layer.git(*DIFFER) if outcome.errors else outcome.output
        fresh = new.pop(layer.prefix, [])
        hidden = ignored(layer, fresh)
        found.ignored += [path for path in fresh if path in hidden]
        for path in fresh:
            if path not in hidden:
                take(path, tree, contents, rules, found)
        for difference in differences(listing, layer.prefix):
            if difference.is_gone and is_allowed(difference.path, contents, rules, found):
                found.removed.append(difference.path)
            elif not difference.is_gone:
                take(difference.path, tree, contents, rules, found)
    for path in (path for paths in new.values() for path in paths):
        is_allowed(path, contents, rules, found)
    return found


def take(path: bytes, tree: bytes, contents: Contents, rules: Rules, found: Findings) -> None:
    """Add a file to the findings, or note why it cannot be taken."""
    if not is_allowed(path, contents, rules, found):
        return
    try:
        about = os.lstat(tree + b"/" + path)
    except FileNotFoundError:
        return
    kind = stat.S_IFMT(about.st_mode)
    if kind in KINDS:
        found.breaches[f"{display(path)}: {KINDS[kind]}"] = None
    elif path in rules.spared.leading:
        found.breaches[f"{display(path)}: stands in the way of a cache or shared path"] = None
    elif kind == stat.S_IFREG and not made_readable(tree + b"/" + path, about.st_mode):
        found.breaches[f"{display(path)}: cannot be read"] = None
    else:
        found.present[path] = about.st_size


def is_allowed(path: bytes, contents: Contents, rules: Rules, found: Findings) -> bool:
    """Whether a candidate may touch this path; a breach is noted."""
    if rules.spared.holds(path) or rules.keep_out.holds(path):
        return False
    if submodule_of(path, contents.gitlinks):
        found.breaches[f"{display(path)}: inside a submodule"] = None
        return False
    if not in_cone(rules.cone, path):
        found.breaches[f"{display(path)}: outside the sparse folders"] = None
        return False
    return True


def new_files(tree: bytes, contents: Contents, spared: Spared, aside: Path) -> Iterator[bytes]:
    """Files that the commit does not list. A nested git directory is moved out, and its files count as files."""
    remove(os.fsencode(aside))
    number = 0
    for stray in strays(tree, contents, spared):
        enters = stray.is_folder and split(stray.path)[1] != b".git"
        for path in files_below(tree, stray.path) if enters else [stray.path]:
            if split(path)[1] != b".git":
                yield path
                continue
            aside.mkdir(parents=True, exist_ok=True)
            number += 1
            os.rename(tree + b"/" + path, os.fsencode(aside / str(number)))


def short_enough(paths: Iterable[bytes], found: Findings) -> Iterator[bytes]:
    """The paths that a checkout can hold; one that is too long is noted as a breach."""
    for path in paths:
        if len(path) > LONGEST_PATH:
            found.breaches[f"{display(path[:60])}…: the path has more than {LONGEST_PATH:,} bytes"] = None
        else:
            yield path


def by_submodule(paths: Iterable[bytes], contents: Contents) -> dict[bytes, list[bytes]]:
    """Paths grouped by the submodule that they lie in, `b""` for none."""
    groups: dict[bytes, list[bytes]] = {}
    for path in paths:
        groups.setdefault(submodule_of(path, contents.gitlinks), []).append(path)
    return groups


def submodule_of(path: bytes, gitlinks: Iterable[bytes]) -> bytes:
    """The innermost submodule that a path is or lies in, with a slash at its end; `b""` for none."""
    inside = [link for link in gitlinks if path == link or path.startswith(link + b"/")]
    return max(inside, key=len) + b"/" if inside else b""


def differences(listing: bytes, prefix: bytes) -> Iterator[TreeDifference]:
    """The entries of `git diff-files --raw -z`."""
    fields = listing.split(b"\0")[:-1]
    for about, path in zip(fields[::2], fields[1::2], strict=True):
        # A submodule that seems to be at another commit: its files are looked at one by one.
        if about.startswith(b":160000 160000"):
            continue
        yield TreeDifference(prefix + path, about.endswith(b"D"))


def made_readable(path: bytes, mode: int) -> bool:
    """Whether a file can be read, at least after opening it to its owner."""
    if os.access(path, os.R_OK):
        return True
    try:
        os.chmod(path, stat.S_IMODE(mode) | stat.S_IRUSR)
    except PermissionError:
        return False
    return os.access(path, os.R_OK)


def is_real(tree: bytes, prefix: bytes) -> bool:
    """Whether a layer's folder is still a folder, with no symlink on the way to it."""
    parts = prefix.split(b"/")[:-1]
    return all(is_real_folder(b"/".join([tree, *parts[:count]])) for count in range(1, len(parts) + 1))


def names_of_ignored(paths: list[bytes], taken: Iterable[bytes], contents: Contents, most: int) -> tuple[str, ...]:
    """The ignored paths as people read them: a folder of which nothing was taken stands for its files."""
    holding = {folder for path in taken for folder in folders_above(path)}
    names: dict[str, None] = {}
    for path in sorted(paths):
        if b"__pycache__" in path.split(b"/"):
            continue
        above = [folder for folder in folders_above(path) if folder not in holding and not is_listed(folder, contents)]
        names[display(above[0] if above else path)] = None
        if len(names) == most:
            break
    return tuple(names)


def folders_above(path: bytes) -> list[bytes]:
    """The folders that lead to a path, outermost first, each with a slash at its end."""
    return [path[: cut + 1] for cut in range(len(path)) if path[cut : cut + 1] == b"/"]


def is_listed(folder: bytes, contents: Contents) -> bool:
    """Whether the commit has this folder."""
    parent, name = split(folder[:-1])
    return name in contents.folders.get(parent, ())


def leads_out(tree: bytes, path: bytes, shared: tuple[bytes, ...]) -> bool:
    """Whether a symlink leaves the tree, on paper or in fact. A shared path is a way out that the user chose."""
    target = os.readlink(tree + b"/" + path)
    depth = path.count(b"/")
    for part in target.split(b"/"):
        depth += -1 if part == b".." else part not in (b"", b".")
        if depth < 0:
            return True
    real = os.path.realpath(tree + b"/" + path)
    return target.startswith(b"/") or not any(
        real == root or real.startswith(root + b"/") for root in (os.path.realpath(tree), *shared)
    )
