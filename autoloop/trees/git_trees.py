"""The trees of a run: the agent's, and the slots a and b in which commits are measured.

`place` makes a tree equal to a commit, `capture` makes a commit of the agent's tree, `settle` moves the refs. The
user's checkout, index, branches and config are never touched, and nothing in a tree is trusted: what git knows of
a tree is kept outside of it.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from autoloop.core.candidate import Capture
from autoloop.errors import AutoloopError
from autoloop.git import Git, GitFailed, bare_environment, display, users_git
from autoloop.repository import Repository
from autoloop.trees.commits import capture_files
from autoloop.trees.contents import Contents, Tracked, cone_patterns
from autoloop.trees.gitdirs import Likeness, SmallGit, own_config, write_git_dir
from autoloop.trees.inspection import Layer, Rules
from autoloop.trees.missing import complete, promisor
from autoloop.trees.opening import Opening, likeness, list_tree, read_contents, warnings
from autoloop.trees.refs import Refs
from autoloop.trees.walk import Spared, clean, explained, link, make_real, mount_point, remove_folder

SLOTS = {"agent": "0", "a": "a", "b": "b"}
"""Names of equal length: a measurement must not depend on the slot that it runs in."""
REMEMBERED = 6
"""Commits whose contents are held in memory."""
BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class TreeOptions:
    """What a program wants of its trees. Paths are relative to the repository's root."""

    cache_paths: tuple[str, ...] = ()
    share_paths: tuple[str, ...] = ()
    sparse: tuple[str, ...] = ()
    max_candidate_mb: float = 100
    keep_out: tuple[str, ...] = ()
    """Paths that never enter a candidate, though they may be written to."""
    bound: bool = False
    """Whether a sandbox puts what is shared in its place; else there are symlinks."""
    objects: Path | None = None
    """Where the git of a tree finds the repository's objects, if not at their own path."""


class GitTrees:
    """Trees in a private directory, which may be deleted between runs: it is rebuilt."""

    def __init__(
        self, repository: Repository, home: Path, run_id: str, branch: str, options: TreeOptions | None = None
    ) -> None:
        options = options or TreeOptions()
        self.repository, self.home, self.options = repository, home, options
        self._branch = branch
        self._refs = Refs(repository.common_dir, run_id, branch)
        self._caches = relative_paths("cache_paths", options.cache_paths)
        self._shares = relative_paths("share_paths", options.share_paths)
        self._cone = relative_paths("sparse", options.sparse)
        self._rules = Rules(
            spared=Spared.of(b".git", *self._caches, *self._shares),
            keep_out=Spared.of(*relative_paths("keep_out", options.keep_out)),
            cone=self._cone,
            max_bytes=options.max_candidate_mb * 1e6,
            shared=tuple(os.path.realpath(self._real(share)) for share in self._shares),
        )
        self._held: dict[str, Contents] = {}
        self._indexed: dict[Path, str] = {}
        """The commit that each index was last brought to, as far as this process knows."""

    def open(self, commit: str) -> Opening:
        """Prepare for a run from `commit`: pin it, fetch what is missing, say what is needed. Writes no tree."""
        with explained(self.home):
            self._drop_doubtful_indexes()
            self._refs.begin(commit)
            held = self._contents(commit)
            said = warnings(self._own, self.repository, commit, held, self.options.share_paths)
            return Opening(tuple(said), len(SLOTS) * held.bytes_on_disk)

    def path(self, slot: str) -> Path:
        """Where a slot's tree is: `agent`, `a` or `b`."""
        return self.home / "t" / SLOTS[slot]

    def place(self, slot: str, commit: str, *, keep_caches: bool = True) -> Path:
        """Make the tree equal to the commit, whatever is in it now; caches survive unless they are unwanted."""
        held = self._contents(commit)
        tree = self.path(slot)
        root = os.fsencode(tree)
        spared = self._rules.spared if keep_caches else Spared.of(b".git", *self._shares)
        with explained(tree):
            make_real(os.fsencode(self.home), b"t/" + os.fsencode(tree.name))
            # Before git looks: behind a folder that became a symlink it would find files that seem untouched.
            clean(root, held, spared)
            for layer in self._layers(slot, commit, held):
                self._check_out(layer)
            for path in self._caches if keep_caches else ():
                make_real(root, path)
            for path in self._shares:
                (mount_point if self.options.bound else link)(root, path, self._real(path))
            self._small_git.write(tree, commit, self._index(slot))
        return tree

    def capture(self, experiment: int, parent: str, *, at: float, message: str) -> Capture:
        """Commit what the agent's tree holds as a child of `parent`, and pin it. Repeatable."""
        held = self._contents(parent)
        tree = self.path("agent")
        with explained(tree):
            layers = self._layers("agent", parent, held)
            for layer in layers:
                self._expect(layer)
            self._indexed.pop(layers[0].index, None)
            captured = capture_files(
                os.fsencode(tree), layers, held, self._rules, self.home / "aside", at=at, message=message
            )
        candidate = captured.capture.candidate
        if candidate:
            self._refs.pin(experiment, candidate.commit)
            self._remember(candidate.commit, captured.contents)
        return captured.capture

    def settle(self, *, head: str, previous: str) -> str | None:
        """Move the run's head, and the branch with it; a sentence when the branch was left where it is."""
        return self._refs.settle(head, previous)

    def strip(self, slot: str, remove: Callable[[str], bool]) -> int:
        """Delete the tracked files of a placed tree for which `remove` is true, and count them.

        Folders that this empties go too: Python imports an empty one as a package.
        """
        held = self._contents(self._indexed[self._index(slot)])
        root = os.fsencode(self.path(slot)) + b"/"
        doomed = [
            folder + name
            for folder, names in held.files.items()
            for name in names
            # What is shared leads into the user's checkout.
            if not (folder + name + b"/").startswith(tuple(share + b"/" for share in self._shares))
            and remove(display(folder + name))
        ]
        for path in doomed:
            with suppress(FileNotFoundError):
                os.unlink(root + path)
        for folder in sorted({path.rpartition(b"/")[0] for path in doomed} - {b""}, reverse=True):
            with suppress(OSError):
                os.removedirs(root + folder)
        return len(doomed)

    def tracked(self, commit: str) -> list[Tracked]:
        """Every file of a commit, with mode and object name."""
        return list_tree(self._own, commit)

    def forget(self, *, pins: bool = False) -> None:
        """Remove the run's trees and all that can be rebuilt; with `pins` its refs too, but for the branch."""
        if pins:
            self._refs.drop()
        if self.home.exists():
            remove_folder(os.fsencode(self.home))
        self.__dict__.pop("_own", None)
        self._indexed.clear()

    @cached_property
    def _own(self) -> Git:
        """Git with a directory of our own, whose objects are the user's."""
        folder = self.home / "git"
        files = {"info/exclude": b""}
        if self._cone:
            files["info/sparse-checkout"] = cone_patterns(self._cone)
        with explained(folder):
            config = own_config(self._like, sparse=bool(self._cone))
            write_git_dir(folder, config, self._like, "ref: refs/heads/none", files)
        places = {"GIT_DIR": str(folder), "GIT_OBJECT_DIRECTORY": str(self.repository.common_dir / "objects")}
        return Git(self.home, bare_environment() | places)

    @cached_property
    def _small_git(self) -> SmallGit:
        exclude = b"".join(b"/%s\n" % path for path in (*self._caches, *self._shares))
        sparse = cone_patterns(self._cone) if self._cone else b""
        like = replace(self._like, objects=self.options.objects or self._like.objects)
        return SmallGit(like, self._branch, exclude, sparse)

    @cached_property
    def _like(self) -> Likeness:
        return likeness(self.repository)

    @cached_property
    def _promisor(self) -> str | None:
        return promisor(users_git(self.repository.root))

    def _contents(self, commit: str) -> Contents:
        held = self._held.get(commit)
        if held is None:
            if self._promisor:
                complete(self._own, users_git(self.repository.root), self._promisor, commit, self._cone)
            held = read_contents(self._own, self.repository, commit, self._cone)
        self._remember(commit, held)
        return held

    def _remember(self, commit: str, held: Contents) -> None:
        self._held.pop(commit, None)
        self._held[commit] = held
        if len(self._held) > REMEMBERED:
            del self._held[next(iter(self._held))]

    def _real(self, path: bytes) -> bytes:
        return os.fsencode(self.repository.root) + b"/" + path

    def _index(self, slot: str) -> Path:
        return self.home / "index" / SLOTS[slot]

    def _layers(self, slot: str, commit: str, held: Contents) -> list[Layer]:
        tree, index = self.path(slot), self._index(slot)
        layers = [Layer(b"", commit, self._own.over(tree, index), index)]
        for submodule in held.submodules:
            inner = index.with_name(f"{index.name}.{sha256(submodule.path).hexdigest()[:16]}")
            git = self._own.having(GIT_OBJECT_DIRECTORY=submodule.objects)
            git = git.over(tree / os.fsdecode(submodule.path), inner).setting("core.sparseCheckout=false")
            layers.append(Layer(submodule.path + b"/", submodule.commit, git, inner))
        return layers

    def _check_out(self, layer: Layer) -> None:
        """Write every file that differs from the commit, by our own record of what we wrote."""
        layer.git.folder.mkdir(parents=True, exist_ok=True)
        self._read_tree(layer.git, layer, "-u")
        self._indexed[layer.index] = layer.commit

    def _expect(self, layer: Layer) -> None:
        """Have the index list the commit: after a restart it may hold half of a capture."""
        if self._indexed.get(layer.index) != layer.commit or not layer.index.exists():
            elsewhere = Git(self.home, layer.git.environment, layer.git.options)
            self._read_tree(elsewhere, layer)

    def _read_tree(self, git: Git, layer: Layer, *options: str) -> None:
        layer.index.parent.mkdir(exist_ok=True)
        try:
            git("read-tree", "--reset", *options, layer.commit)
        except GitFailed:
            layer.index.unlink(missing_ok=True)
            layer.index.with_name(layer.index.name + ".lock").unlink(missing_ok=True)
            git("read-tree", "--reset", *options, layer.commit)

    def _drop_doubtful_indexes(self) -> None:
        """A killed git leaves a lock; after a power loss a file may be less than its index says."""
        folder = self.home / "index"
        folder.mkdir(parents=True, exist_ok=True)
        boot = BOOT.read_bytes() if BOOT.exists() else b""
        mark = folder / "boot"
        same = mark.exists() and mark.read_bytes() == boot
        for index in folder.glob("*.lock" if same else "*"):
            index.unlink(missing_ok=True)
        mark.write_bytes(boot)


def relative_paths(field: str, paths: tuple[str, ...]) -> tuple[bytes, ...]:
    """Paths as git spells them; an error for one that is not below the repository's root."""
    found = []
    for path in paths:
        normal = os.path.normpath(path)
        if not path or os.path.isabs(path) or normal in (".", "..", ".git") or normal.startswith(("../", ".git/")):
            raise AutoloopError(f"{field}: {path!r} is not a path inside the repository", "Give it from the root.")
        found.append(os.fsencode(normal))
    return tuple(found)
