"""The state of a bench: the fold of its events. Nothing is remembered beside it.

A trial that errored is outstanding until it has been tried `MOST_TRIES` times; what it cost is counted each time. Hours
of groups count the time in which at least one trial of the group ran, however many ran side by side and whatever other
groups did; they are known from the journal, so that a resume continues to count.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from autoloop.core.model import Frozen
from autoloop.core.suite.events import (
    BenchEvent,
    BenchResumed,
    BenchStarted,
    BenchStopped,
    BenchWaited,
    GroupCut,
    Regraded,
    TrialEnded,
    WorkerReplaced,
)
from autoloop.core.suite.pausing import Pause, Rounds, one_more, pause_of, turned_away
from autoloop.core.suite.persistent import PersistentMap, PersistentSet
from autoloop.core.suite.plan import BUILT_IN
from autoloop.core.suite.tasks import Outcome, TrialKey, TrialResult
from autoloop.core.text import counted, sum_known
from autoloop.errors import AutoloopError

LOST = "worker_lost"
"""The failure mode of a trial whose worker had to be replaced."""
MOST_TRIES = 3
"""How often a trial that errors is tried in one process's life; a resume begins to count anew."""

Span = tuple[float, float]
"""Start and end in Unix seconds."""


@dataclass(frozen=True, eq=False, repr=False)
class _Spans:
    """Spans of time that do not touch, the newest first: a list in which all states share what did not change."""

    newest: Span
    before: "_Spans | None"
    seconds: float
    """All of them together."""


@dataclass(frozen=True)
class AtWork:
    """The time in which at least one of many trials ran. Spans are given in the order in which they ended."""

    earlier: float = 0.0
    """Seconds in other processes' lives, whose clocks may have differed."""
    spans: _Spans | None = None
    """The spans of this process's life."""

    def after(self, start: float, end: float) -> "AtWork":
        """With one more trial that ended."""
        before = self.spans
        while before is not None and before.newest[1] >= start:
            start, end = min(start, before.newest[0]), max(end, before.newest[1])
            before = before.before
        seconds = (before.seconds if before else 0.0) + (end - start)
        return AtWork(self.earlier, _Spans((start, end), before, seconds))

    def resumed(self) -> "AtWork":
        """The spans as the next process begins with them: one total of seconds."""
        return AtWork(earlier=self.seconds())

    def seconds(self, in_hand: Iterable[Span] = ()) -> float:
        """All seconds so far, with trials that have not ended yet."""
        seen = self
        for start, now in in_hand:
            seen = seen.after(start, now)
        return seen.earlier + (seen.spans.seconds if seen.spans else 0.0)


@dataclass(frozen=True)
class BenchState:
    """The state of a bench, as its events add up. `begun` makes the first one, and `after` each that follows."""

    started: BenchStarted
    results: PersistentMap[TrialKey, TrialResult] = field(default_factory=PersistentMap)
    """The latest of each trial; an error only while nothing better came."""
    errors: PersistentMap[TrialKey, int] = field(default_factory=PersistentMap)
    """The errors of each trial since the last resume."""
    all_errors: PersistentMap[TrialKey, int] = field(default_factory=PersistentMap)
    """The errors of each trial over all processes."""
    rounds: Mapping[str, Rounds] = field(default_factory=dict)
    """Of each arm, since the last resume: how often its service turned trials away since it last answered."""
    answered: frozenset[str] = frozenset()
    """The arms of which at least one trial has a result that counts."""
    stopped: BenchStopped | None = None
    replaced: int = 0
    """Workers."""
    barren: int = 0
    """Workers that were replaced since one last brought a result."""
    open: PersistentSet[TrialKey] = field(default_factory=PersistentSet)
    """The trials that are not settled, in the order of the plan."""
    groups: Mapping[str, str] = field(default_factory=dict)
    """The group of each task."""
    at_work: Mapping[str, AtWork] = field(default_factory=dict)
    """How long trials of each group ran."""
    cut: Mapping[str, float] = field(default_factory=dict)
    """The groups of which nothing more is begun, with the hours that they had."""
    events: int = 0
    first_at: float = 0.0
    last_at: float = 0.0
    worked: float = 0.0
    """Seconds in which a process worked on it."""
    waited: float = 0.0
    cost_usd: float | None = None
    tokens: int | None = None
    reused: PersistentMap[TrialKey, bool] = field(default_factory=PersistentMap)
    """The trials whose result was taken from stored ones."""
    calls: Mapping[str, int] = field(default_factory=dict)
    """Of each arm: the answers of its model in all tries. A session that does not count them has one at least."""

    def to_take(self) -> list[TrialKey]:
        """The trials that are left for a process that takes the bench up: errors among them, in the plan's order."""
        taken = {key for key, result in self.results.items() if result.outcome is not Outcome.ERROR}
        return [key for key in self.started.plan.trials() if key not in taken]

    def pauses(self) -> dict[str, Pause]:
        """The arms that have to wait, or are given up."""
        found = {arm: pause_of(rounds, answered=arm in self.answered) for arm, rounds in self.rounds.items()}
        return {arm: pause for arm, pause in found.items() if pause is not None}

    def is_settled(self, key: TrialKey) -> bool:
        """Whether nothing more is to be done about a trial."""
        result = self.results.get(key)
        return result is not None and _settles(result, self.errors.get(key, 0))

    def outstanding(self) -> Iterator[TrialKey]:
        """The trials that are still to be taken, in the order of the plan; none of a group that was cut short."""
        return (key for key in self.open if self.group_of(key) not in self.cut) if self.cut else iter(self.open)

    def group_of(self, key: TrialKey) -> str:
        """The level or category of a trial."""
        return self.groups.get(key.task, "")

    def of(self, *, arm: str | None = None, iteration: int | None = None) -> dict[TrialKey, TrialResult]:
        """The results of one arm, of one iteration, or of both."""
        return {
            key: result
            for key, result in self.results.items()
            if arm in (None, key.arm) and iteration in (None, key.iteration)
        }


def replay(events: Iterable[BenchEvent]) -> BenchState:
    """The state after all events of a journal, the first of which says what the bench is."""
    remaining = iter(events)
    first = next(remaining, None)
    if not isinstance(first, BenchStarted):
        said = "the journal of a bench does not begin with bench_started"
        raise AutoloopError(said, "Restore the file from a backup, or begin a new bench.")
    return reduce(after, remaining, begun(first))


def begun(event: BenchStarted) -> BenchState:
    """The state of a bench of which nothing was tried yet."""
    plan = event.plan
    return BenchState(
        started=event,
        open=PersistentSet(plan.trials()),
        groups={task.id: task.group for task in plan.tasks},
        events=1,
        first_at=event.at,
        last_at=event.at,
    )


def after(state: BenchState, event: BenchEvent) -> BenchState:
    """The state with one more event."""
    # Time counts only while a process works on the bench, and never backwards.
    idle = isinstance(event, BenchStarted | BenchResumed) or state.stopped is not None
    worked = 0.0 if idle else max(0.0, event.at - state.last_at)
    return _with(_applied(state, event), events=state.events + 1, worked=state.worked + worked, last_at=event.at)


def _with(state: BenchState, **changes: Any) -> BenchState:
    """The state with some fields changed. `dataclasses.replace` would visit each of two dozen fields for it."""
    changed = object.__new__(BenchState)
    changed.__dict__.update(state.__dict__, **changes)
    return changed


def _applied(state: BenchState, event: BenchEvent) -> BenchState:
    match event:
        case BenchResumed():
            return _resumed(state)
        case TrialEnded(reused=True):
            state = _with(state, reused=state.reused.having(event.key, True))
            return _settled(state, event.key, event.result)
        case TrialEnded():
            return _taken(state, event.key, event.result, event.at)
        case Regraded():
            return _settled(state, event.key, event.result)
        case WorkerReplaced():
            return _with(state, replaced=state.replaced + 1, barren=state.barren + 1)
        case BenchWaited():
            return _with(state, waited=state.waited + event.seconds)
        case GroupCut():
            return _with(state, cut={**state.cut, event.group: event.hours})
        case BenchStopped():
            return _with(state, stopped=event)
        case BenchStarted():
            return state


def _resumed(state: BenchState) -> BenchState:
    """What failed in another process's life may work in this one's."""
    return _with(
        state,
        stopped=None,
        barren=0,
        errors=PersistentMap(),
        rounds={},
        cut={},
        at_work={group: at_work.resumed() for group, at_work in state.at_work.items()},
        open=PersistentSet(state.to_take()),
    )


def _taken(state: BenchState, key: TrialKey, result: TrialResult, at: float) -> BenchState:
    group, calls = state.group_of(key), state.calls.get(key.arm, 0) + _calls_of(state, key, result)
    failed, known = result.outcome is Outcome.ERROR, state.results.get(key)
    state = _with(
        state,
        at_work={**state.at_work, group: state.at_work.get(group, AtWork()).after(at - result.seconds, at)},
        cost_usd=sum_known(state.cost_usd, result.cost_usd),
        tokens=sum_known(state.tokens, result.tokens),
        calls={**state.calls, key.arm: calls},
        barren=state.barren if result.failure_mode == LOST else 0,
        rounds={**state.rounds, key.arm: one_more(state.rounds.get(key.arm, ()), result, at)},
        answered=state.answered | {key.arm} if result.outcome.counts else state.answered,
        errors=_counted(state.errors, key) if failed and turned_away(result) is None else state.errors,
        all_errors=_counted(state.all_errors, key) if failed else state.all_errors,
    )
    worse = failed and known is not None and known.outcome is not Outcome.ERROR
    return state if worse else _settled(state, key, result)


def _counted(errors: PersistentMap[TrialKey, int], key: TrialKey) -> PersistentMap[TrialKey, int]:
    return errors.having(key, errors.get(key, 0) + 1)


def _settled(state: BenchState, key: TrialKey, result: TrialResult) -> BenchState:
    is_open = not _settles(result, state.errors.get(key, 0))
    results = state.results.having(key, result)
    return _with(state, results=results, open=state.open if is_open else state.open.without(key))


def _settles(result: TrialResult, errors: int) -> bool:
    return result.outcome is not Outcome.ERROR or errors >= MOST_TRIES


def _calls_of(state: BenchState, key: TrialKey, result: TrialResult) -> int:
    if result.outcome is Outcome.UNSUPPORTED or result.failure_mode == LOST:
        return result.turns or 0
    profiles = {arm.name: arm.profile for arm in state.started.plan.arms}
    least = 0 if profiles.get(key.arm) in BUILT_IN else 1
    return least if result.turns is None else result.turns


class CutShort(Frozen):
    """A group whose hours were used up before its last trial, over all arms."""

    group: str
    hours: float
    taken: int
    planned: int

    @property
    def sentence(self) -> str:
        """The group and its hours in one sentence."""
        hours = "hour is" if self.hours == 1 else "hours are"
        trials = counted(self.planned, "planned trial")
        return f"{self.group} was cut short: its {self.hours:g} {hours} used up, {self.taken} of {trials} taken"


def used_up(
    state: BenchState, hours: Mapping[str, float], in_hand: Mapping[TrialKey, float], now: float
) -> Iterator[str]:
    """The groups to cut short now: their hours are used up, and there are trials of them that nobody is at.

    `in_hand` has since when each trial runs that somebody is at.
    """
    for group in hours.keys() - state.cut.keys():
        at_work = state.at_work.get(group, AtWork())
        running = [(since, now) for key, since in in_hand.items() if state.group_of(key) == group]
        if at_work.seconds(running) >= hours[group] * 3600 and _has_more(state, group, in_hand):
            yield group


def _has_more(state: BenchState, group: str, in_hand: Mapping[TrialKey, float]) -> bool:
    return any(state.group_of(key) == group and key not in in_hand for key in state.open)
