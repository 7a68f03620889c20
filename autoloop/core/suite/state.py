"""The state of a bench: the fold of its events. Nothing is remembered beside it.

A trial that errored is outstanding until it has been tried `MOST_TRIES` times; what it cost is counted each time.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from autoloop.core.suite.events import (
    BenchEvent,
    BenchResumed,
    BenchStarted,
    BenchStopped,
    BenchWaited,
    Regraded,
    TrialEnded,
    WorkerReplaced,
)
from autoloop.core.suite.trial import Outcome, TrialKey, TrialResult
from autoloop.core.totals import sum_known

MOST_TRIES = 3
"""How often a trial that errors is tried in one process's life; a resume begins to count anew."""


@dataclass
class BenchState:
    """What the events so far add up to. Owned by whoever folds them; others read it."""

    started: BenchStarted | None = None
    results: dict[TrialKey, TrialResult] = field(default_factory=dict)
    """The latest of each trial; an error only while nothing better came."""
    errors: dict[TrialKey, int] = field(default_factory=dict)
    """Of each trial, since the last resume."""
    all_errors: dict[TrialKey, int] = field(default_factory=dict)
    """Of each trial, over all processes."""
    stopped: BenchStopped | None = None
    replaced: int = 0
    """Workers."""
    events: int = 0
    first_at: float = 0.0
    last_at: float = 0.0
    worked: float = 0.0
    """Seconds in which a process worked on it."""
    waited: float = 0.0
    cost_usd: float | None = None
    tokens: int | None = None

    def fold(self, event: BenchEvent) -> None:
        """Take one more event."""
        self.events += 1
        self.first_at = self.first_at or event.at
        if not isinstance(event, BenchStarted | BenchResumed) and self.stopped is None:
            self.worked += max(0.0, event.at - self.last_at)
        self.last_at = event.at
        match event:
            case BenchStarted():
                self.started = event
            case BenchResumed():
                self.stopped = None
                self.errors.clear()
            case TrialEnded():
                self._take(event.key, event.result)
            case Regraded():
                self.results[event.key] = event.result
            case WorkerReplaced():
                self.replaced += 1
            case BenchWaited():
                self.waited += event.seconds
            case BenchStopped():
                self.stopped = event

    def _take(self, key: TrialKey, result: TrialResult) -> None:
        self.cost_usd = sum_known(self.cost_usd, result.cost_usd)
        self.tokens = sum_known(self.tokens, result.tokens)
        if result.outcome is Outcome.ERROR:
            self.errors[key] = self.errors.get(key, 0) + 1
            self.all_errors[key] = self.all_errors.get(key, 0) + 1
            known = self.results.get(key)
            if known is not None and known.outcome is not Outcome.ERROR:
                return
        self.results[key] = result

    def is_settled(self, key: TrialKey) -> bool:
        """Whether nothing more is to be done about a trial."""
        result = self.results.get(key)
        if result is None:
            return False
        return result.outcome is not Outcome.ERROR or self.errors.get(key, 0) >= MOST_TRIES

    def outstanding(self) -> Iterator[TrialKey]:
        """The trials that are still to be taken, in the order of the plan."""
        assert self.started is not None, "a journal begins with its bench"
        return (key for key in self.started.plan.trials() if not self.is_settled(key))

    def of(self, *, arm: str | None = None, iteration: int | None = None) -> dict[TrialKey, TrialResult]:
        """The results of one arm, of one iteration, or of both."""
        return {
            key: result
            for key, result in self.results.items()
            if arm in (None, key.arm) and iteration in (None, key.iteration)
        }


def replay(events: Iterable[BenchEvent]) -> BenchState:
    """The state after all events."""
    state = BenchState()
    for event in events:
        state.fold(event)
    return state
