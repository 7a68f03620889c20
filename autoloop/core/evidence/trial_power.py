"""The power of a contrast of trials: which difference so many pairs can show, and how many a verdict takes.

Nothing is drawn: the chances are counted. A verdict takes so many flips (pairs of which one trial passed and the other
did not) to one side that the evidence of `trials` reaches its bound. How likely that happens with so many flips follows
from the chance of one, flip by flip.
"""

import math
from functools import cache

import numpy as np

from autoloop.core.evidence.comparison import TwoSided
from autoloop.core.evidence.noise import Floats
from autoloop.core.evidence.trials import of_wins, wilson

POWER = 0.9
"""The probability with which a difference is found that is said to be shown."""
_Z_POWER = 1.2816
"""The standard normal quantile of `POWER`."""
_COUNTED = 600
"""Flips up to which chances are counted; beyond, what so many need is carried on by the root of their number."""


@cache
def fewest_flips(alpha: float) -> int:
    """How many flips a verdict takes when all go the same way."""
    bounds = _wins_needed(alpha)
    return int(np.flatnonzero(bounds <= np.arange(bounds.size))[0])


@cache
def flips_needed(share: float, alpha: float) -> int | None:
    """How many flips are a verdict in 9 of 10 cases when this share goes one way; None: no number would do."""
    one_way = abs(2 * share - 1)
    if not one_way:
        return None
    about = math.ceil((deviations_shown(alpha) / one_way) ** 2)
    if about >= _COUNTED:
        return about
    found = _found((1 + one_way) / 2, max(2 * fewest_flips(alpha), 2 * about), alpha)
    return int(np.flatnonzero(found >= POWER)[0])


@cache
def share_shown(flips: int, alpha: float) -> float | None:
    """Which share of so many flips must go one way to be a verdict in 9 of 10 cases; None: not even all of them."""
    if flips < fewest_flips(alpha):
        return None
    if flips > _COUNTED:
        return (1 + deviations_shown(alpha) / math.sqrt(flips)) / 2
    low, high = 0.5, 1.0
    for _ in range(10):
        middle = (low + high) / 2
        low, high = (low, middle) if _found(middle, flips, alpha)[-1] >= POWER else (middle, high)
    return high


def difference_shown(flips: int, pairs: int, alpha: float) -> float | None:
    """The difference in pass rate that so many pairs, so many of them flips, show in 9 of 10 cases; None: none."""
    fewest, share = fewest_flips(alpha), share_shown(flips, alpha)
    if pairs <= fewest:
        return None
    by_flips = (2 * share - 1) * flips / pairs if share is not None else 0.0
    return max(by_flips, wilson(fewest, pairs, _Z_POWER)[1])


@cache
def deviations_shown(alpha: float) -> float:
    """The mean of many gains, in standard errors of it, that is found in 9 of 10 cases."""
    share = share_shown(_COUNTED, alpha)
    assert share is not None, "so many flips are enough"
    return (2 * share - 1) * math.sqrt(_COUNTED)


def _found(share: float, flips: int, alpha: float) -> Floats:
    """How likely a verdict for the side that each flip goes to with chance `share` has come, after 0, 1, ... flips."""
    needed, going = _wins_needed(alpha).tolist(), np.zeros(flips + 2)
    going[0] = 1.0
    found = np.zeros(flips + 1)
    for flip in range(1, flips + 1):
        going[1 : flip + 1] = going[1 : flip + 1] * (1 - share) + going[:flip] * share
        going[0] *= 1 - share
        found[flip] = found[flip - 1] + going[needed[flip] : flip + 1].sum()
        going[needed[flip] : flip + 1] = 0.0
    return found


@cache
def _wins_needed(alpha: float) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """How many of 0, 1, ... flips must go one way for a verdict; more than there are where none is possible.

    One flip more asks for one win more at most.
    """
    bound, needed = TwoSided(alpha=alpha).bound, np.zeros(2 * _COUNTED + 1, dtype=np.int64)
    needed[0] = 1
    for flips in range(1, 2 * _COUNTED + 1):
        wins = needed[flips - 1]
        reached = wins <= flips and of_wins(int(wins), int(flips - wins)) >= bound
        needed[flips] = wins if reached else wins + 1
    return needed
