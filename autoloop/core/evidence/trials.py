"""Statistics of trials that pass or fail: evidence from pairs of them, pass rates with intervals, pass@k.

Evidence. If two sides are the same, swapping the two trials of a pair changes nothing: the sign of its gain is a fair
coin, and the product of `1 + stake * gain` wins nothing on average, for any stake from 0 to 1. The evidence is the mean
of these products over all stakes (a mixture as in Robbins 1970; the bets are those of Waudby-Smith and Ramdas 2024).
That is an e-process: the chance that it ever reaches 1 / alpha is at most alpha, however often one looks. Where every
gain is -1, 0 or 1 it depends on how many there are of each, and not on their order. `betting` learns noise and gain
from pair to pair, which single passes and fails are too coarse for: in simulation it finds a pass rate of 60 % against
50 % in 400 pairs in 5 % of the cases, this in 33 %.

Intervals of a rate are Wilson's (1927): they stay within 0 and 1, and hold up for few trials and for rates near the
ends, where the textbook's do not (Brown, Cai and DasGupta 2001). They speak of these tasks, tried again; of other tasks
they say nothing. Where tasks differ in difficulty, or are tried several times, the passes vary less than those of as
many equal coins (Hoeffding 1956), so there they are on the cautious side. The interval of a difference between paired
rates is method 10 of Newcombe (1998), which puts Wilson's intervals of both rates together, with the correlation that
pairing gave them. pass@k is the unbiased estimator of Chen et al. (2021): how likely one of k trials of a task passes.

This module takes no samples and keeps no state.

Robbins 1970, Statistical methods related to the law of the iterated logarithm. Waudby-Smith and Ramdas 2024, Estimating
means of bounded random variables by betting. Wilson 1927, Probable inference, the law of succession, and statistical
inference. Hoeffding 1956, On the distribution of the number of successes in independent trials. Brown, Cai and DasGupta
2001, Interval estimation for a binomial proportion. Newcombe 1998, Improved confidence intervals for the difference
between binomial proportions based on paired data. Chen et al. 2021, Evaluating large language models trained on code.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from autoloop.core.evidence.noise import Floats
from autoloop.core.model import Frozen
from autoloop.core.text import share

_STAKES = (np.arange(256) + 0.5) / 256
"""The grid over which stakes are averaged; near enough to the integral up to some ten thousand gains."""


def wagered(gains: Sequence[float] | Floats) -> Floats:
    """The log evidence for a positive gain after each pair; a gain counts by the largest that was seen up to it.

    How large gains are says nothing of their signs, so the stakes may follow it.
    """
    values = np.asarray(gains, float)
    speaking = values[values != 0]
    scaled = speaking / np.maximum.accumulate(np.abs(speaking)) if speaking.size else speaking
    evidence = _mean_product(np.cumsum(np.log1p(scaled[:, None] * _STAKES), axis=0))
    so_far: Floats = np.concatenate([[0.0], evidence])[np.cumsum(values != 0)]
    return so_far


def of_wins(wins: int, losses: int) -> float:
    """The log evidence of so many gains of 1 and of -1."""
    return float(_mean_product(wins * np.log1p(_STAKES) + losses * np.log1p(-_STAKES)))


def _mean_product(logs: Floats) -> Floats:
    """The log of the mean over all stakes, the last axis."""
    most = logs.max(axis=-1, initial=-np.inf, keepdims=True)
    mean: Floats = most[..., 0] + np.log(np.exp(logs - most).mean(axis=-1))
    return mean


_Z95 = 1.959964


class Rate(Frozen):
    """A pass rate: so many passed of so many counted, with its 95 % Wilson interval."""

    passed: int
    of: int
    low: float
    high: float

    @classmethod
    def of_counts(cls, passed: int, of: int) -> "Rate":
        """Wilson's interval around passed / of; from 0 to 1 while nothing was counted."""
        low, high = wilson(passed, of)
        return cls(passed=passed, of=of, low=low, high=high)

    @property
    def value(self) -> float | None:
        """The rate; None while nothing was counted."""
        return share(self.passed, self.of)


def wilson(passed: float, of: float, z: float = _Z95) -> tuple[float, float]:
    """Wilson interval of a pass rate that showed `passed` of `of`; `z` is the normal quantile, 1.96 for 95 %."""
    if of <= 0:
        return 0.0, 1.0
    rate, shrunk = passed / of, 1 + z * z / of
    centre = (rate + z * z / (2 * of)) / shrunk
    reach = z / shrunk * math.sqrt(rate * (1 - rate) / of + z * z / (4 * of * of))
    low = 0.0 if passed == 0 else max(0.0, centre - reach)
    return low, 1.0 if passed == of else min(1.0, centre + reach)


def pass_at(k: int, passed: int, of: int) -> float:
    """How likely at least one of k trials of a task passes, of which `passed` of `of` did; k is at most `of`."""
    if not 1 <= k <= of:
        raise ValueError(f"pass@{k} cannot be told from {of} trials")
    return 1.0 - math.comb(of - passed, k) / math.comb(of, k)


def pass_at_each(counts: Iterable[tuple[int, int]]) -> dict[int, float]:
    """The mean pass@k over tasks, each `(passed, of)`, for every k that all of them have trials for."""
    known = [(passed, of) for passed, of in counts if of]
    most = min((of for _, of in known), default=0)
    return {k: sum(pass_at(k, *one) for one in known) / len(known) for k in range(1, most + 1)}


class Interval(Frozen):
    """The 95 % interval of a difference, from `low` to `high`."""

    low: float
    high: float


def paired_interval(both: int, only_a: int, only_b: int, neither: int) -> Interval:
    """Of the pass rate of B less that of A, over pairs in which so many passed in both, in one alone, in neither."""
    n = both + only_a + only_b + neither
    a, b = (both + only_a) / n, (both + only_b) / n
    (low_a, high_a), (low_b, high_b) = wilson(both + only_a, n), wilson(both + only_b, n)
    phi = _correlation(both, only_a, only_b, neither)

    def reach(of_b: float, of_a: float) -> float:
        return math.sqrt(max(0.0, of_b**2 - 2 * phi * of_b * of_a + of_a**2))

    difference = b - a
    low, high = difference - reach(b - low_b, high_a - a), difference + reach(high_b - b, a - low_a)
    return Interval(low=max(-1.0, low), high=min(1.0, high))


def _correlation(both: int, only_a: int, only_b: int, neither: int) -> float:
    margins = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither)
    if not margins:
        return 0.0
    product, half = both * neither - only_a * only_b, (both + only_a + only_b + neither) / 2
    corrected = product - half if product > half else min(product, 0)
    return float(corrected) / math.sqrt(margins)
