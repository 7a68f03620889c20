"""The refs of a run in the user's repository: the only thing that is ever changed there.

Every commit of a run is pinned; the head moves by compare-and-swap; the branch follows while nobody has it checked out.
`pinned` lists the refs of all runs together, for cleaning up.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autoloop.errors import AutoloopError
from autoloop.git.command import Git, GitFailed, refs_git, users_git
from autoloop.git.homes import RUN, WORKSHOP
from autoloop.git.repository import Repository


@dataclass
class Refs:
    """Refs of one run, in the git directory that all worktrees share."""

    common_dir: Path
    run_id: str
    branch: str
    head: str | None = None
    """Where the head was when we last read or moved it."""
    followed: str | None = None
    """Where the branch was when we last moved it, or found it behind the head; None while there is none."""

    @property
    def git(self) -> Git:
        """The git for reading and updating refs, and nothing else."""
        return refs_git(self.common_dir)

    @property
    def head_ref(self) -> str:
        """The ref of the commit that is kept so far."""
        return f"refs/autoloop/{self.run_id}/head"

    @property
    def branch_ref(self) -> str:
        """The ref of the branch that people see."""
        return f"refs/heads/{self.branch}"

    def begin(self, commit: str) -> None:
        """Pin the start commit; the head begins there unless it exists."""
        self._drop_stale_locks()
        found = self._read()
        lines = [f"update refs/autoloop/{self.run_id}/start {commit}"]
        if self.head_ref not in found:
            lines.append(f"create {self.head_ref} {commit}")
        self._update(lines)
        self.head = found.get(self.head_ref, commit)
        self.followed = found.get(self.branch_ref)
        if self.followed not in (None, self.head) and not self._is_behind(self.followed, self.head):
            # Someone's own commits are on the branch: a swap that expects the head will leave them alone.
            self.followed = self.head

    def pin(self, experiment: int, commit: str) -> None:
        """Keep a candidate reachable, whatever becomes of it."""
        self._update([f"update refs/autoloop/{self.run_id}/{experiment} {commit}"])

    def settle(self, head: str, previous: str) -> str | None:
        """Move head and branch; a sentence when the branch was left where it is."""
        if head == previous == self.head or self.head == self.followed == head:
            return None
        holder = next(self._holders(), None)
        if holder is not None:
            self._move_head(head, previous)
            return f"The branch {self.branch} is checked out ({holder}), so it was left where it is."
        try:
            self._update([self._swap_head(head, previous), self._swap_branch(head)])
        except GitFailed as error:
            self._move_head(head, previous)
            return self._move_branch(head, error)
        self.head = self.followed = head
        return None

    def drop(self) -> None:
        """Unpin everything. The branch stays: it is the user's."""
        names = self.git("for-each-ref", "--format=%(refname)", f"refs/autoloop/{self.run_id}/").decode().splitlines()
        self._update([f"delete {name}" for name in names])
        self.head = self.followed = None

    def drop_branch(self) -> str | None:
        """Delete the branch; a sentence when it was left because someone has it checked out."""
        holder = next(self._holders(), None)
        if holder is not None:
            return f"The branch {self.branch} is checked out ({holder}), so it was left."
        self._update([f"delete {self.branch_ref}"])
        return None

    def _swap_head(self, head: str, previous: str) -> str:
        return f"update {self.head_ref} {head} {previous}"

    def _swap_branch(self, head: str) -> str:
        return f"update {self.branch_ref} {head} {self.followed or '0' * len(head)}"

    def _move_head(self, head: str, previous: str) -> None:
        """Move the head by compare-and-swap; no error when an earlier try has moved it already."""
        try:
            self._update([self._swap_head(head, previous)])
        except GitFailed as error:
            found = self._read().get(self.head_ref)
            if found == previous:
                raise
            if found != head:
                raise AutoloopError(
                    f"{self.head_ref} is at {found or 'nothing'}, and this run left it at {previous}",
                    f"Someone moved it. Put it back: `git update-ref {self.head_ref} {previous}`.",
                ) from error
        self.head = head

    def _move_branch(self, head: str, error: GitFailed) -> str | None:
        """Move the branch, unless someone else moved it or its name is taken; then a sentence that says so."""
        found = self._read().get(self.branch_ref)
        if found not in (None, head, self.followed):
            return f"The branch {self.branch} was moved by someone to {found}, so it was left there."
        self.followed = found
        with suppress(GitFailed):
            self._update([self._swap_branch(head)])
            self.followed = head
            return None
        return f"The branch {self.branch} could not be moved ({error.message}); {self.head_ref} holds what is kept."

    def _is_behind(self, commit: str | None, head: str | None) -> bool:
        with suppress(GitFailed):
            self.git("merge-base", "--is-ancestor", str(commit), str(head))
            return True
        return False

    def _read(self) -> dict[str, str]:
        listing = self.git("for-each-ref", "--format=%(refname) %(objectname)", self.head_ref, self.branch_ref)
        pairs = (line.split(" ") for line in listing.decode("utf-8", "replace").splitlines())
        return {name: commit for name, commit in pairs if name in (self.head_ref, self.branch_ref)}

    def _update(self, lines: list[str]) -> None:
        self.git("update-ref", "--no-deref", "--stdin", stdin="\n".join(["start", *lines, "commit", ""]).encode())

    def _holders(self) -> Iterator[str]:
        """The worktrees that have the branch checked out, or will when their rebase ends."""
        for folder in [self.common_dir, *self.common_dir.glob("worktrees/*")]:
            for name in ("HEAD", "rebase-merge/head-name", "rebase-apply/head-name"):
                with suppress(FileNotFoundError, NotADirectoryError):
                    held = (folder / name).read_text(errors="replace").strip().removeprefix("ref: ")
                    if held == "refs/heads/.invalid":
                        # Refs are kept in a table, and only git can say what is checked out.
                        yield from self._holders_by_git()
                    elif held == self.branch_ref:
                        yield str(folder)

    def _holders_by_git(self) -> Iterator[str]:
        listing = self.git("worktree", "list", "--porcelain").decode("utf-8", "replace").split("\n\n")
        for worktree in listing:
            lines = worktree.splitlines()
            if f"branch {self.branch_ref}" in lines:
                yield lines[0].removeprefix("worktree ")

    def _drop_stale_locks(self) -> None:
        """Remove lock files of a killed `update-ref`. Nobody but this run makes refs below these names."""
        for lock in (self.common_dir / "refs/autoloop" / self.run_id).glob("*.lock"):
            lock.unlink(missing_ok=True)
        (self.common_dir / f"{self.branch_ref}.lock").unlink(missing_ok=True)


@dataclass(frozen=True)
class Pinned:
    """The refs that autoloop made in a repository, by the name of their run, validation or comparison."""

    pins: Counter[str]
    branches: dict[str, str]
    """The branch of each run that still has one."""
    commits: dict[str, str]
    """The commit that each of these branches is at."""

    def without(self, known: Collection[str]) -> list[str]:
        """The names that have refs and are not known."""
        names = {*self.pins, *self.branches} - {*known}
        return sorted(name for name in names if RUN.fullmatch(name) or WORKSHOP.fullmatch(name))


def pinned(repository: Repository) -> Pinned:
    """Read all refs of autoloop at once, by one `for-each-ref`."""
    listing = users_git(repository.root)(
        "for-each-ref", "--format=%(refname) %(objectname)", "refs/autoloop", "refs/heads/autoloop"
    )
    found = Pinned(Counter(), {}, {})
    for line in listing.decode("utf-8", "replace").splitlines():
        ref, _, commit = line.rpartition(" ")
        parts = ref.split("/")
        if parts[1] == "autoloop" and len(parts) > 3:
            found.pins[parts[2]] += 1
        elif len(parts) == 5:
            found.branches[parts[4]] = ref.removeprefix("refs/heads/")
            found.commits[parts[4]] = commit
    return found


def worktrees(repository: Repository) -> list[Path]:
    """The checkouts that share the repository, this one included; some may not be there now."""
    listing = users_git(repository.root)("worktree", "list", "--porcelain").decode("utf-8", "surrogateescape")
    return [Path(line.removeprefix("worktree ")) for line in listing.splitlines() if line.startswith("worktree ")]
