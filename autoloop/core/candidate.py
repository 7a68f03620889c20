"""What an experiment proposes: the candidate commit and what it changes."""

from dataclasses import dataclass
from typing import Literal

from autoloop.core.model import Frozen


class Change(Frozen):
    """One path of a candidate's diff against its parent."""

    path: str
    """From the repository's root, `/` between parts; bytes that are not UTF-8 are shown as `\\xNN`."""
    kind: Literal["added", "modified", "deleted", "retyped"]
    added: int | None = None
    """Lines added; None for binary files."""
    removed: int | None = None


class Candidate(Frozen):
    """The commit that an experiment proposes, made by the loop from the agent's files."""

    commit: str
    parent: str
    changes: tuple[Change, ...]

    @property
    def lines_added(self) -> int:
        """Lines added over all text files."""
        return sum(change.added or 0 for change in self.changes)

    @property
    def lines_removed(self) -> int:
        """Lines removed over all text files."""
        return sum(change.removed or 0 for change in self.changes)


@dataclass(frozen=True)
class Capture:
    """What was found in the agent's tree when its session ended."""

    candidate: Candidate | None
    """None when the files equal the parent's, or when `breaches` made a commit impossible."""
    breaches: tuple[str, ...] = ()
    """What no candidate may hold, one short text each: `pipe: fifo`, `link: symlink out of the tree`."""
    ignored: tuple[str, ...] = ()
    """New files that the tree's own ignore rules left out of the candidate."""
    patch: str = ""
    """The diff as text, cut after some megabytes."""
    lost: bool = False
    """Whether there was no tree to look at: it vanished."""
