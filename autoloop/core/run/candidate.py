"""The candidate of an experiment: its commit, what it changes, and the one line that describes it."""

from dataclasses import dataclass
from typing import Literal

from autoloop.core.model import Frozen
from autoloop.core.run.notes import Notes


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
    """The content of the agent's tree when its session ended."""

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


def describe(notes: Notes, candidate: Candidate | None) -> str:
    """The hypothesis of the notes, else a summary of the changed files."""
    if notes.hypothesis:
        return notes.hypothesis
    if candidate is None or not candidate.changes:
        return "no change"
    names = [change.path for change in candidate.changes]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more} (+{candidate.lines_added} -{candidate.lines_removed})"


def commit_message(experiment: int, program: str, notes: Notes) -> str:
    """The message of a candidate's commit."""
    subject = notes.hypothesis or f"experiment {experiment}"
    body = f"\n{notes.why}\n" if notes.why else ""
    return f"{subject}\n{body}\nautoloop {program}, experiment {experiment}\n"
