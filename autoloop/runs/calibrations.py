"""Remembered calibrations: the samples of a start, kept by program, tree and host for a day where they took long.

A run that begins from the same thing journals them as its own and measures nothing before its first experiment.
"""

import hashlib
import os
import platform
import re
import time
from collections.abc import Iterable
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

from pydantic import ValidationError

from autoloop.core.model import Frozen
from autoloop.core.run.events import Baselined, Event, Sampled
from autoloop.core.run.measurement import Taken
from autoloop.core.run.program import Program
from autoloop.journal.files import half_written, write_atomically

FOLDER = "calibrations"
_DEAR_SECONDS = 120.0
"""Seconds below which a calibration is better taken anew than remembered."""
_KEPT_SECONDS = 86_400.0
_NAME = re.compile(r"[0-9a-f]{24}\.json")


class Calibration(Frozen):
    """The samples of one start, as a run took them."""

    at: float
    seed: int
    """The run's, from which the samples' seeds follow."""
    taken: tuple[Taken, ...]


class Calibrations:
    """The calibrations that this machine remembers."""

    def __init__(self, cache: Path, program: Program, seal: dict[str, str], tree: str) -> None:
        criteria, measuring = program.criteria.model_dump_json(), program.measuring.model_dump_json()
        host = f"{platform.node()} {platform.machine()} {os.cpu_count()}"
        parts = (*sorted(f"{name} {digest}" for name, digest in seal.items()), tree, host, criteria, measuring)
        key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]
        self._path = cache / FOLDER / f"{key}.json"

    def recall(self, now: float) -> Calibration | None:
        """The remembered calibration, when it is less than a day old."""
        with suppress(OSError, ValidationError):
            found = Calibration.model_validate_json(self._path.read_text())
            return found if 0 <= now - found.at < _KEPT_SECONDS else None
        return None

    def remember(self, events: Iterable[Event], seed: int) -> None:
        """Remember the samples that a run was calibrated with, when they took long."""
        before = list(takewhile(lambda event: not isinstance(event, Baselined), events))
        taken = tuple(event.taken for event in before if isinstance(event, Sampled))
        for path in outdated(self._path.parent.parent, time.time()):
            path.unlink(missing_ok=True)
        known = self.recall(before[-1].at) if before else None
        if known is not None or sum(entry.result.seconds for entry in taken) < _DEAR_SECONDS:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._path, Calibration(at=before[-1].at, seed=seed, taken=taken).model_dump_json())


def outdated(cache: Path, now: float) -> list[Path]:
    """Files of a cache directory that no run will use: calibrations of earlier days, and half-written ones."""
    folder = cache / FOLDER
    if folder.is_symlink() or not folder.is_dir():
        return []
    files = (path for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.is_file())
    old = sorted(path for path in files if now - path.lstat().st_mtime >= _KEPT_SECONDS)
    return [*old, *half_written(folder)]
