"""The noise of a measurement: gains of pairs, their centre and spread, and the pool that remembers both.

Nothing here decides. `paired` reads these numbers and judges.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_MAD_TO_SD = 1.4826
"""A Gaussian's standard deviation over its median absolute deviation."""


@dataclass(frozen=True)
class Scale:
    """How two values become a gain; chosen once, at calibration. `gain(a, b) == -gain(b, a)`, always."""

    direction: Literal["lower", "higher"]
    reference: float
    """The absolute median of the original baseline's samples; 1 where that is 0."""
    logarithmic: bool
    """Whether every value seen at calibration was positive."""

    @classmethod
    def of(cls, values: Sequence[float], direction: Literal["lower", "higher"]) -> "Scale":
        """The scale for a metric whose original baseline measured `values`."""
        reference = abs(float(np.median(values))) or 1.0
        return cls(direction, reference, min(values) > 0)

    def gain(self, baseline: float, candidate: float) -> float:
        """Improvement of the candidate in one pair; positive is better."""
        worse, better = (baseline, candidate) if self.direction == "higher" else (candidate, baseline)
        if self.logarithmic and min(worse, better) > 0:
            return math.log(better) - math.log(worse)
        return (better - worse) / self.reference

    def fraction(self, gain: float) -> float:
        """A gain as people say it, a fraction of the baseline's value: a log gain of 0.105 takes 10 % off."""
        if not self.logarithmic:
            return gain
        return math.expm1(gain) if self.direction == "higher" else -math.expm1(-gain)

    def from_fraction(self, fraction: float) -> float:
        """The gain that people call `fraction`, for thresholds and targets."""
        if not self.logarithmic:
            return fraction
        return math.log1p(fraction) if self.direction == "higher" else -math.log1p(-min(fraction, 0.999))


class NoisePool:
    """The spread of one pair's gain, learned from A/A pairs and from the residuals of finished experiments.

    The pool is a function of the sequences it was given, in their order: feed it the journaled gains and it
    is what it was. Each sequence is centred on itself, so neither a real gain nor a bias between the two
    slots counts as noise, and only the last 60 residuals speak, so that a machine may change.
    """

    def __init__(self, calibration: Sequence[float], window: int = 60) -> None:
        self._window = window
        self._residuals: list[float] = []
        self._weights: list[float] = []
        self.add(calibration)

    def add(self, gains: Sequence[float]) -> None:
        """Learn from one experiment's pairs; a single pair says nothing about spread."""
        n = len(gains)
        if n < 2:
            return
        residuals = (np.asarray(gains, float) - pseudo_median(gains)) * math.sqrt(n / (n - 1))
        self._residuals = [*self._residuals, *residuals.tolist()][-self._window :]
        self._weights = [*self._weights, *[1 - 1 / n] * n][-self._window :]

    @property
    def sigma(self) -> float:
        """The robust standard deviation of one pair's gain; 0 when no pair ever differed from another."""
        return float(spread(np.asarray(self._residuals), len(self._residuals))) if self._residuals else 0.0

    @property
    def df(self) -> float:
        """How many independent residuals stand behind `sigma`."""
        return float(sum(self._weights))


def median(values: Floats) -> Floats:
    """The median over the last axis; on the short sequences of an experiment far quicker than numpy's."""
    ordered = np.sort(values, axis=-1)
    n = ordered.shape[-1]
    middle: Floats = (ordered[..., (n - 1) // 2] + ordered[..., n // 2]) / 2
    return middle


def pseudo_median(gains: Sequence[float] | Floats) -> Floats:
    """The median of all pairwise averages over the last axis (Hodges and Lehmann 1963).

    As steady as the mean for Gaussian noise, and untouched by a few wild pairs.
    """
    values = np.asarray(gains, float)
    i, j = np.triu_indices(values.shape[-1])
    return median((values[..., i] + values[..., j]) / 2)


def spread(residuals: Floats, df: float) -> Floats:
    """Root mean square over the last axis, after clipping at three (scaled) median absolute deviations.

    Where more than half of the residuals are 0, a quantised metric, nothing is clipped.
    """
    limit = 3 * _MAD_TO_SD * median(np.abs(residuals))
    limit = np.where(limit > 0, limit, np.inf)[..., None]
    root: Floats = np.sqrt((np.clip(residuals, -limit, limit) ** 2).sum(axis=-1) / df)
    return root
