"""How much a measurement varies by itself, and the threshold that follows from it.

The standard library is enough here; the paired test with its heavier statistics is `core.evidence`.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, median, stdev
from typing import TYPE_CHECKING

from autoloop.core.model import Frozen
from autoloop.core.run.program import Criteria, Direction
from autoloop.core.text import percent

if TYPE_CHECKING:
    from autoloop.core.evidence.noise import Scale


_TWENTY_MINUTES = 1200.0
_MAD_TO_SIGMA = 1.4826
"""For Gaussian noise the standard deviation is this many median absolute deviations."""
_LARGEST = 1e9
"""A spread beyond this is as good as endless, and stays a number."""
_MEDIAN_EFFICIENCY = math.sqrt(math.pi / 2)
"""A median of N varies by this factor more than a mean of N (Kenney and Keeping 1962, 211)."""


class Noise(Frozen):
    """The noise of a measurement as calibration found it, fixed for the run."""

    threshold: float
    """Smallest relative gain worth keeping."""
    spread: float | None = None
    """Relative standard deviation of one sample; None when too few were taken to tell."""
    unit: float
    """The size of the original baseline, for judging a baseline of 0."""
    logarithmic: bool = False
    """Whether gains of pairs are logs of ratios: every value seen at calibration was positive."""
    calibration: tuple[float, ...] = ()
    """The gains of the A/A pairs, under `paired`."""

    def fraction(self, gain: float, criteria: Criteria) -> float:
        """A gain on the scale of the pairs as people say it: a fraction of the baseline."""
        if not self.logarithmic:
            return gain
        return -math.expm1(-gain) if criteria.direction is Direction.LOWER else math.expm1(gain)

    def moved(self, value: float, gain: float, criteria: Criteria) -> float:
        """Where a gain on the scale of the pairs brings a value."""
        sign = -1.0 if criteria.direction is Direction.LOWER else 1.0
        return value * math.exp(sign * gain) if self.logarithmic else value + sign * gain * (self.unit or 1.0)

    def scale(self, criteria: Criteria) -> "Scale":
        """How two values become the gain of a pair."""
        from autoloop.core.evidence.noise import Scale

        return Scale(criteria.direction.value, self.unit or 1.0, self.logarithmic)


def calibration_wanted(seconds: Sequence[float], *, pairs: int, repeats: int, threshold_given: bool) -> bool:
    """Whether the calibration needs another sample, from the seconds of those taken.

    `pairs` samples, or only `repeats` when the user gave a threshold; not more than 3 when
    they would take longer than 20 minutes.
    """
    taken, least = len(seconds), max(repeats, 1 if threshold_given else 3)
    if taken < least:
        return True
    expensive = sum(seconds) / taken * pairs > _TWENTY_MINUTES
    return not threshold_given and not expensive and taken < max(pairs, least)


def calibrate(values: Sequence[float], *, repeats: int, alpha: float, threshold: float | None) -> Noise:
    """The noise of an unchanged tree's samples, and the threshold for medians of `repeats`."""
    unit = abs(median(values))
    spread = spread_of(values) if len(values) > 1 else None
    if threshold is None:
        threshold = threshold_of(spread or 0.0, repeats, df=len(values) - 1, alpha=alpha)
    return Noise(threshold=threshold, spread=spread, unit=unit, logarithmic=min(values) > 0)


def calibrate_pairs(values: Sequence[float], criteria: Criteria) -> Noise:
    """The scale and the threshold for pairs: what the user asks for, because the pairs meet the noise themselves."""
    spread = spread_of(values)
    return Noise(
        threshold=criteria.noise_threshold or 0.0,
        spread=spread,
        unit=abs(median(values)),
        logarithmic=min(values) > 0,
    )


def bias(gains: Sequence[float]) -> str | None:
    """Why two trees of the same commit do not measure the same, when A/A pairs show that they do not.

    A mean of more than five standard errors away from 0, and of more than half a pair's spread, is neither
    luck nor small: candidates are always measured in the other tree, so it would count as their gain.
    """
    if len(gains) < 3:
        return None
    mean, spread = fmean(gains), stdev(gains)
    if abs(mean) <= max(5 * spread / math.sqrt(len(gains)), spread / 2):
        return None
    return (
        f"two trees of the same commit measure {percent(abs(mean), '.2g')} apart in {len(gains)} pairs: "
        "something depends on the directory (a path in the output, an absolute path, a cache beside the tree)"
    )


def spread_of(values: Sequence[float]) -> float:
    """Standard deviation relative to the median's size; robust, but never half of the plain one.

    The median absolute deviation ignores a lone outlier; taken alone it is 0 for a metric
    that repeats itself more than half of the time.
    """
    if len(values) < 2:
        return 0.0
    centre = median(values)
    robust = _MAD_TO_SIGMA * median(abs(value - centre) for value in values)
    return min(max(robust, stdev(values) / 2) / (abs(centre) or 1.0), _LARGEST)


def detectable_beyond(spread: float, repeats: int, chance: float = 0.9) -> float:
    """How far beyond the threshold a true gain must lie to pass it with this chance."""
    of_median = spread / math.sqrt(repeats) * (_MEDIAN_EFFICIENCY if repeats > 2 else 1.0)
    return NormalDist().inv_cdf(chance) * math.sqrt(2) * of_median


def threshold_of(spread: float, repeats: int, *, df: int, alpha: float) -> float:
    """The relative gain that two medians of `repeats` of the same tree pass with chance `alpha`."""
    of_median = spread / math.sqrt(repeats) * (_MEDIAN_EFFICIENCY if repeats > 2 else 1.0)
    little_known = 1 + 3 / max(df, 1)
    return NormalDist().inv_cdf(1 - alpha) * math.sqrt(2) * of_median * little_known
