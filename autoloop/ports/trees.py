"""The agent's tree, and the directory of one experiment."""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from autoloop.core.candidate import Capture
from autoloop.core.results import Row


class Trees(Protocol):
    """The agent's tree and the refs of a run."""

    def place(self, slot: str, commit: str, *, keep_caches: bool = True) -> Path:
        """Make the slot's tree equal to the commit, whatever is in it now; caches as what is kept left them."""

    def capture(self, experiment: int, parent: str, *, at: float, message: str) -> Capture:
        """Commit and pin what the agent's tree holds. The same files give the same commit."""

    def settle(self, *, head: str, previous: str) -> str | None:
        """Move the run's head and branch; repeatable. A sentence when the branch was left alone."""

    def trust(self, slot: str, trusted: bool) -> None:
        """Say whether the slot's caches, as they are now, are what later commits may begin from."""


class Files(Protocol):
    """The directory of one experiment."""

    def packet(self, experiment: int, text: str) -> Path:
        """Save the context packet; its path."""

    def transcript(self, experiment: int) -> Path:
        """Where the session is recorded."""

    def patch(self, experiment: int, text: str) -> None:
        """Save the candidate's diff."""

    def patches(self, rows: Iterable[Row]) -> list[tuple[Row, str]]:
        """The saved diffs of these experiments."""
