"""What is learned of the user's repository when a run opens: its format, tags, contents, and what to warn of."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

from autoloop.errors import AutoloopError
from autoloop.git.command import Git, display, users_git
from autoloop.git.contents import GITLINK, Contents, Place, Tracked, contents, in_cone, parse_tree, populate, split
from autoloop.git.gitdirs import Likeness
from autoloop.git.repository import Repository

BLOCK = 4096
LFS = b"version https://git-lfs.github.com/spec/"
LARGEST_POINTER = 1024


def warnings(git: Git, repository: Repository, commit: str, held: Contents, shares: tuple[str, ...]) -> Iterator[str]:
    """Warnings of what the trees will lack or have otherwise than the checkout."""
    for path in held.absent:
        yield f"The submodule {display(path)} is not initialised: its folder stays empty in the trees."
    if pointers := lfs_pointers(git, commit):
        rest = f" and {len(pointers) - 1} more" if len(pointers) > 1 else ""
        yield f"{display(pointers[0])}{rest} stay LFS pointers in the trees: share the real files with share_paths."
    if (repository.common_dir / "shallow").exists():
        yield "This is a shallow clone: agents and tools see a history that is cut off."
    for share in shares:
        if not os.path.lexists(repository.root / share):
            yield f"share_paths: {share} does not exist in {repository.root}."


@dataclass(frozen=True)
class Opening:
    """What is told when a run opens its repository, before any tree is written."""

    warnings: tuple[str, ...]
    bytes_needed: int
    """Bytes on disk that three trees will take."""


def likeness(repository: Repository) -> Likeness:
    """The settings that our git directories must share with the user's."""
    git = users_git(repository.root)
    shared = git.text("config", "--get", "core.sharedRepository", accept=(0, 1))
    shallow = repository.common_dir / "shallow"
    return Likeness(
        objects=repository.common_dir / "objects",
        object_format="sha256" if len(repository.head) == 64 else "sha1",
        shared=shared or None,
        shallow=shallow.read_bytes() if shallow.exists() else None,
        tags=packed_tags(git),
    )


def packed_tags(git: Git) -> bytes:
    """The tags as git packs them, so that `git describe` answers in a tree as it does in the checkout."""
    form = "%(objectname) %(refname)%(if)%(*objectname)%(then)%0a^%(*objectname)%(end)"
    return git("for-each-ref", f"--format={form}", "refs/tags")


def read_contents(git: Git, repository: Repository, commit: str, cone: tuple[bytes, ...]) -> Contents:
    """The contents of a commit's tree, its submodules included."""
    tracked = [entry for entry in list_tree(git, commit) if in_cone(cone, entry.path)]
    gitlinks = {entry.path: entry.oid for entry in tracked if entry.mode == GITLINK}
    paths = [entry.path for entry in tracked if entry.mode != GITLINK]
    size = sum(on_disk(entry) for entry in tracked)
    if not gitlinks:
        return replace(contents(paths, {}), bytes_on_disk=size)
    place = Place(tuple({repository.git_dir, repository.common_dir}), repository.root)
    found = populate(git, commit, gitlinks, place)
    below = [entry for entry in found.tracked if entry.mode != GITLINK]
    return replace(
        contents([*paths, *(entry.path for entry in below)], found.gitlinks),
        submodules=tuple(found.submodules),
        absent=tuple(found.absent),
        bytes_on_disk=size + sum(on_disk(entry) for entry in below),
    )


def list_tree(git: Git, commit: str) -> list[Tracked]:
    """Every entry of a commit, with sizes."""
    return parse_tree(git("ls-tree", "-r", "-l", "-z", commit))


def on_disk(entry: Tracked) -> int:
    """Bytes that a file takes on disk, in whole blocks."""
    return -(-entry.size // BLOCK) * BLOCK


def lfs_pointers(git: Git, commit: str) -> list[bytes]:
    """The files that are Git LFS pointers, in a repository that uses LFS."""
    tracked = list_tree(git, commit)
    rules = [entry for entry in tracked if split(entry.path)[1] == b".gitattributes"]
    if not any(b"filter=lfs" in content for content in blobs(git, rules)):
        return []
    small = [entry for entry in tracked if 0 < entry.size < LARGEST_POINTER]
    return [entry.path for entry, content in zip(small, blobs(git, small), strict=True) if content.startswith(LFS)]


def blobs(git: Git, entries: list[Tracked]) -> Iterator[bytes]:
    """The contents of files, from one `git cat-file --batch`."""
    if not entries:
        return
    answer = git("cat-file", "--batch", stdin="".join(f"{entry.oid}\n" for entry in entries).encode())
    at = 0
    for _ in entries:
        end = answer.index(b"\n", at)
        about = answer[at:end].split(b" ")
        size = int(about[2]) if len(about) == 3 else -1
        yield answer[end + 1 : end + 1 + size] if size >= 0 else b""
        at = end + 1 + (size + 1)


def relative_paths(field: str, paths: tuple[str, ...]) -> tuple[bytes, ...]:
    """Paths as git spells them; an error for one that is not below the repository's root."""
    found = []
    for path in paths:
        normal = os.path.normpath(path)
        if not path or os.path.isabs(path) or normal in (".", "..", ".git") or normal.startswith(("../", ".git/")):
            raise AutoloopError(f"{field}: {path!r} is not a path inside the repository", "Give it from the root.")
        found.append(os.fsencode(normal))
    return tuple(found)
