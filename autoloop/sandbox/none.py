"""The tier `none`: commands run with the user's rights, in a private home. Violations are found, not prevented."""

import os
from dataclasses import dataclass
from pathlib import Path

from autoloop.git.walk import remove
from autoloop.ports import Cell, Room, Tier


@dataclass(frozen=True)
class NoSandbox:
    """Runs commands without any confinement."""

    tier: Tier = "none"

    def enter(self, cell: Cell) -> Room:
        """The room of a cell: the tree at its own path."""
        return Room(prefix=(), cwd=cell.tree, env={}, seen=_as_it_is)


def _as_it_is(path: Path) -> Path:
    return path


def emptied(home: Path) -> Path:
    """A private home emptied: what one candidate left there must not reach the next."""
    if os.path.lexists(home):
        remove(os.fsencode(home))
    home.mkdir(parents=True)
    return home
