"""Tallies of trials: counts, pass rate, time, effort, cost.

Only trials that count enter rates and means. An error is no failure, and what is unknown is None, never 0.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from autoloop.core.evidence.trials import Rate, pass_at_each
from autoloop.core.model import Frozen
from autoloop.core.suite.tasks import Outcome, TrialKey, TrialResult
from autoloop.core.text import sum_known


class Tally(Frozen):
    """Counts and means over some trials of a bench."""

    planned: int
    done: int
    """Trials about which nothing more is to be done."""
    passed: int
    failed: int
    timeout: int
    error: int
    """Trials that stand as an error: not counted, and tried again by a resume."""
    unsupported: int
    retries: int
    """How often a trial was tried once more because it errored."""
    rate: Rate
    """The pass rate over the trials that count: passed, failed and timeout."""
    pass_at: dict[int, float]
    """The mean pass@k over tasks, for every k that all of them have counting trials for."""
    mean_reward: float | None
    """The mean reward, partial credit included."""
    mean_seconds: float | None
    median_seconds: float | None
    sd_seconds: float | None
    """The standard deviation of seconds; None for fewer than two trials."""
    mean_turns: float | None
    mean_actions: float | None
    mean_tokens: float | None
    cost_usd: float | None
    """The sum of what is known of the trials that stand; None when nothing is."""
    unknown_costs: int
    """Trials that were taken, and whose cost is not known and so not in the sum."""

    @property
    def counted(self) -> int:
        """The number of trials that count."""
        return self.rate.of


@dataclass(frozen=True)
class Planned:
    """A trial of the plan, with its result so far."""

    key: TrialKey
    group: str
    settled: bool
    errors: int
    result: TrialResult | None


def score(result: TrialResult) -> float:
    """The reward of a trial that counts; 1 or 0 where only the outcome is known."""
    if result.reward is None:
        return float(result.passed)
    return result.reward


def tally(trials: Sequence[Planned]) -> Tally:
    """The tally of planned trials with their results."""
    results = [trial.result for trial in trials if trial.result is not None]
    outcomes = Counter(result.outcome for result in results)
    counting = [result for result in results if result.outcome.counts]
    seconds = [result.seconds for result in counting]
    taken = [result for result in results if result.outcome is not Outcome.UNSUPPORTED]
    return Tally(
        planned=len(trials),
        done=sum(trial.settled for trial in trials),
        passed=outcomes[Outcome.PASS],
        failed=outcomes[Outcome.FAIL],
        timeout=outcomes[Outcome.TIMEOUT],
        error=outcomes[Outcome.ERROR],
        unsupported=outcomes[Outcome.UNSUPPORTED],
        retries=sum(map(_retries, trials)),
        rate=Rate.of_counts(outcomes[Outcome.PASS], len(counting)),
        pass_at=pass_at_each(_by_task(trials)),
        mean_reward=mean_known(map(score, counting)),
        mean_seconds=mean_known(seconds),
        median_seconds=median(seconds) if seconds else None,
        sd_seconds=_sd(seconds),
        mean_turns=mean_known(result.turns for result in counting),
        mean_actions=mean_known(result.actions for result in counting),
        mean_tokens=mean_known(result.tokens for result in counting),
        cost_usd=total_cost(taken),
        unknown_costs=sum(result.cost_usd is None for result in taken),
    )


def mean_known(values: Iterable[float | None]) -> float | None:
    """The mean of what is known; None when nothing is."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def total_cost(results: Iterable[TrialResult]) -> float | None:
    """The sum of what is known; None when nothing is."""
    total: float | None = None
    for result in results:
        total = sum_known(total, result.cost_usd)
    return total


def _retries(trial: Planned) -> int:
    """An error that stands was the last try."""
    stands = trial.result is not None and trial.result.outcome is Outcome.ERROR
    return max(0, trial.errors - stands)


def _by_task(trials: Iterable[Planned]) -> Iterable[tuple[int, int]]:
    counts: dict[tuple[str, str], list[int]] = {}
    for trial in trials:
        if trial.result is not None and trial.result.outcome.counts:
            count = counts.setdefault((trial.key.arm, trial.key.task), [0, 0])
            count[0] += trial.result.passed
            count[1] += 1
    return ((passed, of) for passed, of in counts.values())


def _sd(values: Sequence[float]) -> float | None:
    if len(values) < 2:
        return None
    mean = fmean(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
