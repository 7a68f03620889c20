"""Writing git directories: the run's own, and the small `.git` of each tree.

The small ones are for the comfort of agents and tools. The loop writes them and never reads them.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autoloop.git.command import EMAIL, NAME
from autoloop.git.contents import Contents
from autoloop.git.walk import Spared, clean, make_real

BOOT = Path("/proc/sys/kernel/random/boot_id")
# Files are taken as they are: no filter, no line endings, no keyword, no diff driver of the tree's choosing.
ATTRIBUTES = b"* -filter -text -eol -ident -working-tree-encoding !diff\n"
_EMPTY = Contents({}, {}, {})
_FOLDERS = Spared.of(b"objects/info/", b"refs/heads/", b"info/")
"""Folders of every git directory: they stay when it is emptied."""


@dataclass(frozen=True)
class Likeness:
    """Settings that a git directory must share with the user's repository: object format, sharing, tags."""

    objects: Path
    object_format: str
    shared: str | None
    """`core.sharedRepository`, so that others can still read what we add."""
    shallow: bytes | None
    tags: bytes
    """The tags as lines of a packed-refs file."""


def own_config(like: Likeness, *, sparse: bool) -> str:
    """Settings of the git directory through which the loop works. None of them comes from elsewhere."""
    lines = [
        *format_of(like),
        "bare = false",
        "fileMode = true",
        "symlinks = true",
        "autocrlf = false",
        "quotePath = false",
        "trustCtime = true",
        "fsmonitor = false",
        "untrackedCache = false",
        "hooksPath = /dev/null",
        "excludesFile = /dev/null",
        "attributesFile = /dev/null",
        "protectHFS = true",
        "protectNTFS = true",
        # Git does not flush loose objects by default (core.fsync in git-config(1)): after a power cut the journal
        # could name a commit that is not there.
        "fsync = loose-object,pack,pack-metadata,reference",
        # A text file above this is taken as binary: its diff would cost more memory than the loop has.
        "bigFileThreshold = 32m",
        f"sparseCheckout = {str(sparse).lower()}",
        f"sparseCheckoutCone = {str(sparse).lower()}",
        *([f"sharedRepository = {like.shared}"] if like.shared else []),
        "[gc]\nauto = 0",
        "[maintenance]\nauto = false",
        "[diff]\nrenames = false\nnoprefix = false\nmnemonicPrefix = false",
    ]
    return "\n".join(lines) + "\n"


def small_config(like: Likeness, *, sparse: bool) -> str:
    """Settings of a tree's own `.git`: quick, and able to commit without a person's identity or key."""
    lines = [
        *format_of(like),
        "bare = false",
        "fsmonitor = false",
        "untrackedCache = false",
        "autocrlf = false",
        f"sparseCheckout = {str(sparse).lower()}",
        f"sparseCheckoutCone = {str(sparse).lower()}",
        f"[user]\nname = {NAME}\nemail = {EMAIL}",
        "[commit]\ngpgSign = false",
        "[gc]\nauto = 0",
    ]
    return "\n".join(lines) + "\n"


def format_of(like: Likeness) -> list[str]:
    """The head of a config file, up to the section `core`."""
    if like.object_format == "sha1":
        return ["[core]", "repositoryFormatVersion = 0"]
    return [f"[extensions]\nobjectFormat = {like.object_format}", "[core]", "repositoryFormatVersion = 1"]


def write_git_dir(folder: Path, config: str, like: Likeness, head: str, files: Mapping[str, bytes]) -> None:
    """Write a git directory that borrows the user's objects. What exists is overwritten, not emptied."""
    base = str(folder)
    for part in ("objects/info", "refs/heads", "info"):
        os.makedirs(f"{base}/{part}", exist_ok=True)
    contents = {
        "config": config.encode(),
        "HEAD": f"{head}\n".encode(),
        # Stores that this one borrows from, one a line (gitrepository-layout(5)): nothing of the user's is copied.
        "objects/info/alternates": os.fsencode(like.objects) + b"\n",
        "info/attributes": ATTRIBUTES,
        **({"shallow": like.shallow} if like.shallow is not None else {}),
        **files,
    }
    for name, content in contents.items():
        with open(f"{base}/{name}", "wb", buffering=0) as file:
            file.write(content)


@dataclass(frozen=True)
class SmallGit:
    """The `.git` that each tree of the run is given, for agents and tools."""

    like: Likeness
    branch: str
    exclude: bytes
    sparse: bytes
    """The sparse-checkout file, or nothing."""

    def write(self, tree: Path, commit: str, index: Path) -> None:
        """Give a tree a fresh `.git`, on the run's branch at `commit`. Whatever was there goes."""
        folder = tree / ".git"
        make_real(os.fsencode(tree), b".git")
        # Not removed whole: making and removing folders is what a journaling disk is slowest at.
        clean(os.fsencode(folder), _EMPTY, _FOLDERS)
        files = {
            "packed-refs": b"# pack-refs with: peeled fully-peeled sorted \n"
            + f"{commit} refs/heads/{self.branch}\n".encode()
            + self.like.tags,
            "info/exclude": self.exclude,
        }
        if self.sparse:
            files["info/sparse-checkout"] = self.sparse
        config = small_config(self.like, sparse=bool(self.sparse))
        write_git_dir(folder, config, self.like, f"ref: refs/heads/{self.branch}", files)
        # A copy: whoever works in the tree may write to it.
        shutil.copyfile(index, folder / "index")


def drop_doubtful_indexes(folder: Path) -> None:
    """A killed git leaves a lock; after a power loss a file may be less than its index says."""
    folder.mkdir(parents=True, exist_ok=True)
    boot, mark = boot_id(), folder / "boot"
    same = mark.exists() and mark.read_bytes() == boot
    for index in folder.glob("*.lock" if same else "*"):
        index.unlink(missing_ok=True)
    mark.write_bytes(boot)


def boot_id() -> bytes:
    """The id of this start of the system (`/proc/sys/kernel/random/boot_id`); empty where there is none."""
    return BOOT.read_bytes() if BOOT.exists() else b""
