"""Private homes: an empty directory that takes the place of the user's home."""

import os
from pathlib import Path

from autoloop.trees.walk import remove


def emptied(home: Path) -> Path:
    """The directory, with nothing in it: what one candidate left there must not reach the next."""
    if os.path.lexists(home):
        remove(os.fsencode(home))
    home.mkdir(parents=True)
    return home
