"""Better, worse, or noise: the paired test asked in both directions.

Two e-processes run over the same pairs, one for a gain and one for a loss, each against alpha / 2. So a change
that does nothing is called better or worse with probability at most alpha, however often one looks, and each of
the two mistakes is made at most half as often. It is noise once neither a gain nor a loss worth having can still
be shown. This module takes no samples.

Nothing is known of a command before it first runs, so A is measured against itself in four pairs first. In
simulation (alpha 2 %, 16 pairs at most, the noise models and recorded traces of `benchmarks`; a change as large as
1.5 or 6 standard deviations of one pair):

    A/A pairs                                  0      3      4      5     10
    no effect: samples in all                 19     22     23     25     33
    1.5: found                              89 %   93 %   94 %   95 %   94 %
    1.5: found, under the most skewed noise 77 %   68 %   79 %   82 %   86 %
    6: samples in all                         20     22     24     26     36

Four buy most of what ten do. Without any, a metric that has no spread could not be told from one that has shown none
yet; with four, two pairs decide such a metric. And only they show that the two trees differ by themselves. With four,
a change without effect is called better or worse in 0.57 % of the comparisons, and in 0.8 % under the worst of the
models and traces (5,000 each), half of them better and half worse.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from autoloop.core.evidence.betting import PairedRule
from autoloop.core.evidence.noise import Floats, NoisePool, Scale
from autoloop.core.evidence.paired import Judgement, judge, judge_cases, t975
from autoloop.core.evidence.trials import wagered

CALIBRATION_PAIRS = 4
"""Pairs of A against itself; see above."""


class Difference(StrEnum):
    """The verdict of a comparison: better, worse or noise."""

    BETTER = "better"
    WORSE = "worse"
    NOISE = "noise"


@dataclass(frozen=True)
class TwoSided:
    """The rule of a two-sided comparison: when to stop, and which differences are large enough to report."""

    threshold: float = 0.0
    """The smallest gain or loss that counts, as a fraction of A's value."""
    alpha: float = 0.02
    """At most this share of the changes without effect is called better or worse."""
    max_pairs: int = 16

    @property
    def bound(self) -> float:
        """The log evidence that either direction needs."""
        return math.log(2 / self.alpha)

    @property
    def fewest_pairs(self) -> int:
        """How many pairs any answer but noise takes where there is noise: none more than doubles the evidence."""
        return math.ceil(self.bound / math.log(2) - 1e-9)

    def one_side(self, least: float) -> PairedRule:
        """The rule for one direction, `least` on the scale of the gains."""
        return PairedRule(min_gain=least, alpha=self.alpha / 2, max_pairs=self.max_pairs)


@dataclass(frozen=True)
class Comparison:
    """What the pairs so far say of B against A. Gains are fractions of A's value; positive is better."""

    difference: Difference | None
    """None while the verdict is open and another pair is wanted."""
    gain: float
    """For better and worse, what a fresh comparison would show."""
    low: float | None
    """The 95 % interval around `gain`; None while it has no bounds."""
    high: float | None
    for_gain: tuple[float, ...]
    """The log evidence for a gain after each pair."""
    for_loss: tuple[float, ...]

    @property
    def log_evidence(self) -> float:
        """The log evidence for what is reported; for noise, the stronger of the two directions."""
        gain, loss = (trace[-1] if trace else 0.0 for trace in (self.for_gain, self.for_loss))
        match self.difference:
            case Difference.BETTER:
                return gain
            case Difference.WORSE:
                return loss
            case _:
                return max(gain, loss)


def compare_gains(gains: Sequence[float], *, scale: Scale, pool: NoisePool, rule: TwoSided) -> Comparison:
    """Judge all gains of B over A so far, oldest first. The pool is as it was before the first of them."""

    def asked(values: Sequence[float], least: float) -> Judgement:
        return judge(values, sigma=pool.sigma, df=pool.df, rule=rule.one_side(least))

    better = asked(gains, scale.from_fraction(rule.threshold))
    worse = asked([-gain for gain in gains], -scale.from_fraction(-rule.threshold))
    return _both(better, worse, scale.fraction)


def compare_cases(a: Sequence[Mapping[str, float]], b: Sequence[Mapping[str, float]], *, rule: TwoSided) -> Comparison:
    """Judge passes and fails case by case: one mapping of 0 or 1 per pair for each arm."""
    passes = sum(sum(scores.values()) for scores in a) / len(a) if a else 1.0
    one_side = rule.one_side(rule.threshold)
    better = judge_cases(a, b, rule=one_side, reference=passes)
    return _both(better, judge_cases(b, a, rule=one_side, reference=passes), lambda gain: gain)


def compare_trials(gains: Sequence[float], *, rule: TwoSided) -> Comparison:
    """Judge many pairs of single trials, whose gains lie from -1 to 1, in the order given: the first verdict stands.

    The gain is the mean, with Student's interval. It is never None: more pairs can always be added.
    """
    values = np.asarray(gains, float)
    for_gain, for_loss = wagered(values), wagered(-values)
    mean = float(values.mean()) if values.size else 0.0
    reach = t975(values.size - 1) * float(values.std(ddof=1)) / math.sqrt(values.size) if values.size > 1 else None
    return Comparison(
        difference=_first_reached(for_gain, for_loss, mean, rule),
        gain=mean,
        low=mean - reach if reach is not None else None,
        high=mean + reach if reach is not None else None,
        for_gain=tuple(for_gain.tolist()),
        for_loss=tuple(for_loss.tolist()),
    )


def _first_reached(for_gain: Floats, for_loss: Floats, mean: float, rule: TwoSided) -> Difference:
    """A verdict that the mean of all pairs contradicts, or that is too small for a word, is noise."""
    reached = np.flatnonzero(np.maximum(for_gain, for_loss) >= rule.bound)
    if not reached.size or abs(mean) <= rule.threshold:
        return Difference.NOISE
    better = bool(for_gain[reached[0]] >= rule.bound)
    if better != (mean > 0):
        return Difference.NOISE
    return Difference.BETTER if better else Difference.WORSE


def _both(better: Judgement, worse: Judgement, fraction: Callable[[float], float]) -> Comparison:
    difference = _difference(better, worse)
    centre, low, high = better.claimed, better.low, better.high
    if difference is Difference.WORSE:
        centre, low, high = -worse.claimed, -worse.high, -worse.low
    bounded = math.isfinite(low) and math.isfinite(high)
    return Comparison(
        difference=difference,
        gain=fraction(centre),
        low=fraction(low) if bounded else None,
        high=fraction(high) if bounded else None,
        for_gain=better.trace,
        for_loss=worse.trace,
    )


def _difference(better: Judgement, worse: Judgement) -> Difference | None:
    match better.verdict, worse.verdict:
        case "keep", _:
            return Difference.BETTER
        case _, "keep":
            return Difference.WORSE
        case "discard", "discard":
            return Difference.NOISE
        case _:
            return None
