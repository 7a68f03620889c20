"""Reading on in a journal that another process writes: each look reads what was added since the last one, and no more.

It only reads. A line without its end is left for the next look: its writer may be in the middle of it, or dead.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

from autoloop.core.event_lines import E, Family
from autoloop.core.run.results import Row
from autoloop.core.suite.tasks import TrialKey
from autoloop.errors import AutoloopError
from autoloop.journal.journal import parsed


class Tail(Generic[E]):
    """The position of one reader in a journal."""

    def __init__(self, path: Path, family: Family[E]) -> None:
        self.path = path
        self._family = family
        self._file: tuple[int, int] | None = None
        """Which file was read, by device and inode."""
        self._offset = 0
        self._line = 0

    def is_replaced(self) -> bool:
        """Whether what was read is no longer what stands there; reading begins anew then."""
        with suppress(FileNotFoundError):
            found = os.stat(self.path)
            if self._file is not None and (self._file != (found.st_dev, found.st_ino) or found.st_size < self._offset):
                self._file, self._offset, self._line = None, 0, 0
                return True
        return False

    def new(self) -> Iterator[E]:
        """The events that were added, streamed; AutoloopError at one that cannot be read."""
        with suppress(FileNotFoundError), self.path.open("rb") as lines:
            found = os.fstat(lines.fileno())
            self._file = (found.st_dev, found.st_ino)
            lines.seek(self._offset)
            for line in lines:
                if not line.endswith(b"\n"):
                    return
                event = parsed(line, self._line + 1, self.path, self._family)
                self._offset += len(line)
                self._line += 1
                yield event


@dataclass(frozen=True)
class Doing:
    """The work that a worker of a bench, or the process of a run, is doing now."""

    worker: int
    phase: str
    since: float = 0.0
    """Unix seconds; 0 when it is not known."""
    text: str = ""
    """The newest line of what it printed."""
    key: TrialKey | None = None
    experiment: int = 0


@dataclass(frozen=True)
class Sight(Generic[E]):
    """The news of one look at a journal."""

    anew: bool
    """The journal is another one: what was seen before does not count, and `events` begin with its first."""
    events: tuple[E, ...]
    doing: tuple[Doing, ...]
    alive: bool
    """Whether a process is working on the run or the bench."""
    rows: tuple[Row, ...] = ()
    """The rows of a run that the events finished."""


def taken(events: Iterator[E], take: Callable[[E], None]) -> tuple[E, ...]:
    """The events, each passed to `take`. One that cannot be read ends them; its error is raised when it comes first."""
    found: list[E] = []
    try:
        for event in events:
            take(event)
            found.append(event)
    except AutoloopError:
        if not found:
            raise
    return tuple(found)


def read_state(path: Path) -> dict[str, Any]:
    """The content of `state.json`, which says what is being done now; empty where it cannot be read."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
