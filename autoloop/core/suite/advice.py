"""Advice after a bench: what would lift a pass rate soonest, and which question takes how many more trials.

Everything is read from the results and comes with the numbers that led to it; where they show nothing, none is given.
The gain of a quick win is the most that it could bring: the trials that it is about, as a part of all that count.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain

from autoloop.core.evidence.comparison import Difference
from autoloop.core.evidence.trials import Rate
from autoloop.core.model import Frozen
from autoloop.core.suite.contrast import Contrast, Results, contrast, difference_of, rounded
from autoloop.core.suite.failures import TURNS, Consistency, FailureMode, TaskRecord, failure_modes, task_records
from autoloop.core.suite.state import BenchState
from autoloop.core.suite.tasks import Outcome, TrialResult
from autoloop.core.text import counted, listed, percent

MOST = 10
_MOST_WINS = 6
"""So that the next steps have room."""
_ATTEMPTS = 5
"""A task that passes every other time looks consistent in five trials in 6 % of the cases."""
_TOO_FAR = 20
"""Times the pairs there are: beyond that a question is hardly worth the nights."""


class About(StrEnum):
    """The finding in the results that led to an advice."""

    FLAKY = "flaky"
    MORE_TIME = "more_time"
    TURNS = "turns"
    SHARED_MODE = "shared_mode"
    NEARLY = "nearly"
    ERRORS = "errors"
    OUTSTANDING = "outstanding"
    CONTRAST = "contrast"
    TRIED_ONCE = "tried_once"
    UNSUPPORTED = "unsupported"


class AdviceKind(StrEnum):
    """The kind of an advice: one that lifts a rate, or one that answers a question."""

    QUICK_WIN = "quick_win"
    """It would lift a pass rate."""
    NEXT_STEP = "next_step"
    """It would answer a question."""


class Advice(Frozen):
    """One recommendation, with the numbers that led to it."""

    kind: AdviceKind
    about: About
    arm: str
    """Whose trials it is about; empty for the whole bench."""
    text: str
    tasks: tuple[str, ...] = ()
    gain: float | None = None
    """The most that it can add to the arm's pass rate, as a fraction of 1; None for a next step."""


def advise(state: BenchState) -> tuple[Advice, ...]:
    """At most ten, those first that bring most; none when the results suggest none."""
    arms = [ArmFacts.of(arm.name, state.of(arm=arm.name)) for arm in state.started.plan.arms]
    wins = sorted(chain.from_iterable(map(quick_wins, arms)), key=lambda win: -(win.gain or 0.0))[:_MOST_WINS]
    steps = [*_outstanding(state), *_errors(state), *_contrasts(arms), *_tried_once(arms), *_unsupported(arms)]
    return (*wins, *steps)[:MOST]


def _outstanding(state: BenchState) -> Iterator[Advice]:
    left = sum(1 for _ in state.outstanding())
    if state.cut and state.stopped is not None:
        cut = listed(sorted(state.cut))
        unmet = sum(state.group_of(key) in state.cut for key in state.open)
        text = f"{counted(unmet, 'trial was', 'trials were')} not begun, for want of hours of {cut}: resume with more"
        yield _step(About.OUTSTANDING, "", text)
    if left and state.stopped is not None:
        done = len(state.results)
        text = f"{counted(left, 'trial is', 'trials are')} outstanding, {done:,} have a result: resume the bench"
        yield _step(About.OUTSTANDING, "", text)


def _errors(state: BenchState) -> Iterator[Advice]:
    """The tasks whose trials cost most tries by errors."""
    by_task: Counter[str] = Counter()
    for key, errors in state.all_errors.items():
        by_task[key.task] += errors
    total = by_task.total()
    if total < 2:
        return
    modes = Counter(r.failure_mode for r in state.results.values() if r.outcome is Outcome.ERROR and r.failure_mode)
    standing = sum(result.outcome is Outcome.ERROR for result in state.results.values())
    worst = [f"{task} {errors}" for task, errors in by_task.most_common()]
    text = f"{counted(total, 'try', 'tries')} were lost to errors: {listed(worst, 3)}"
    if standing:
        text += f"; {counted(standing, 'trial still stands as an error', 'trials still stand as errors')}, in no rate"
    if modes:
        text += f", most often as `{modes.most_common(1)[0][0]}`"
    yield _step(About.ERRORS, "", text, tuple(task for task, _ in by_task.most_common()))


@dataclass(frozen=True)
class ArmFacts:
    """The facts of one arm's results from which quick wins are read."""

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
        """The number of the arm's trials that count."""
        return sum(record.rate.of for record in self.records)

    @property
    def passed(self) -> int:
        """The number of the arm's trials that passed."""
        return sum(record.rate.passed for record in self.records)

    def win(self, about: About, text: str, tasks: Iterable[str], trials: int) -> Advice:
        """An advice that may turn so many trials into passes."""
        gain = trials / self.counted
        return Advice(kind=AdviceKind.QUICK_WIN, about=about, arm=self.arm, text=text, tasks=tuple(tasks), gain=gain)


def _contrasts(arms: list[ArmFacts]) -> Iterator[Advice]:
    """Where the first arm and another cannot be told apart, what it would take."""
    for other in arms[1:]:
        seen = contrast(arms[0].results, other.results, names=(arms[0].arm, other.arm))
        if seen.pairs and seen.verdict is Difference.NOISE and seen.more_pairs is not None:
            yield _step(About.CONTRAST, other.arm, _to_tell(seen, seen.more_pairs))


def _to_tell(seen: Contrast, more: int) -> str:
    question = f"{counted(seen.pairs, 'pair')} do not show which of {seen.a_name} and {seen.b_name} is better"
    facts = f"{question} ({difference_of(seen)})"
    times = (seen.pairs + more) / seen.pairs
    verdict = ", which is hardly worth it" if times > _TOO_FAR else ""
    return (
        f"{facts}: at that difference it takes about {rounded(more):,} more, {times:.2g} times what there are{verdict}"
    )


def _tried_once(arms: list[ArmFacts]) -> Iterator[Advice]:
    for facts in arms:
        once = [
            record.task
            for record in facts.records
            if record.consistency is Consistency.TRIED_ONCE and not record.rate.passed
        ]
        if once:
            missed = 2 * 0.5**_ATTEMPTS
            text = (
                f"{counted(len(once), 'task')} failed in the only trial, so flaky and consistent failures look alike: "
                f"with {_ATTEMPTS} attempts a task that passes every other time is seen to be flaky in "
                f"{percent(1 - missed, '.0f')} of the cases"
            )
            yield _step(About.TRIED_ONCE, facts.arm, text, tuple(once))


def _unsupported(arms: list[ArmFacts]) -> Iterator[Advice]:
    why: dict[str, str] = {}
    for facts in arms:
        for key, result in facts.results.items():
            if result.outcome is Outcome.UNSUPPORTED:
                why.setdefault(key.task, result.detail or result.failure_mode)
    if why:
        reasons = Counter(reason for reason in why.values() if reason)
        cause = f": {listed([reason for reason, _ in reasons.most_common()], 2)}" if reasons else ""
        yield _step(
            About.UNSUPPORTED, "", f"{counted(len(why), 'task')} cannot be tried here{cause}", tuple(sorted(why))
        )


def _step(about: About, arm: str, text: str, tasks: tuple[str, ...] = ()) -> Advice:
    return Advice(kind=AdviceKind.NEXT_STEP, about=about, arm=arm, text=text, tasks=tasks)


_LATE = 0.7
"""A pass that took so large a part of the time or turns there were would often have been cut off."""
_SHARED_BY = 3
_SHARED_PART = 0.25
_NEARLY = 0.5
"""A task that never passed is near to it with such a mean reward."""


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
    now, then = (Rate.of_counts(passed, facts.counted).value for passed in (facts.passed, facts.passed + missed))
    text = (
        f"{_tasks(flaky)} sometimes pass: {shown}. Were it always, the pass rate would be {percent(then)} "
        f"instead of {percent(now)}"
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
