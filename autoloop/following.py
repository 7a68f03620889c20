"""Following a run or a bench from outside, while another process carries it on, or after it ended.

Only reads: nobody notices a follower. A look costs what was added since the last one, not the history. What happened
comes from the journal; what is being done now, which nothing depends on, from `state.json`.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from autoloop.core.events import Event
from autoloop.core.replay import after
from autoloop.core.results import Row
from autoloop.core.run import RunState
from autoloop.core.suite.events import BenchEvent
from autoloop.core.suite.state import BenchState
from autoloop.core.suite.trial import TrialKey
from autoloop.core.summary import Summary, summarise
from autoloop.errors import AutoloopError
from autoloop.stores.bench_directory import BenchDirectory
from autoloop.stores.bench_journal import BENCHES
from autoloop.stores.directory import RunDirectory
from autoloop.stores.journal import RUNS
from autoloop.stores.runs import is_alive, is_held
from autoloop.stores.tail import Tail
from autoloop.stores.views import finished_rows

E = TypeVar("E")


@dataclass(frozen=True)
class Doing:
    """What a worker of a bench, or the process of a run, is at."""

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
    """What one look has found."""

    anew: bool
    """The journal is another one: what was seen before does not count, and `events` begin with its first."""
    events: tuple[E, ...]
    doing: tuple[Doing, ...]
    alive: bool
    """Whether a process carries it on."""
    rows: tuple[Row, ...] = ()
    """Of a run: those that the events finished."""


class RunFollower:
    """Follows a run of the loop."""

    def __init__(self, directory: RunDirectory) -> None:
        self.directory = directory
        self.record = directory.read_record()
        self._tail = Tail(directory.journal, RUNS)
        self._begin()

    def _begin(self) -> None:
        self.state = RunState(self.record.program.criteria)
        self.rows: list[Row] = []
        """Of every experiment that is finished, the baseline first."""

    def look(self) -> Sight[Event]:
        """What is new."""
        anew = self._tail.is_replaced()
        if anew:
            self._begin()
        known, alive = len(self.rows), is_alive(self.directory)
        events = _taken(self._tail.new(), self._take)
        rows = tuple(self.rows[known:])
        return Sight(anew, events, self._doing() if alive else (), alive, rows)

    def summary(self, phase: str) -> Summary:
        """The run in one look."""
        return summarise(self.state, self.record.program.limits, phase=phase, sandbox=self.record.sandbox)

    def _take(self, event: Event) -> None:
        self.state = after(self.state, event)
        self.rows += finished_rows(event, self.state)

    def _doing(self) -> tuple[Doing, ...]:
        state = _read_state(self.directory.state)
        phase, text = state.get("phase"), state.get("text")
        if not isinstance(phase, str):
            return ()
        return (Doing(1, phase, text=text if isinstance(text, str) else "", experiment=self.state.last_experiment),)


class BenchFollower:
    """Follows a bench."""

    def __init__(self, directory: BenchDirectory) -> None:
        self.directory = directory
        self._tail = Tail(directory.journal, BENCHES)
        self.state = BenchState()

    def look(self) -> Sight[BenchEvent]:
        """What is new."""
        anew = self._tail.is_replaced()
        if anew:
            self.state = BenchState()
        # The state is read first: what the journal says is newer, and is believed.
        alive, found = is_held(self.directory.lock), _read_state(self.directory.state)
        events = _taken(self._tail.new(), self.state.fold)
        return Sight(anew, events, tuple(_workers(found)) if alive else (), alive)


def _taken(events: Iterator[E], take: Callable[[E], None]) -> tuple[E, ...]:
    """The events, each taken. One that cannot be read ends them; it is said when it comes first."""
    found: list[E] = []
    try:
        for event in events:
            take(event)
            found.append(event)
    except AutoloopError:
        if not found:
            raise
    return tuple(found)


def _read_state(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _workers(state: dict[str, Any]) -> Iterator[Doing]:
    found = state.get("workers")
    for entry in found if isinstance(found, list) else []:
        if isinstance(entry, dict) and isinstance(entry.get("worker"), int) and entry.get("phase"):
            since = entry.get("since")
            yield Doing(
                worker=entry["worker"],
                phase=str(entry["phase"]),
                since=float(since) if isinstance(since, int | float) else 0.0,
                text=str(entry.get("text") or ""),
                key=_key(entry),
            )


def _key(entry: dict[str, Any]) -> TrialKey | None:
    try:
        return TrialKey(**{name: entry[name] for name in ("arm", "iteration", "task", "attempt")})
    except (KeyError, ValueError):
        return None
