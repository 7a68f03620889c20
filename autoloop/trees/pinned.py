"""What all runs together have pinned in a repository."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from autoloop.git import users_git
from autoloop.repository import Repository
from autoloop.trees.homes import RUN, WORKSHOP


@dataclass(frozen=True)
class Pinned:
    """Refs that autoloop made, by the name of their run, validation or comparison."""

    pins: Counter[str]
    branches: dict[str, str]
    """The branch of each run that has one."""
    commits: dict[str, str]
    """Where each of these branches is."""

    def without(self, known: Collection[str]) -> list[str]:
        """The names that have refs and are not known."""
        names = {*self.pins, *self.branches} - {*known}
        return sorted(name for name in names if RUN.fullmatch(name) or WORKSHOP.fullmatch(name))


def pinned(repository: Repository) -> Pinned:
    """Read them all at once."""
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
