"""Trends over iterations and nights, and alerts: what is worse tonight than before, and is no noise.

The trend is Kendall's: how many pairs of points rise, against how many fall (Mann 1945; Kendall 1975). Its p-value
counts the orders in which the same values, ties and all, would show as much; that count is exact (MacMahon 1913). The
slope is the median over all pairs of points (Sen 1968). Points are compared over the tasks that all of them have, for a
night with other tasks has another rate by itself.

Alerts judge the suite as a whole by the contrast of tonight with as many trials of each task from the latest nights. A
task by itself is judged against all its earlier trials, by Fisher's exact test (1935), each at its part of alpha
(Bonferroni): one flip of one task among many happens every night, and is no alert.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from hashlib import sha256
from itertools import combinations, count
from math import comb
from statistics import median

from autoloop.core.evidence.comparison import Difference
from autoloop.core.evidence.trials import Rate
from autoloop.core.model import Frozen
from autoloop.core.suite.contrast import ALPHA, Contrast, Results, contrast, rate_of
from autoloop.core.suite.episode import EpisodeRecord
from autoloop.core.suite.state import BenchState
from autoloop.core.suite.tasks import Outcome, TrialKey, TrialResult
from autoloop.core.text import points

TREND_ALPHA = 0.02
"""At most this share of series without a trend is called rising or falling."""
_LONGEST = 60
"""Points that are looked at, the latest: the exact count takes a tenth of a second for so many."""


class TrendDirection(StrEnum):
    """The direction of a series: rising, falling, or no trend beyond noise."""

    RISING = "rising"
    FALLING = "falling"
    NOISE = "noise"


class Trend(Frozen):
    """Kendall's trend in the order of some values."""

    direction: TrendDirection
    points: int
    tau: float
    """Kendall's tau, from -1, always falling, to 1, always rising."""
    p: float
    """How often values without a trend show as much, either way."""
    slope: float
    """The median change from one point to the next."""

    def sentence(self, point: str = "night") -> str:
        """The trend and its numbers in one sentence."""
        facts = f"{points(self.slope)} per {point} over {self.points} {point}s, p {self.p:.2g}"
        if self.direction is TrendDirection.NOISE:
            return f"no trend beyond noise: {facts}"
        return f"{self.direction}: {facts}"


class Point(Frozen):
    """One iteration or one night in a series."""

    label: str
    at: float
    """Unix seconds of its beginning."""
    rate: Rate


class TrendSeries(Frozen):
    """A pass rate over iterations or nights, with its trend."""

    name: str
    tasks: int
    """How many tasks all points have; the rates are over these. 0 where the points name none."""
    points: tuple[Point, ...]
    trend: Trend


Cases = Mapping[str, tuple[int, int]]
"""Passed, and of how many, by task."""


def trend_of(values: Sequence[float]) -> Trend:
    """The trend of values in their order."""
    values = values[-_LONGEST:]
    pairs = list(combinations(values, 2))
    rising, falling = sum(a < b for a, b in pairs), sum(a > b for a, b in pairs)
    p = _p_value(Counter(values), min(rising, falling)) if rising + falling else 1.0
    slopes = [(b - a) / (j - i) for (i, a), (j, b) in combinations(enumerate(values), 2)]
    direction = TrendDirection.NOISE
    if p <= TREND_ALPHA:
        direction = TrendDirection.RISING if rising > falling else TrendDirection.FALLING
    tau = (rising - falling) / (rising + falling) if pairs and rising + falling else 0.0
    return Trend(direction=direction, points=len(values), tau=tau, p=p, slope=median(slopes) if slopes else 0.0)


def over_iterations(state: BenchState, arm: str) -> TrendSeries:
    """The pass rate of one arm, iteration by iteration."""
    found: dict[int, dict[str, tuple[int, int]]] = {}
    began: dict[int, float] = {}
    for key, result in state.of(arm=arm).items():
        if result.outcome.counts:
            cases = found.setdefault(key.iteration, {})
            passed, of = cases.get(key.task, (0, 0))
            cases[key.task] = (passed + result.passed, of + 1)
            began[key.iteration] = min(began.get(key.iteration, result.started), result.started)
    return _series(arm, [(str(number), began[number], found[number]) for number in sorted(found)])


def over_nights(records: Iterable[EpisodeRecord]) -> tuple[TrendSeries, ...]:
    """Bench by bench, one series for each suite, version and profile; the episodes of one bench are one point.

    Benches that have less than half of the latest one's tasks are left out.
    """
    groups: dict[tuple[str, str, str], dict[str, list[EpisodeRecord]]] = {}
    for record in sorted(records, key=lambda record: record.startedAt):
        runs = groups.setdefault((record.suite, record.suiteVersion, record.model), {})
        runs.setdefault(record.runId, []).append(record)
    return tuple(
        _series(" ".join(part for part in which if part), _similar([_night(run, runs[run]) for run in runs]))
        for which, runs in groups.items()
    )


_Dated = tuple[str, float, Cases]


def _night(run: str, records: Sequence[EpisodeRecord]) -> _Dated:
    """Records of earlier tools have no tasks: then the whole is taken for one."""
    merged: dict[str, tuple[int, int]] = {}
    for record in records:
        counts = record.summary
        whole = {"": (counts.passed, counts.passed + counts.failed + counts.timeout)}
        for task, (passed, of) in (record.cases or whole).items():
            before = merged.get(task, (0, 0))
            merged[task] = (before[0] + passed, before[1] + of)
    return run, records[0].startedAt.timestamp(), merged


def _similar(nights: Sequence[_Dated]) -> list[_Dated]:
    latest = nights[-1][2].keys()
    return [night for night in nights if 2 * len(night[2].keys() & latest) >= len(latest)]


def _series(name: str, dated: Sequence[_Dated]) -> TrendSeries:
    common = set.intersection(*(set(cases) for _, _, cases in dated)) if dated else set()
    kept = [
        Point(label=label, at=at, rate=_rate(cases[task] for task in common)) for label, at, cases in dated if common
    ]
    kept = [point for point in kept if point.rate.of]
    trend = trend_of([point.rate.value or 0.0 for point in kept])
    return TrendSeries(name=name, tasks=len(common - {""}), points=tuple(kept), trend=trend)


def _rate(counts: Iterable[tuple[int, int]]) -> Rate:
    both = list(counts)
    return Rate.of_counts(sum(passed for passed, _ in both), sum(of for _, of in both))


def _p_value(ties: Mapping[float, int], fewer: int) -> float:
    """How often as few pairs, or fewer, go one of the two ways, over all orders of the values.

    The orders of a multiset by their inversions are counted by the q-multinomial coefficient.
    """
    counts = [1]
    for n in range(1, sum(ties.values()) + 1):
        counts = _times(counts, n)
    for times in ties.values():
        for n in range(1, times + 1):
            counts = _divided(counts, n)
    return min(1.0, float(2 * sum(counts[: fewer + 1]) / sum(counts)))


def _times(counts: list[int], n: int) -> list[int]:
    """The polynomial times 1 + q + ... + q^(n-1)."""
    sums, total = [], 0
    for power in range(len(counts) + n - 1):
        total += counts[power] if power < len(counts) else 0
        total -= counts[power - n] if power >= n else 0
        sums.append(total)
    return sums


def _divided(counts: list[int], n: int) -> list[int]:
    """The polynomial that `_times` makes these of."""
    before: list[int] = []
    for power in range(len(counts) - n + 1):
        before.append(counts[power] - (counts[power - 1] if power else 0) + (before[power - n] if power >= n else 0))
    return before


_BEYOND = 10**6
"""No iteration has such a number, so that nothing is paired by it."""


class TaskAlert(Frozen):
    """A task that passes less often tonight than chance explains."""

    task: str
    before: Rate
    tonight: Rate
    p: float

    def sentence(self) -> str:
        """The alert and its numbers in one sentence."""
        tonight, before = f"{self.tonight.passed} of {self.tonight.of}", f"{self.before.passed} of {self.before.of}"
        return (
            f"{self.task} passed {tonight} times tonight ({rate_of(self.tonight)}) and {before} before, p {self.p:.1g}"
        )


class Alerts(Frozen):
    """The alerts of one night: the suite as a whole, and single tasks."""

    suite: Contrast | None
    """The contrast of tonight with the nights before, when tonight is worse."""
    tasks: tuple[TaskAlert, ...]

    def sentences(self) -> tuple[str, ...]:
        """A sentence for each alert; none when nothing is worse."""
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
