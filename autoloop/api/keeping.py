"""What runs hold on the disk, and removing it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autoloop.cleaning import Cleaned, OnEntry
    from autoloop.core.keeping import CleanOptions
    from autoloop.stocktaking import Holdings


def holdings(
    path: Path, name: str | None = None, options: CleanOptions | None = None, *, environ: Mapping[str, str] = os.environ
) -> Holdings:
    """What there is on the disk of runs and leftovers, and what of it may go; changes nothing.

    `name` is a run's id, or a program's name for all its runs.
    """
    from autoloop.core.keeping import CleanOptions
    from autoloop.creation import cache_directory
    from autoloop.repository import find
    from autoloop.stocktaking import survey

    return survey(find(path), cache_directory(environ), name, options or CleanOptions())


def clean(found: Holdings, on_entry: OnEntry = lambda entry, freed: None) -> Cleaned:
    """Remove what the holdings say may go, unless somebody has taken it up meanwhile."""
    from autoloop.cleaning import clean

    return clean(found, on_entry)
