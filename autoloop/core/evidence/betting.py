"""The bets of the paired test: what the pairs say for a gain, and what against one worth having.

Everything works along the last axis, on one sequence of gains or on a million at once.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoloop.core.evidence.noise import Floats, median, spread

Bools = NDArray[np.bool_]

_WIDTH = 0.85
"""The bets' Student-t density, 4 degrees of freedom, has this width per standard deviation of a gain:
close to a Gaussian in the middle, with tails that let a wild pair count for little."""
_LEAST_BET = 0.9
"""The adaptive bet is on at least this many standard deviations, or a bad start would stop the betting.
From the sixth pair on it falls with the root of their number, as does the gain that so many pairs can show."""
_CAUTION = 1.6
"""A spread known from n pairs is taken to be larger by this over n."""
_SHRINKAGE = 1.75
"""Fitted to the keeps of simulated campaigns, gains of one standard deviation and more."""
LOG_BEST_BET = math.log(2)
"""No pair can multiply the evidence by more than 2."""


@dataclass(frozen=True)
class PairedRule:
    """When to stop taking pairs."""

    min_gain: float = 0.0
    """The noise threshold: the smallest gain worth keeping."""
    alpha: float = 0.02
    """At most this share of the changes without effect is kept."""
    beta: float = 0.05
    """About this share of the changes worth having is given up early."""
    kappa: float = 1.5
    """A gain worth having, in standard deviations of one pair, unless `min_gain` asks for more."""
    max_pairs: int = 16


@dataclass(frozen=True)
class Shared:
    """A candidate's samples against all stored samples of a reused baseline; may only rule a gain out.

    Sharper than pairs, so a change without effect is discarded sooner. But every experiment would share
    the luck of the stored samples, so a keep rests on the pairs alone.
    """

    gains: Floats
    """Of each candidate sample against the median of the stored ones."""
    stored: Floats | float
    """How many stored samples stand behind that median; broadcasts against `gains`."""


@dataclass(frozen=True)
class Traces:
    """The quantities of the test along the pairs: entry i is what is known after pair i."""

    evidence: Floats
    """Log of the e-process for a gain."""
    futility: Floats
    """Log of the likelihood ratio against a gain worth having; infinite where things are clearly worse."""
    scale: Floats
    """Standard deviation of one gain, the pool's blended with the experiment's own, on the cautious side."""
    worth: Floats
    """The gain that `futility` speaks against."""


def worth_having(sigma: Floats, rule: PairedRule) -> Floats:
    """The gain that futility must rule out: what can be resolved and clears the noise threshold."""
    worth: Floats = np.maximum(rule.kappa * sigma, rule.min_gain + rule.kappa * sigma / 2)
    return worth


def traces(
    gains: Floats,
    *,
    sigma: Floats | float,
    df: Floats | float,
    rule: PairedRule,
    shared: Shared | None = None,
) -> Traces:
    """Follow the evidence pair by pair; `sigma` and `df` of the noise pool broadcast against `gains`.

    The bet on pair i is placed with pairs 0 to i - 1 alone, which is what makes the e-process exact.
    Without any noise known (no pool, no spread among the earlier pairs) nothing is bet.
    """
    n = gains.shape[-1]
    sigma = np.broadcast_to(np.asarray(sigma, float), gains.shape)
    centre, own = _prefixes(gains)
    noise, known = _blend(own, sigma, np.broadcast_to(np.asarray(df, float), gains.shape))
    scale = noise * (1 + _CAUTION / known)
    before, worth = scale[..., :n], worth_having(noise[..., :n], rule)
    least = _LEAST_BET / np.sqrt(np.maximum(np.arange(n) / 6, 1.0))
    adaptive = np.maximum(centre[..., :n], least * before)
    adaptive[..., 0] = 2 * worth[..., 0]
    sharper, width = gains, before
    if shared is not None:
        sharper, width = shared.gains, before * np.sqrt((1 + 1 / np.asarray(shared.stored)) / 2)
    bets = [np.cumsum(_log_bet(gains, mu, before), axis=-1) for mu in (worth, adaptive)]
    futility = np.cumsum(_log_ratio(sharper, np.zeros_like(worth), worth, width), axis=-1)
    return Traces(
        evidence=np.logaddexp(*bets) - math.log(2),
        futility=np.where(_clearly_worse(centre, scale), np.inf, futility),
        scale=scale[..., 1:],
        worth=worth,
    )


def _prefixes(gains: Floats) -> tuple[Floats, Floats]:
    """Median and spread of the first i gains, for every i from 0 on."""
    n = gains.shape[-1]
    centre, own = np.zeros((2, *gains.shape[:-1], n + 1))
    for i in range(1, n + 1):
        centre[..., i] = median(gains[..., :i])
        own[..., i] = spread(gains[..., :i] - centre[..., i, None], max(i - 1, 1))
    return centre, own


def _blend(own: Floats, sigma: Floats, df: Floats) -> tuple[Floats, Floats]:
    """The pool's sigma and the experiment's own spread by their weights, and the sum of these.

    Never below half of the own spread: a change may well make a measurement noisier.
    """
    weight = np.maximum(np.arange(own.shape[-1]) - 1.0, 0.0)
    sigma, df = (np.concatenate([x, x[..., -1:]], axis=-1) for x in (sigma, np.where(sigma > 0, df, 0.0)))
    known = np.maximum(df + weight, 1.0)
    noise = np.sqrt((df * sigma**2 + weight * own**2) / known)
    return np.maximum(noise, own / 2), known


def _clearly_worse(centre: Floats, scale: Floats) -> Bools:
    """Whether the median of two pairs or more lies three standard errors below nothing.

    Far out, where the densities of a small gain and of none are alike, the likelihood ratio says little.
    """
    pairs = np.arange(1, centre.shape[-1])
    worse: Bools = (pairs >= 2) & (centre[..., 1:] + 3 * scale[..., 1:] / np.sqrt(pairs) < 0)
    return worse


def _log_bet(gain: Floats, mu: Floats, scale: Floats) -> Floats:
    """Log of 2 f(g - mu) / (f(g - mu) + f(-g - mu)): its two values, for +g and for -g, average to 1."""
    log_bet: Floats = LOG_BEST_BET - np.logaddexp(0.0, _log_ratio(gain, -mu, mu, scale))
    return log_bet


def _log_ratio(gain: Floats, this: Floats, other: Floats, scale: Floats) -> Floats:
    """Log of f(g - this) / f(g - other); 0 while no noise is known."""
    width = _WIDTH * np.where(scale > 0, scale, np.inf)
    ratio: Floats = 2.5 * (np.log1p(((gain - other) / width) ** 2 / 4) - np.log1p(((gain - this) / width) ** 2 / 4))
    return ratio


def shrunk(gain: Floats, error: Floats) -> Floats:
    """A kept gain without what stopping at a good moment adds to it: of the order (se / gain)^2."""
    relative = np.divide(error, gain, out=np.zeros_like(error), where=gain != 0)
    claimed: Floats = gain * (1 - np.minimum(_SHRINKAGE * relative**2, 0.5))
    return claimed
