"""The tier `none`: commands run as the user does. Violations are still found; they are not prevented."""

from dataclasses import dataclass
from pathlib import Path

from autoloop.ports import Cell, Room, Tier


@dataclass(frozen=True)
class NoSandbox:
    """Starts commands as they are."""

    tier: Tier = "none"

    def enter(self, cell: Cell) -> Room:
        """The tree, at its own path."""
        return Room(prefix=(), cwd=cell.tree, env={}, seen=_as_it_is)


def _as_it_is(path: Path) -> Path:
    return path
