"""The trees of a run: the agent's, and the slots a and b in which commits are measured.

`place` makes a tree equal to a commit, `capture` makes a commit of the agent's tree, `settle` moves the refs. The
user's checkout, index, branches and config are never touched, and nothing in a tree is trusted: what git knows of
a tree is kept outside of it.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path

from autoloop.core.run.candidate import Capture
from autoloop.errors import AutoloopError
from autoloop.git.caches import Caches
from autoloop.git.command import Git, bare_environment, display, users_git
from autoloop.git.commits import capture_files, read_tree
from autoloop.git.contents import Contents, Tracked, complete, cone_patterns, promisor
from autoloop.git.gitdirs import Likeness, SmallGit, drop_doubtful_indexes, own_config, write_git_dir
from autoloop.git.homes import Presence
from autoloop.git.inspection import Layer, Rules
from autoloop.git.objects import Objects
from autoloop.git.opening import Opening, likeness, list_tree, read_contents, relative_paths, warnings
from autoloop.git.refs import Refs
from autoloop.git.repository import Repository
from autoloop.git.walk import Spared, clean, explained, link, make_real, mount_point, remove, unlink_all

SLOTS = {"agent": "0", "a": "a", "b": "b"}
"""Names of equal length: a measurement must not depend on the slot that it runs in."""
REMEMBERED = 6
"""The number of commits whose contents are held in memory."""


@dataclass(frozen=True)
class TreeOptions:
    """The settings of a program that shape its trees. Paths are relative to the repository's root."""

    cache_paths: tuple[str, ...] = ()
    share_paths: tuple[str, ...] = ()
    sparse: tuple[str, ...] = ()
    max_candidate_mb: float = 100
    keep_out: tuple[str, ...] = ()
    """Paths that never enter a candidate, though they may be written to."""
    bound: bool = False
    """Whether a sandbox binds shared paths in their place; else they are symlinks."""
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
        self._caches = Caches(home, relative_paths("cache_paths", options.cache_paths), self.path)
        self._shares = relative_paths("share_paths", options.share_paths)
        self._cone = relative_paths("sparse", options.sparse)
        self._rules = Rules(
            spared=Spared.of(b".git", *self._caches.paths, *self._shares),
            keep_out=Spared.of(*relative_paths("keep_out", options.keep_out)),
            cone=self._cone,
            max_bytes=options.max_candidate_mb * 1e6,
            shared=tuple(os.path.realpath(self._real(share)) for share in self._shares),
        )
        self._objects = Objects(home / "git", repository.common_dir)
        self._presence = Presence(home)
        self._held: dict[str, Contents] = {}
        self._indexed: dict[Path, str] = {}
        """The commit that each index was last brought to, as far as this process knows."""

    def open(self, commit: str) -> Opening:
        """Prepare for a run from `commit`: pin it, fetch what is missing, say what is needed. Writes no tree."""
        with explained(self.home):
            drop_doubtful_indexes(self.home / "index")
            self._caches.open(commit)
            self._refs.begin(commit)
            self._objects.repair()
            held = self._contents(commit)
            said = warnings(self._own, self.repository, commit, held, self.options.share_paths)
            return Opening(tuple(said), len(SLOTS) * held.bytes_on_disk)

    def path(self, slot: str) -> Path:
        """Where a slot's tree is: `agent`, `a` or `b`."""
        return self.home / "t" / SLOTS[slot]

    def place(self, slot: str, commit: str, *, keep_caches: bool = True) -> Path:
        """Make the tree equal to the commit, whatever is in it now; caches as a trusted commit left them, or none."""
        self._renew()
        held, tree = self._contents(commit), self.path(slot)
        root = os.fsencode(tree)
        with explained(tree):
            os.makedirs(self.home, exist_ok=True)
            make_real(os.fsencode(self.home), b"t/" + os.fsencode(tree.name))
            # Before git looks: behind a folder that became a symlink it would find files that seem untouched.
            clean(root, held, self._rules.spared)
            if not self.intact(slot):
                self._caches.trust(slot, False)
            self._caches.place(slot, commit, keep=keep_caches)
            if not keep_caches:
                self._begin_anew(slot, commit, held)
            for layer in self._layers(slot, commit, held):
                self._check_out(layer)
            for path in self._shares:
                (mount_point if self.options.bound else link)(root, path, self._real(path))
            self._small_git.write(tree, commit, self._index(slot))
            self._presence.note(tree)
        return tree

    def intact(self, slot: str, commit: str | None = None) -> bool:
        """Whether a slot's tree is still the one that was placed, with every file of the commit when one is given."""
        return self._presence.intact(self.path(slot), self._contents(commit) if commit else None)

    def capture(self, experiment: int, parent: str, *, at: float, message: str) -> Capture:
        """Commit what the agent's tree holds as a child of `parent`, and pin it. Repeatable."""
        self._renew()
        held, tree = self._contents(parent), self.path("agent")
        if not self.intact("agent"):
            return Capture(None, ("the tree itself: gone, or moved away",), lost=not os.path.lexists(tree))
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
                self._objects.pinned(partial(self._refs.pin, experiment, candidate.commit))
                self._remember(candidate.commit, captured.contents)
        return captured.capture

    def settle(self, *, head: str, previous: str) -> str | None:
        """Move the run's head, and the branch with it; a sentence when the branch was left where it is."""
        left_alone = self._objects.persist(partial(self._refs.settle, head, previous))
        with explained(self.home):
            self._caches.settle(head, previous)
        return left_alone

    def trust(self, slot: str, trusted: bool) -> None:
        """Say whether the caches of a tree, as they are now, are what later commits may begin from."""
        with explained(self.path(slot)):
            self._caches.trust(slot, trusted)

    def strip(self, slot: str, remove: Callable[[str], bool]) -> int:
        """Delete the tracked files of a placed tree for which `remove` is true, and count them."""
        held = self._contents(self._indexed[self._index(slot)])
        doomed = [
            folder + name
            for folder, names in held.files.items()
            for name in names
            # What is shared leads into the user's checkout.
            if not (folder + name + b"/").startswith(tuple(share + b"/" for share in self._shares))
            and remove(display(folder + name))
        ]
        self._caches.trust(slot, False)
        unlink_all(os.fsencode(self.path(slot)), doomed)
        return len(doomed)

    def tracked(self, commit: str) -> list[Tracked]:
        """Every file of a commit, with mode and object name."""
        return list_tree(self._own, commit)

    def forget(self, *, pins: bool = False) -> None:
        """Remove the run's trees and all that can be rebuilt; with `pins` its refs too, but for the branch."""
        if pins:
            self._refs.drop()
        remove(os.fsencode(self.home))
        self._know_nothing()

    def _renew(self) -> None:
        """Make the run's directories again when somebody has deleted the cache directory."""
        if not (self.home / "git").exists() and self._know_nothing() and self._caches.paths:
            raise AutoloopError(f"trees and caches of the run vanished from {self.home}", "Resume it.")

    def _know_nothing(self) -> bool:
        self.__dict__.pop("_own", None)
        self._indexed.clear()
        self._caches.forget()
        return self._presence.forget()

    @cached_property
    def _own(self) -> Git:
        """Git with the run's own git directory, whose objects include the user's by alternates."""
        folder = self.home / "git"
        with explained(folder):
            files = {"info/exclude": b"", "objects/info/alternates": self._objects.alternates()}
            if self._cone:
                files["info/sparse-checkout"] = cone_patterns(self._cone)
            config = own_config(self._like, sparse=bool(self._cone))
            write_git_dir(folder, config, self._like, "ref: refs/heads/none", files)
        return Git(self.home, bare_environment() | {"GIT_DIR": str(folder)})

    @cached_property
    def _small_git(self) -> SmallGit:
        exclude = b"".join(b"/%s\n" % path for path in (*self._caches.paths, *self._shares))
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

    def _begin_anew(self, slot: str, commit: str, held: Contents) -> None:
        """Remove the tree whole: the times and attributes of folders, which are not reset, could tell of the past."""
        for layer in self._layers(slot, commit, held):
            layer.index.unlink(missing_ok=True)
        remove(os.fsencode(self.path(slot)))
        self.path(slot).mkdir()

    def _check_out(self, layer: Layer) -> None:
        """Write every file that differs from the commit, by the index that we keep outside of the tree."""
        layer.git.folder.mkdir(parents=True, exist_ok=True)
        read_tree(layer.git, layer, "-u")
        self._indexed[layer.index] = layer.commit

    def _expect(self, layer: Layer) -> None:
        """Have the index list the commit: after a restart it may hold half of a capture."""
        if self._indexed.get(layer.index) != layer.commit or not layer.index.exists():
            elsewhere = Git(self.home, layer.git.environment, layer.git.options)
            read_tree(elsewhere, layer)
