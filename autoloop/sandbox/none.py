"""The tier `none`: commands run as the user does. Violations are still found; they are not prevented.

Private homes: an empty directory that takes the place of the user's home.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from autoloop.git.walk import remove
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


def emptied(home: Path) -> Path:
    """The directory, with nothing in it: what one candidate left there must not reach the next."""
    if os.path.lexists(home):
        remove(os.fsencode(home))
    home.mkdir(parents=True)
    return home
