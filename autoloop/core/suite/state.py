"""The state of a bench: the fold of its events. Nothing is remembered beside it.

A trial that errored is outstanding until it has been tried `MOST_TRIES` times; what it cost is counted each time.

Hours of groups: how long trials of a level were at work, and which levels have used theirs up.

What counts is the time in which at least one trial of the group ran, however many ran side by side and whatever other
groups did. It is known from the journal, so that a resume goes on counting.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from autoloop.core.model import Frozen
from autoloop.core.suite.contrast import counted
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
from autoloop.core.suite.plan import BUILT_IN
from autoloop.core.suite.tasks import Outcome, TrialKey, TrialResult
from autoloop.core.text import sum_known

LOST = "worker_lost"
"""The failure mode of a trial whose worker had to be replaced."""
MOST_TRIES = 3
"""How often a trial that errors is tried in one process's life; a resume begins to count anew."""

Span = tuple[float, float]
"""From when to when, in Unix seconds."""


@dataclass
class AtWork:
    """How long at least one of many trials ran. Spans are told in the order in which they ended."""

    earlier: float = 0.0
    """Seconds in other processes' lives, whose clocks may have differed."""
    spans: list[Span] = field(default_factory=list)
    """Of this process's life; none of them touch."""

    def add(self, start: float, end: float) -> None:
        """One more trial ended."""
        while self.spans and self.spans[-1][1] >= start:
            before = self.spans.pop()
            start, end = min(start, before[0]), max(end, before[1])
        self.spans.append((start, end))

    def begin_anew(self) -> None:
        """Another process takes the bench up."""
        self.earlier, self.spans = self.seconds(), []

    def seconds(self, in_hand: Iterable[Span] = ()) -> float:
        """All of it, with trials that have not ended yet."""
        seen = AtWork(spans=list(self.spans))
        for start, now in in_hand:
            seen.add(start, now)
        return self.earlier + sum(end - start for start, end in seen.spans)


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
    rounds: dict[str, Rounds] = field(default_factory=dict)
    """Of each arm, since the last resume: how often its service turned trials away since it last answered."""
    answered: set[str] = field(default_factory=set)
    """The arms of which a trial came to something that counts."""
    stopped: BenchStopped | None = None
    replaced: int = 0
    """Workers."""
    barren: int = 0
    """Workers that were replaced since one last brought a result."""
    open: dict[TrialKey, None] = field(default_factory=dict)
    """The trials that are not settled, in the order of the plan."""
    groups: dict[str, str] = field(default_factory=dict)
    """Of each task."""
    at_work: dict[str, AtWork] = field(default_factory=dict)
    """How long trials of each group ran."""
    cut: dict[str, float] = field(default_factory=dict)
    """The groups of which nothing more is begun, with the hours that they had."""
    events: int = 0
    first_at: float = 0.0
    last_at: float = 0.0
    worked: float = 0.0
    """Seconds in which a process worked on it."""
    waited: float = 0.0
    cost_usd: float | None = None
    tokens: int | None = None
    reused: set[TrialKey] = field(default_factory=set)
    """The trials whose result was taken from stored ones."""
    calls: dict[str, int] = field(default_factory=dict)
    """Of each arm: the answers of its model in all tries. A session that does not count them has one at least."""

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
                self.groups = {task.id: task.group for task in event.plan.tasks}
                self.open = dict.fromkeys(event.plan.trials())
            case BenchResumed():
                self._begin_anew()
            case TrialEnded(reused=True):
                self.reused.add(event.key)
                self._settle(event.key, event.result)
            case TrialEnded():
                self._take(event.key, event.result, event.at)
            case Regraded():
                self._settle(event.key, event.result)
            case WorkerReplaced():
                self.replaced += 1
                self.barren += 1
            case BenchWaited():
                self.waited += event.seconds
            case GroupCut():
                self.cut[event.group] = event.hours
            case BenchStopped():
                self.stopped = event

    def _begin_anew(self) -> None:
        """What failed in another process's life may work in this one's."""
        assert self.started is not None, "a journal begins with its bench"
        self.stopped, self.barren = None, 0
        self.errors.clear()
        self.rounds.clear()
        self.cut.clear()
        for at_work in self.at_work.values():
            at_work.begin_anew()
        self.open = dict.fromkeys(self.to_take())

    def to_take(self) -> list[TrialKey]:
        """The trials that are left for a process that takes the bench up: errors among them, in the plan's order."""
        assert self.started is not None, "a journal begins with its bench"
        taken = {key for key, result in self.results.items() if result.outcome is not Outcome.ERROR}
        return [key for key in self.started.plan.trials() if key not in taken]

    def _take(self, key: TrialKey, result: TrialResult, at: float) -> None:
        self.at_work.setdefault(self.group_of(key), AtWork()).add(at - result.seconds, at)
        self.cost_usd = sum_known(self.cost_usd, result.cost_usd)
        self.tokens = sum_known(self.tokens, result.tokens)
        self.calls[key.arm] = self.calls.get(key.arm, 0) + self._calls_of(key, result)
        self.barren = self.barren if result.failure_mode == LOST else 0
        self.rounds[key.arm] = one_more(self.rounds.get(key.arm, ()), result, at)
        if result.outcome.counts:
            self.answered.add(key.arm)
        if result.outcome is Outcome.ERROR:
            if turned_away(result) is None:  # that says nothing of the trial
                self.errors[key] = self.errors.get(key, 0) + 1
            self.all_errors[key] = self.all_errors.get(key, 0) + 1
            known = self.results.get(key)
            if known is not None and known.outcome is not Outcome.ERROR:
                return
        self._settle(key, result)

    def _settle(self, key: TrialKey, result: TrialResult) -> None:
        self.results[key] = result
        if self.is_settled(key):
            self.open.pop(key, None)

    def _calls_of(self, key: TrialKey, result: TrialResult) -> int:
        if result.outcome is Outcome.UNSUPPORTED or result.failure_mode == LOST:
            return result.turns or 0
        profiles = {arm.name: arm.profile for arm in self.started.plan.arms} if self.started else {}
        least = 0 if profiles.get(key.arm) in BUILT_IN else 1
        return least if result.turns is None else result.turns

    def pauses(self) -> dict[str, Pause]:
        """The arms that have to wait, or are given up."""
        found = {arm: pause_of(rounds, answered=arm in self.answered) for arm, rounds in self.rounds.items()}
        return {arm: pause for arm, pause in found.items() if pause is not None}

    def is_settled(self, key: TrialKey) -> bool:
        """Whether nothing more is to be done about a trial."""
        result = self.results.get(key)
        if result is None:
            return False
        return result.outcome is not Outcome.ERROR or self.errors.get(key, 0) >= MOST_TRIES

    def outstanding(self) -> Iterator[TrialKey]:
        """The trials that are still to be taken, in the order of the plan; none of a group that was cut short."""
        assert self.started is not None, "a journal begins with its bench"
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
    """The state after all events."""
    state = BenchState()
    for event in events:
        state.fold(event)
    return state


class CutShort(Frozen):
    """A group whose hours were used up before its last trial, over all arms."""

    group: str
    hours: float
    taken: int
    planned: int

    @property
    def sentence(self) -> str:
        """For people."""
        hours = "hour is" if self.hours == 1 else "hours are"
        trials = counted(self.planned, "planned trial")
        return f"{self.group} was cut short: its {self.hours:g} {hours} used up, {self.taken} of {trials} taken"


def used_up(
    state: "BenchState", hours: Mapping[str, float], in_hand: Mapping[TrialKey, float], now: float
) -> Iterator[str]:
    """The groups to cut short now: their hours are used up, and there are trials of them that nobody is at.

    `in_hand` has since when each trial runs that somebody is at.
    """
    for group in hours.keys() - state.cut.keys():
        at_work = state.at_work.get(group, AtWork())
        running = [(since, now) for key, since in in_hand.items() if state.group_of(key) == group]
        if at_work.seconds(running) >= hours[group] * 3600 and _has_more(state, group, in_hand):
            yield group


def _has_more(state: "BenchState", group: str, in_hand: Mapping[TrialKey, float]) -> bool:
    return any(state.group_of(key) == group and key not in in_hand for key in state.open)
