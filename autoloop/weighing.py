"""How much of the disk each part of a run takes. Changes nothing."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from autoloop.core.events import Decided
from autoloop.core.keeping import CleanOptions, Part
from autoloop.core.reasons import Status
from autoloop.errors import AutoloopError
from autoloop.stores.directory import RunDirectory, half_written
from autoloop.stores.journal import read_events
from autoloop.trees.disk import BLOCK, disk_use
from autoloop.trees.git_trees import SLOTS
from autoloop.trees.homes import Home
from autoloop.trees.walk import entries, is_real_folder

PATCH = "diff.patch"
_PARTS = {b"homes": Part.CACHES, b"caches": Part.CACHES, b"scratch": Part.SCRATCH}
Sizes = Counter[Part]


def not_kept(run: RunDirectory) -> set[str]:
    """The names of the directories of experiments that were decided and not kept."""
    decided = (event for event in read_events(run.journal) if isinstance(event, Decided))
    dropped = (event.experiment for event in decided if event.decision.reason.status is not Status.KEEP)
    return {run.experiment(number).name for number in dropped}


def said_in(run: RunDirectory, names: set[str]) -> Iterator[Path]:
    """Packets and transcripts of some experiments: whatever lies in their directories beside the diff."""
    folder = run.path / "experiments"
    for path in (folder / name for name in sorted(names)):
        if is_real_folder(bytes(folder)) and is_real_folder(bytes(path)):
            yield from (inner for inner in path.iterdir() if inner.name != PATCH)


def home_sizes(home: Home, cache_paths: tuple[str, ...] = ()) -> Sizes:
    """Of the trees of a run, and what is beside them."""
    found: Sizes = Counter()
    apart = {os.fsencode(f"/{slot}/{path}") for slot in SLOTS.values() for path in cache_paths}
    for path in home.paths:
        found[Part.TREES] += BLOCK * path.lstat().st_blocks
        for entry in _listed(path):
            use = disk_use(entry, frozenset(entry + below for below in apart))
            found[_PARTS.get(os.path.basename(entry), Part.TREES)] += use.total - use.apart
            found[Part.CACHES] += use.apart
    return found


def run_sizes(run: RunDirectory, options: CleanOptions) -> Sizes:
    """Of the directory of a run; transcripts are told apart where they are asked for."""
    found: Sizes = Counter()
    parts = {b"sealed": Part.SEALED, b"experiments": Part.SESSIONS}
    with suppress(OSError):
        found[Part.LITTER] = sum(disk_use(bytes(path)).total for path in half_written(run.path))
    for path in _listed(run.path):
        found[parts.get(os.path.basename(path), Part.JOURNAL)] += disk_use(path).total
    found[Part.JOURNAL] -= found[Part.LITTER]
    if options.transcripts:
        with suppress(AutoloopError, OSError):
            found[Part.TRANSCRIPTS] = sum(disk_use(bytes(path)).total for path in said_in(run, not_kept(run)))
            found[Part.SESSIONS] -= found[Part.TRANSCRIPTS]
    return found


def cache_paths_of(run: RunDirectory) -> tuple[str, ...]:
    """What of its trees is a cache; nothing where its record cannot be read."""
    with suppress(AutoloopError):
        return run.read_record().program.scope.cache_paths
    return ()


def _listed(folder: Path) -> list[bytes]:
    """What is in a folder; nothing when it is closed."""
    with suppress(OSError):
        return [entry.path for entry in entries(bytes(folder))]
    return []
