"""How a measurement varies by itself: what samples of one unchanged commit show.

From values to findings; what follows from them is said by `outlook` and `settings`. Few samples prove little, so a
finding is made only where chance alone would make it in about one of fifty validations.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations, pairwise
from statistics import fmean, median, stdev

from autoloop.core.evidence.noise import NoisePool, Scale
from autoloop.core.run import calibration
from autoloop.core.run.calibration import calibrate_pairs, spread_of
from autoloop.core.run.program import Criteria

_MAD_TO_SIGMA = 1.4826
_TREND_Z = 2.4
_LINKED_Z = 2.33
_FAR = 6.0
"""Standard deviations at which a sample is called an outlier."""
_LEAST_PAIRS = 5
"""With fewer, an order in time proves nothing."""


class Class(StrEnum):
    """How much one sample varies, relative to its size.

    The bounds are 0.5, 2 and 10 %. Of 195 recorded sets of reruns of unchanged code (timings, losses by seed,
    pass rates of language models) 87 % vary by less than 0.5 %, 93 % by less than 2 %, 98 % by less than 10 %.
    A measurement at a bound resolves gains of about twice as much.
    """

    DETERMINISTIC = "deterministic"
    """Not a single sample differed."""
    QUIET = "quiet"
    MODERATE = "moderate"
    NOISY = "noisy"
    WILD = "wild"


_BOUNDS = ((0.005, Class.QUIET), (0.02, Class.MODERATE), (0.1, Class.NOISY))


@dataclass(frozen=True)
class Reruns:
    """The primary metric of one commit, measured in pairs in two trees."""

    first: tuple[float, ...]
    """The samples of one tree, in the order taken."""
    second: tuple[float, ...]
    """The samples of the other tree, with the same seeds."""
    cold: tuple[float, ...] = ()
    """The first sample of each tree after it was built, with the seed of the first pair."""

    @property
    def values(self) -> tuple[float, ...]:
        """Every sample of the pairs."""
        return tuple(value for pair in zip(self.first, self.second, strict=True) for value in pair)


@dataclass(frozen=True)
class Modes:
    """Two values between which a metric jumps."""

    low: float
    high: float


@dataclass(frozen=True)
class Stability:
    """The stability of a measurement. Shares are fractions of the median."""

    kind: Class
    pairs: int
    median: float
    cv: float
    """Robust standard deviation of one sample."""
    sigma: float
    """Robust standard deviation of one pair's gain, on the scale of the pairs."""
    df: float
    """How many independent residuals stand behind `sigma`."""
    seed_sigma: float
    """Standard deviation between pairs, whose seeds differ."""
    trend: float
    """Change from the first pair to the last, along the median slope."""
    drifts: bool
    linked: bool
    """Whether neighbours in time are alike: the machine changes slowly."""
    warm_up: float
    """How far the first pair lies above the later ones."""
    warming: bool
    cold: float | None
    """How far the first sample after a build lies above the next one of its tree."""
    cold_start: bool
    in_seed: bool
    """Whether samples of one seed never differed while those of other seeds did."""
    alike: bool
    """Whether the two of a pair agree far better than samples of different pairs: the seed, or a slow machine."""
    outliers: int
    farthest: float
    """Where the farthest outlier lies, relative to the median."""
    modes: Modes | None
    coarse: int | None
    """The number of different values, where they are too few to be a scale."""
    bias: str | None
    """Why two trees of the same commit do not measure the same."""

    @property
    def steady(self) -> bool:
        """Whether the order in time made no difference."""
        return not (self.drifts or self.linked or self.warming)

    @property
    def watched(self) -> bool:
        """Whether there were enough pairs to see a drift."""
        return self.pairs >= _LEAST_PAIRS or self.in_seed or self.kind is Class.DETERMINISTIC


def stability(reruns: Reruns, criteria: Criteria) -> Stability:
    """The stability that these samples show."""
    values, scale = reruns.values, scale_of(reruns, criteria)
    centre, unit = median(values), abs(median(values)) or 1.0
    gains = [scale.gain(one, other) for one, other in zip(reruns.first, reruns.second, strict=True)]
    means = [(one + other) / 2 / unit for one, other in zip(reruns.first, reruns.second, strict=True)]
    pool, cv = NoisePool(gains), spread_of(values)
    in_seed = len(set(values)) > 1 and reruns.first == reruns.second
    # What the seed alone decides is no drift, even where ten seeds happen to come in an order.
    drifts, linked, warm_up = not in_seed and _drifts(means), not in_seed and _linked(means), _warm_up(means)
    warming = not in_seed and abs(warm_up) > 5 * _robust(means[1:]) and _first_apart(reruns)
    between, enough = stdev(means), len(means) >= _LEAST_PAIRS
    alike = enough and not in_seed and stdev(gains) / math.sqrt(2) < between / 2
    cold = _cold(reruns, unit)
    coarse = None if in_seed else _coarse(values)
    outliers = [] if coarse or in_seed else _outliers(values)
    return Stability(
        kind=classify(values),
        pairs=len(gains),
        median=centre,
        cv=cv,
        sigma=pool.sigma,
        df=pool.df,
        seed_sigma=between,
        trend=_slope(means) * (len(means) - 1),
        drifts=drifts,
        linked=linked,
        warm_up=warm_up,
        warming=warming,
        cold=cold,
        cold_start=cold is not None and abs(cold) > max(3 * pool.sigma / math.sqrt(len(reruns.cold)), 0.005),
        in_seed=in_seed,
        alike=alike and not (drifts or linked or warming),
        outliers=len(outliers),
        farthest=max(((value - centre) / unit for value in outliers), key=abs, default=0.0),
        modes=None if coarse or drifts or linked or alike or in_seed else _modes(values),
        coarse=coarse,
        bias=calibration.bias(gains),
    )


def classify(values: tuple[float, ...]) -> Class:
    """The class of a set of samples."""
    if len(set(values)) == 1:
        return Class.DETERMINISTIC
    cv = spread_of(values)
    return next((kind for bound, kind in _BOUNDS if cv < bound), Class.WILD)


def scale_of(reruns: Reruns, criteria: Criteria) -> Scale:
    """How two of these values become a gain, as a run would choose it."""
    return calibrate_pairs(reruns.values, criteria).scale(criteria)


def _robust(values: list[float]) -> float:
    centre = median(values)
    return max(_MAD_TO_SIGMA * median(abs(value - centre) for value in values), stdev(values) / 2)


def _slope(means: list[float]) -> float:
    """The median slope between two points (Theil 1950, Sen 1968)."""
    return median((b - a) / (j - i) for (i, a), (j, b) in combinations(enumerate(means), 2))


def _drifts(means: list[float]) -> bool:
    """Whether the order in time is an order in size (Mann 1945, Kendall's tau)."""
    n = len(means)
    score = sum((later > earlier) - (later < earlier) for earlier, later in combinations(means, 2))
    return n >= _LEAST_PAIRS and abs(score) / math.sqrt(n * (n - 1) * (2 * n + 5) / 18) > _TREND_Z


def _linked(means: list[float]) -> bool:
    """Whether neighbours are alike: the ranks' von Neumann ratio is small (Bartels 1982)."""
    n = len(means)
    if n < _LEAST_PAIRS or len(set(means)) < n / 2:
        return False
    ordered = sorted(means)
    ranks = [ordered.index(value) + (ordered.count(value) - 1) / 2 for value in means]
    ratio = sum((b - a) ** 2 for a, b in pairwise(ranks)) / sum((rank - (n - 1) / 2) ** 2 for rank in ranks)
    deviation = math.sqrt(4 * (n - 2) * (5 * n**2 - 2 * n - 9) / (5 * n * (n + 1) * (n - 1) ** 2))
    return (2 - ratio) / deviation > _LINKED_Z


def _warm_up(means: list[float]) -> float:
    return means[0] - median(means[1:])


def _first_apart(reruns: Reruns) -> bool:
    """Whether both samples of the first pair lie on the same side of all later ones."""
    (one, other, *later) = reruns.values
    return len(later) >= 2 * _LEAST_PAIRS and (min(one, other) > max(later) or max(one, other) < min(later))


def _cold(reruns: Reruns, unit: float) -> float | None:
    """The cold samples against the next ones of the same tree and seed."""
    warm = (reruns.first[0], reruns.second[0])
    apart = [(cold - after) / unit for cold, after in zip(reruns.cold, warm, strict=False)]
    return fmean(apart) if apart else None


def _outliers(values: tuple[float, ...]) -> list[float]:
    """Samples far outside of what the others do."""
    centre = median(values)
    width = _MAD_TO_SIGMA * median(abs(value - centre) for value in values)
    return [value for value in values if len(values) >= 10 and abs(value - centre) > _FAR * width > 0]


def _coarse(values: tuple[float, ...]) -> int | None:
    """The number of different values, where a timer or a rounding leaves only a few."""
    different = len(set(values))
    return different if len(values) >= 8 and 1 < different <= len(values) / 3 else None


def _modes(values: tuple[float, ...]) -> Modes | None:
    """Two groups of at least a fifth each, with a gap between them that dwarfs what is inside."""
    ordered, n = sorted(values), len(values)
    least = max(3, n // 5)
    if n < 12:
        return None
    cut = max(range(least, n - least + 1), key=lambda i: ordered[i] - ordered[i - 1])
    low, high = ordered[:cut], ordered[cut:]
    inside = math.sqrt((stdev(low) ** 2 * (len(low) - 1) + stdev(high) ** 2 * (len(high) - 1)) / (n - 2))
    return Modes(median(low), median(high)) if high[0] - low[-1] > 2.5 * inside else None
