"""What is worse tonight than in the nights before, and is no noise.

The suite as a whole is judged by the contrast of tonight with as many trials of each task from the latest nights. A
task by itself is judged against all its earlier trials, by Fisher's exact test (1935), each at its part of alpha
(Bonferroni): one flip of one task among many happens every night, and is no alert.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from itertools import count
from math import comb

from autoloop.core.comparison import Difference
from autoloop.core.model import Frozen
from autoloop.core.suite.contrast import ALPHA, Contrast, contrast
from autoloop.core.suite.episode import EpisodeRecord
from autoloop.core.suite.pairing import Results
from autoloop.core.suite.rates import Rate
from autoloop.core.suite.saying import rate_of
from autoloop.core.suite.trial import Outcome, TrialKey, TrialResult

_BEYOND = 10**6
"""No iteration has such a number, so that nothing is paired by it."""


class TaskAlert(Frozen):
    """A task that passes less often tonight than chance explains."""

    task: str
    before: Rate
    tonight: Rate
    p: float

    def sentence(self) -> str:
        """The whole of it for people."""
        tonight, before = f"{self.tonight.passed} of {self.tonight.of}", f"{self.before.passed} of {self.before.of}"
        return (
            f"{self.task} passed {tonight} times tonight ({rate_of(self.tonight)}) and {before} before, p {self.p:.1g}"
        )


class Alerts(Frozen):
    """What somebody should look at."""

    suite: Contrast | None
    """Of tonight against the nights before, when it is worse."""
    tasks: tuple[TaskAlert, ...]

    def sentences(self) -> tuple[str, ...]:
        """One for each alert; none when all is well."""
        whole = (self.suite.sentence(),) if self.suite else ()
        return (*whole, *(task.sentence() for task in self.tasks))


def alerts(tonight: Results, earlier: Sequence[Results], *, alpha: float = ALPHA) -> Alerts:
    """What is worse; `earlier` is oldest first. One profile's results, of one version of the suite."""
    before = _latest_first(earlier)
    whole = contrast(before, tonight, names=("the nights before", "tonight"), alpha=alpha)
    return Alerts(
        suite=whole if whole.verdict is Difference.WORSE else None,
        tasks=_worse_tasks(_counts(before), _counts(tonight), alpha),
    )


def results_of(record: EpisodeRecord) -> dict[TrialKey, TrialResult]:
    """The trials of an episode that counted, as far as its record tells them: passed or not, by task.

    Which of a task's trials passed is drawn by a hash. In an order of passes and fails, those of two episodes would
    flip together when they are paired, and seem to say more than they do.
    """
    results = {}
    for task, (passed, of) in record.cases.items():
        drawn = sorted(range(1, of + 1), key=lambda number: sha256(f"{record.id}/{task}/{number}".encode()).digest())
        for place, number in enumerate(drawn):
            outcome = Outcome.PASS if place < passed else Outcome.FAIL
            key = TrialKey(arm=record.arm, iteration=record.iteration, task=task, attempt=number)
            results[key] = TrialResult(outcome=outcome, started=0.0, seconds=0.0)
    return results


def _latest_first(earlier: Sequence[Results]) -> dict[TrialKey, TrialResult]:
    """All nights as one, in which trials are found by their order alone."""
    numbers = count(_BEYOND)
    ordered = [
        (key, night[key])
        for night in reversed(earlier)
        for key in sorted(night, key=lambda key: (key.iteration, key.attempt, key.task))
    ]
    return {key.model_copy(update={"iteration": next(numbers)}): result for key, result in ordered}


def _counts(results: Results) -> dict[str, Rate]:
    passes: dict[str, list[bool]] = {}
    for key, result in results.items():
        if result.outcome.counts:
            passes.setdefault(key.task, []).append(result.passed)
    return {task: Rate.of_counts(sum(passed), len(passed)) for task, passed in passes.items()}


def _worse_tasks(before: Mapping[str, Rate], tonight: Mapping[str, Rate], alpha: float) -> tuple[TaskAlert, ...]:
    common = sorted(before.keys() & tonight.keys())
    found = [TaskAlert(task=t, before=before[t], tonight=tonight[t], p=_fisher(before[t], tonight[t])) for t in common]
    worse = [alert for alert in found if alert.p <= alpha / len(common)]
    return tuple(sorted(worse, key=lambda alert: (alert.p, alert.task)))


def _fisher(before: Rate, tonight: Rate) -> float:
    """How likely as few passes fall on tonight, were all trials of the task alike."""
    passed = before.passed + tonight.passed
    ways = sum(comb(tonight.of, k) * comb(before.of, passed - k) for k in range(tonight.passed + 1) if k <= passed)
    return ways / comb(before.of + tonight.of, passed)
