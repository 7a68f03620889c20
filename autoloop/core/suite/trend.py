"""Over iterations and over nights: a trend, or noise.

The trend is Kendall's: how many pairs of points rise, against how many fall (Mann 1945; Kendall 1975). Its p-value
counts the orders in which the same values, ties and all, would show as much; that count is exact (MacMahon 1913). The
slope is the median over all pairs of points (Sen 1968).

Points are compared over the tasks that all of them have, for a night with other tasks has another rate by itself.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from itertools import combinations
from statistics import median

from autoloop.core.model import Frozen
from autoloop.core.suite.episode import EpisodeRecord
from autoloop.core.suite.rates import Rate
from autoloop.core.suite.saying import points
from autoloop.core.suite.state import BenchState

ALPHA = 0.02
"""At most this share of series without a trend is called rising or falling."""
_LONGEST = 60
"""Points that are looked at, the latest: the exact count takes a tenth of a second for so many."""


class Direction(StrEnum):
    """Where a series goes."""

    RISING = "rising"
    FALLING = "falling"
    NOISE = "noise"


class Trend(Frozen):
    """What the order of some values says."""

    direction: Direction
    points: int
    tau: float
    """From -1, always falling, to 1, always rising."""
    p: float
    """How often values without a trend show as much, either way."""
    slope: float
    """From one point to the next."""

    def sentence(self, point: str = "night") -> str:
        """The whole of it for people."""
        facts = f"{points(self.slope)} per {point} over {self.points} {point}s, p {self.p:.2g}"
        if self.direction is Direction.NOISE:
            return f"no trend beyond noise: {facts}"
        return f"{self.direction}: {facts}"


class Point(Frozen):
    """One iteration or one night in a series."""

    label: str
    at: float
    """Unix seconds of its beginning."""
    rate: Rate


class Series(Frozen):
    """A pass rate in the course of time."""

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
    direction = Direction.NOISE
    if p <= ALPHA:
        direction = Direction.RISING if rising > falling else Direction.FALLING
    tau = (rising - falling) / (rising + falling) if pairs and rising + falling else 0.0
    return Trend(direction=direction, points=len(values), tau=tau, p=p, slope=median(slopes) if slopes else 0.0)


def over_iterations(state: BenchState, arm: str) -> Series:
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


def over_nights(records: Iterable[EpisodeRecord]) -> tuple[Series, ...]:
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


def _series(name: str, dated: Sequence[_Dated]) -> Series:
    common = set.intersection(*(set(cases) for _, _, cases in dated)) if dated else set()
    kept = [
        Point(label=label, at=at, rate=_rate(cases[task] for task in common)) for label, at, cases in dated if common
    ]
    kept = [point for point in kept if point.rate.of]
    trend = trend_of([point.rate.passed / point.rate.of for point in kept])
    return Series(name=name, tasks=len(common - {""}), points=tuple(kept), trend=trend)


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
