"""A bench, followed from outside: new events, and what each worker does now. Only reads."""

from collections.abc import Iterator
from typing import Any

from autoloop.core.suite.events import BENCH_EVENTS, BenchEvent, BenchStarted
from autoloop.core.suite.state import BenchState, after, begun
from autoloop.core.suite.tasks import TrialKey
from autoloop.journal.locks import is_held
from autoloop.journal.tail import Doing, Sight, Tail, read_state, taken
from autoloop.suites.directory import BenchDirectory


class BenchFollower:
    """Follows a bench, from its journal and `state.json`."""

    def __init__(self, directory: BenchDirectory) -> None:
        self.directory = directory
        self._tail = Tail(directory.journal, BENCH_EVENTS)
        self.state: BenchState | None = None
        """None until its first event was read."""

    def look(self) -> Sight[BenchEvent]:
        """The events that are new since the last look."""
        anew = self._tail.is_replaced()
        if anew:
            self.state = None
        # The state is read first: what the journal says is newer, and is believed.
        alive, found = is_held(self.directory.lock), read_state(self.directory.state)
        events = taken(self._tail.new(), self._take)
        return Sight(anew, events, tuple(_workers(found)) if alive else (), alive)

    def _take(self, event: BenchEvent) -> None:
        if self.state is not None:
            self.state = after(self.state, event)
        elif isinstance(event, BenchStarted):
            self.state = begun(event)


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
