"""How and where trials fail: the commonest modes with examples, and task by task what can be relied on.

All of one arm's trials of a task are taken together, over attempts and iterations. How sure one can be of a task that
always went the same way: were it to go the other way in a share of its trials larger than `could_hide`, so many alike
would be seen in less than 5 % of the cases (Clopper and Pearson 1934; for many trials this is the rule of three).

Clopper and Pearson 1934, The use of confidence or fiducial limits illustrated in the case of the binomial.
"""

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

from autoloop.core.evidence.trials import Rate
from autoloop.core.model import Frozen
from autoloop.core.suite.contrast import Results
from autoloop.core.suite.tally import mean_known, score
from autoloop.core.suite.tasks import Outcome, TrialKey, TrialResult

TURNS = "turns"
"""The failure mode of a trial that reached its turn limit: most often a loop."""
EXAMPLES = 3


class FailureMode(Frozen):
    """A way in which trials of one arm failed, with how often and examples."""

    outcome: Outcome
    """Fail, timeout, or error; what is unsupported did not fail."""
    mode: str
    """The failure mode, or the outcome where nothing more is known."""
    trials: int
    share: float
    """Of the trials with the same claim to count: of all that failed or ran out of time, or of all errors."""
    tasks: tuple[str, ...]
    """The tasks, those that it hit most often first."""
    examples: tuple[TrialKey, ...]
    """One of each task, as far as there is room."""
    detail: str
    """What the first example says of itself."""


class Consistency(StrEnum):
    """The consistency of a task's trials: always, sometimes or never passed, or tried only once."""

    PASSES = "passes"
    FAILS = "fails"
    FLAKY = "flaky"
    """It passed and did not: that is certain, only the rate is not."""
    TRIED_ONCE = "tried_once"
    """One trial says nothing about the next."""
    NOTHING_COUNTS = "nothing_counts"


def could_hide(trials: int) -> float:
    """The largest share of the other outcome that so many trials, all alike, hide in 5 % of the cases."""
    return float(1.0 - 0.05 ** (1 / trials))


class TaskRecord(Frozen):
    """The record of one task in one arm: its trials, its rate, its failures."""

    task: str
    consistency: Consistency
    rate: Rate
    could_hide: float | None
    """For what always went the same way: the largest share of the other that so few trials can hide; else None."""
    mean_reward: float | None
    timeouts: int
    errors: int
    """Trials that stand as an error."""
    loops: int
    """Trials that reached their turn limit."""
    unsupported: int
    modes: dict[str, int]
    """The modes of trials that failed or ran out of time, the commonest first."""
    mean_seconds: float | None


def failure_modes(results: Results) -> tuple[FailureMode, ...]:
    """The ways in which trials did not pass, the commonest first; errors behind what counts."""
    by_mode: dict[tuple[Outcome, str], list[TrialKey]] = {}
    for key in sorted(results, key=lambda key: (key.iteration, key.task, key.attempt, key.arm)):
        if results[key].outcome not in (Outcome.PASS, Outcome.UNSUPPORTED):
            by_mode.setdefault((results[key].outcome, mode_of(results[key])), []).append(key)
    totals = Counter(outcome.counts for (outcome, _), keys in by_mode.items() for _ in keys)
    found = [_mode(outcome, mode, keys, results, totals[outcome.counts]) for (outcome, mode), keys in by_mode.items()]
    return tuple(sorted(found, key=lambda one: (not one.outcome.counts, -one.trials, one.outcome, one.mode)))


def task_records(results: Results) -> tuple[TaskRecord, ...]:
    """Every task of one arm that has a result, in the order of their names."""
    by_task: dict[str, list[TrialResult]] = {}
    for key, result in results.items():
        by_task.setdefault(key.task, []).append(result)
    return tuple(_record(task, by_task[task]) for task in sorted(by_task))


def mode_of(result: TrialResult) -> str:
    """One word for why a trial did not pass."""
    return result.failure_mode or result.outcome.value


def _mode(outcome: Outcome, mode: str, keys: Sequence[TrialKey], results: Results, of: int) -> FailureMode:
    tasks = Counter(key.task for key in keys)
    first = {key.task: key for key in reversed(keys)}
    examples = [first[task] for task, _ in tasks.most_common(EXAMPLES)]
    return FailureMode(
        outcome=outcome,
        mode=mode,
        trials=len(keys),
        share=len(keys) / of,
        tasks=tuple(task for task, _ in tasks.most_common()),
        examples=tuple(examples),
        detail=next((results[key].detail for key in examples if results[key].detail), ""),
    )


def _record(task: str, results: Sequence[TrialResult]) -> TaskRecord:
    counting = [result for result in results if result.outcome.counts]
    outcomes = Counter(result.outcome for result in results)
    rate = Rate.of_counts(outcomes[Outcome.PASS], len(counting))
    consistency = _consistency(rate)
    alike = consistency in (Consistency.PASSES, Consistency.FAILS, Consistency.TRIED_ONCE)
    modes = Counter(mode_of(result) for result in counting if not result.passed)
    return TaskRecord(
        task=task,
        consistency=consistency,
        rate=rate,
        could_hide=could_hide(rate.of) if alike else None,
        mean_reward=mean_known(map(score, counting)),
        timeouts=outcomes[Outcome.TIMEOUT],
        errors=outcomes[Outcome.ERROR],
        loops=modes[TURNS],
        unsupported=outcomes[Outcome.UNSUPPORTED],
        modes=dict(modes.most_common()),
        mean_seconds=mean_known(result.seconds for result in counting),
    )


def _consistency(rate: Rate) -> Consistency:
    if rate.of < 2:
        return Consistency.TRIED_ONCE if rate.of else Consistency.NOTHING_COUNTS
    if rate.passed == rate.of:
        return Consistency.PASSES
    return Consistency.FLAKY if rate.passed else Consistency.FAILS
