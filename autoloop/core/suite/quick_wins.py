"""What would lift one arm's pass rate soonest, each with the numbers that led to it.

The gain of a win is the most that it could bring: the trials that it is about, as a part of all that count.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from autoloop.core.suite.advice import About, Advice, Kind
from autoloop.core.suite.failures import TURNS, Consistency, FailureMode, TaskRecord, failure_modes, task_records
from autoloop.core.suite.pairing import Results
from autoloop.core.suite.saying import counted
from autoloop.core.suite.trial import Outcome, TrialResult
from autoloop.core.texts import listed, percent

_LATE = 0.7
"""A pass that took so large a part of the time or turns there were would often have been cut off."""
_SHARED_BY = 3
_SHARED_PART = 0.25
_NEARLY = 0.5
"""A task that never passed is near to it with such a mean reward."""


@dataclass(frozen=True)
class ArmFacts:
    """What the wins of one arm are read from."""

    arm: str
    results: Results
    records: tuple[TaskRecord, ...]
    modes: tuple[FailureMode, ...]

    @classmethod
    def of(cls, arm: str, results: Results) -> "ArmFacts":
        """The facts of one arm's results."""
        return cls(arm, results, task_records(results), failure_modes(results))

    @property
    def counted(self) -> int:
        """Trials that count."""
        return sum(record.rate.of for record in self.records)

    @property
    def passed(self) -> int:
        """Of these."""
        return sum(record.rate.passed for record in self.records)

    def win(self, about: About, text: str, tasks: Iterable[str], trials: int) -> Advice:
        """An advice that may turn so many trials into passes."""
        gain = trials / self.counted
        return Advice(kind=Kind.QUICK_WIN, about=about, arm=self.arm, text=text, tasks=tuple(tasks), gain=gain)


def quick_wins(facts: ArmFacts) -> list[Advice]:
    """The largest first; none where nothing failed or the results show no way."""
    if not facts.counted or facts.passed == facts.counted:
        return []
    wins = [*_flaky(facts), *_late(facts), *_turns(facts), *_shared(facts), *_nearly(facts)]
    return sorted(wins, key=lambda win: -(win.gain or 0.0))


def _flaky(facts: ArmFacts) -> Iterator[Advice]:
    flaky = [record for record in facts.records if record.consistency is Consistency.FLAKY]
    if not flaky:
        return
    flaky.sort(key=lambda record: (record.rate.passed - record.rate.of, record.task))
    missed = sum(record.rate.of - record.rate.passed for record in flaky)
    shown = listed([f"{record.task} {record.rate.passed} of {record.rate.of}" for record in flaky])
    now, then = facts.passed / facts.counted, (facts.passed + missed) / facts.counted
    text = (
        f"{_tasks(flaky)} sometimes pass: {shown}. Were it always, the pass rate would be {percent(then)} instead of "
        f"{percent(now)}"
    )
    yield facts.win(About.FLAKY, text, (record.task for record in flaky), missed)


def _late(facts: ArmFacts) -> Iterator[Advice]:
    """Timeouts of tasks that pass late when they pass, or had earned something when the time was over."""
    near: dict[str, int] = {}
    shares: list[float] = []
    for record in facts.records:
        results = _of_task(facts.results, record.task)
        cut_off = [result for result in results if result.outcome is Outcome.TIMEOUT]
        limit = min(map(_agent_seconds, cut_off), default=0.0)
        if not limit:
            continue
        passes = [_agent_seconds(result) / limit for result in results if result.passed]
        if any(result.reward for result in cut_off) or max(passes, default=0.0) >= _LATE:
            near[record.task] = len(cut_off)
            shares += [share for share in passes if share >= _LATE]
    if near:
        late = counted(len(shares), "pass", "passes")
        why = f"{late} took {percent(min(shares))} of that time or more" if shares else "part of the work was done"
        trials = sum(near.values())
        text = f"{counted(trials, 'trial')} of {listed(list(near))} ran out of time, and {why}: more time may help"
        yield facts.win(About.MORE_TIME, text, near, trials)


def _turns(facts: ArmFacts) -> Iterator[Advice]:
    at_limit = [mode for mode in facts.modes if mode.mode == TURNS and mode.outcome.counts]
    trials = sum(mode.trials for mode in at_limit)
    limit = max((r.turns or 0 for r in facts.results.values() if r.failure_mode == TURNS), default=0)
    if not trials or not limit:
        return
    tasks = sorted({task for mode in at_limit for task in mode.tasks})
    most = max((result.turns or 0 for result in facts.results.values() if result.passed), default=0)
    text = f"{counted(trials, 'trial')} of {listed(tasks)} reached the limit of {limit} turns"
    if most >= _LATE * limit:
        text += f", and a pass took {most}: more turns may help"
    elif most:
        text += f", while no pass took more than {most}: look for loops"
    yield facts.win(About.TURNS, text, tasks, trials)


def _shared(facts: ArmFacts) -> Iterator[Advice]:
    """One way of failing that many tasks have in common."""
    for mode in facts.modes:
        named = mode.outcome is Outcome.FAIL and mode.mode not in (TURNS, Outcome.FAIL.value)
        if named and len(mode.tasks) >= _SHARED_BY and mode.share >= _SHARED_PART:
            text = (
                f"`{mode.mode}` ended {counted(mode.trials, 'trial')} of {counted(len(mode.tasks), 'task')}, "
                f"{percent(mode.share)} of all that did not pass: begin with {listed(mode.tasks, 3)}"
            )
            yield facts.win(About.SHARED_MODE, text, mode.tasks, mode.trials)


def _nearly(facts: ArmFacts) -> Iterator[Advice]:
    near = [
        record
        for record in facts.records
        if record.rate.of and not record.rate.passed and (record.mean_reward or 0.0) >= _NEARLY
    ]
    if near:
        near.sort(key=lambda record: (-(record.mean_reward or 0.0), record.task))
        shown = listed([f"{record.task} {record.mean_reward:.2g} in {record.rate.of}" for record in near])
        text = f"{_tasks(near)} never passed and came near, by mean reward and trials: {shown}"
        yield facts.win(About.NEARLY, text, (record.task for record in near), sum(record.rate.of for record in near))


def _tasks(records: list[TaskRecord]) -> str:
    return counted(len(records), "task")


def _of_task(results: Results, task: str) -> list[TrialResult]:
    return [result for key, result in results.items() if key.task == task]


def _agent_seconds(result: TrialResult) -> float:
    return result.seconds if result.agent_seconds is None else result.agent_seconds
