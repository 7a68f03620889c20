"""What a contrast of so many trials can show, and how many a verdict takes: found by playing its test, seeded."""

import math
from dataclasses import replace
from functools import cache

import numpy as np

from autoloop.core.betting import traces
from autoloop.core.comparison import TwoSided
from autoloop.core.evidence import CASES_DF
from autoloop.core.power import resolvable
from autoloop.core.suite.blocks import BLOCKS, block_sizes
from autoloop.core.suite.rates import wilson

POWER = 0.9
_PLAYS = 400
_Z_POWER = 1.2816
"""The normal quantile of `POWER`."""
_GAUSSIAN = 0.3
"""Of flips, below so large an excess of one way, the sum of a block is close enough to Gaussian."""


@cache
def fewest_flips(alpha: float) -> int:
    """How many flips a verdict takes when all go the same way."""
    return next(flips for flips in range(1, 1000) if _found(flips, 1.0, alpha))


def flips_needed(share: float, alpha: float) -> int | None:
    """How many flips are a verdict in 9 of 10 cases when this share of them goes one way; None: no number would do."""
    one_way = abs(2 * share - 1)
    if one_way <= 0:
        return None
    if one_way < _GAUSSIAN:
        return math.ceil((deviations_shown(BLOCKS, alpha) / one_way) ** 2)
    return _flips_played(round((1 + one_way) / 2, 2), alpha)


@cache
def _flips_played(share: float, alpha: float) -> int:
    low = fewest_flips(alpha) - 1
    high = low + 1
    while not _found(high, share, alpha):
        low, high = high, 2 * high
    while high - low > max(1, low // 50):
        middle = (low + high) // 2
        low, high = (low, middle) if _found(middle, share, alpha) else (middle, high)
    return high


@cache
def share_shown(flips: int, alpha: float) -> float | None:
    """Which share of so many flips must go one way to be a verdict in 9 of 10 cases; None: not even all of them."""
    if flips < fewest_flips(alpha):
        return None
    if flips > 400:
        return (1 + deviations_shown(BLOCKS, alpha) / math.sqrt(flips)) / 2
    low, high = 0.5, 1.0
    for _ in range(7):
        middle = (low + high) / 2
        low, high = (low, middle) if _found(flips, middle, alpha) else (middle, high)
    return high


def difference_shown(flips: int, pairs: int, alpha: float) -> float | None:
    """The difference in pass rate that so many pairs, so many of them flips, show in 9 of 10 cases; None: none."""
    share = share_shown(flips, alpha)
    by_flips = (2 * share - 1) * flips / pairs if share is not None else 0.0
    fewest = fewest_flips(alpha)
    if pairs <= fewest:
        return None
    return max(by_flips, wilson(fewest, pairs, _Z_POWER)[1])


@cache
def deviations_shown(blocks: int, alpha: float) -> float:
    """For partial credit: the mean gain, in standard errors of it, that so many blocks show in 9 of 10 cases."""
    rule = TwoSided(alpha=alpha, max_pairs=blocks).one_side(0.0)
    return resolvable(1.0, replace(rule, beta=1e-9), POWER) * math.sqrt(blocks)


def _found(flips: int, share: float, alpha: float) -> bool:
    sizes = block_sizes(flips)
    rule = TwoSided(alpha=alpha, max_pairs=sizes.size)
    wins = np.random.default_rng(21).binomial(sizes, share, (_PLAYS, sizes.size))
    sigma = np.sqrt(np.cumsum(sizes) / np.arange(1, sizes.size + 1))
    seen = traces((2 * wins - sizes).astype(float), sigma=sigma, df=CASES_DF, rule=rule.one_side(0.0))
    return bool((seen.evidence.max(axis=-1) >= rule.bound).mean() >= POWER)
