"""What runs and benches hold on the disk, and removing it."""

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
    """What there is on the disk of runs, benches and leftovers, and what of it may go; changes nothing.

    `name` is a run's id, a program's name for all its runs, or the directory of a bench.
    """
    from autoloop.core.keeping import CleanOptions
    from autoloop.creation import cache_directory
    from autoloop.stocktaking import survey

    return survey(path, cache_directory(environ), name, options or CleanOptions())


def clean(found: Holdings, on_entry: OnEntry = lambda entry, freed: None) -> Cleaned:
    """Remove what the holdings say may go, unless somebody has taken it up meanwhile."""
    from autoloop.cleaning import clean

    return clean(found, on_entry)
