"""Intervals of what pairs differ by.

Newcombe 1998, Improved confidence intervals for the difference between binomial proportions based on paired data: its
method 10 puts Wilson's intervals of both rates together, with the correlation that pairing gave them.
"""

import math

from autoloop.core.model import Frozen
from autoloop.core.suite.rates import wilson


class Interval(Frozen):
    """From, to: in 95 of 100 cases the truth is between."""

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
