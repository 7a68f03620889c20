"""The power of the paired test: its outcomes on many sequences at once, and the smallest gain that it resolves."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoloop.core.evidence.betting import LOG_BEST_BET, PairedRule, Shared, shrunk, traces
from autoloop.core.evidence.noise import Floats, pseudo_median


@dataclass(frozen=True)
class Outcomes:
    """How the paired test ended on each of many simulated sequences."""

    kept: NDArray[np.bool_]
    pairs: NDArray[np.int64]
    gain: Floats
    claimed: Floats
    error: Floats
    """Standard error of `gain`."""
    log_evidence: Floats


def outcomes(
    gains: Floats,
    *,
    sigma: Floats | float,
    df: Floats | float,
    rule: PairedRule,
    shared: Shared | None = None,
) -> Outcomes:
    """What `judge` says to every row of `gains` when it stops as early as it can.

    `sigma` and `df` broadcast against `gains`; rows are as long as `rule.max_pairs`.
    """
    rows, n = gains.shape
    seen = traces(gains, sigma=sigma, df=df, rule=rule, shared=shared)
    bound = math.log(1 / rule.alpha)
    left = rule.max_pairs - 1 - np.arange(n)
    given_up = (seen.evidence + LOG_BEST_BET * left < bound) | (seen.futility >= math.log(1 / rule.beta))
    kept, pairs = np.zeros(rows, bool), np.full(rows, n)
    running = np.ones(rows, bool)
    for i in range(n):
        candidates = np.flatnonzero(running & (seen.evidence[:, i] >= bound))
        won = candidates[pseudo_median(gains[candidates, : i + 1]) > rule.min_gain]
        kept[won] = True
        stopped = running & given_up[:, i]
        stopped[won] = True
        pairs[stopped] = i + 1
        running &= ~stopped
    last = (np.arange(rows), pairs - 1)
    gain = _pseudo_medians(gains, pairs)
    error = seen.scale[last] / np.sqrt(pairs)
    claimed = np.where(kept, shrunk(gain, error), gain)
    return Outcomes(kept, pairs, gain, claimed, error, seen.evidence[last])


def _pseudo_medians(gains: Floats, pairs: NDArray[np.int64]) -> Floats:
    result = np.empty(len(gains))
    for n in np.unique(pairs):
        rows = pairs == n
        result[rows] = pseudo_median(gains[rows, :n])
    return result


def resolvable(sigma: float, rule: PairedRule = PairedRule(), power: float = 0.9) -> float:
    """The smallest gain that is kept with probability `power`, for Gaussian noise of `sigma` a pair.

    Found by playing the rule on the same 400 seeded sequences for one gain after another. Infinite when
    `max_pairs` is too small for any keep; just above `min_gain` for a measurement without noise.
    """
    if rule.max_pairs * LOG_BEST_BET < math.log(1 / rule.alpha):
        return math.inf
    if sigma <= 0:
        return rule.min_gain
    noise = sigma * np.random.default_rng(20).standard_normal((400, rule.max_pairs))

    def seen(gain: float) -> bool:
        return bool(outcomes(noise + gain, sigma=sigma, df=30.0, rule=rule).kept.mean() >= power)

    low, high = rule.min_gain, rule.min_gain + 8 * sigma
    if not seen(high):
        return math.inf
    for _ in range(8):
        middle = (low + high) / 2
        low, high = (low, middle) if seen(middle) else (middle, high)
    return high
