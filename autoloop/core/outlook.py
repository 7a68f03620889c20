"""What a measurement that varies like this can resolve, and what a night with it costs. Figures only, no advice."""

import math
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist, median

import numpy as np

from autoloop.core.betting import PairedRule
from autoloop.core.calibration import detectable_beyond, threshold_of
from autoloop.core.noise import Scale
from autoloop.core.power import outcomes, resolvable
from autoloop.core.program import Criteria, Direction, Program, Rule
from autoloop.core.stability import Stability

NIGHT_HOURS = 8.0
"""Of a run without `max_hours`."""
_ONE_SIGMA = NormalDist().cdf(1.0)
_PLAYED = 2000
"""Simulated experiments behind an average."""
_AGAIN = 0.1
"""With a reused baseline one of its samples is taken again every tenth experiment."""
_DRIFT_CHECK = 0.2
"""Under `median` the baseline is measured again after every fifth discard."""


@dataclass(frozen=True)
class Timing:
    """How long things took."""

    seconds: tuple[float, ...]
    """Of every sample."""
    ready: float
    """To place, check and build one candidate."""

    @property
    def sample(self) -> float:
        """A typical sample."""
        return median(self.seconds)


@dataclass(frozen=True)
class Cost:
    """Of measuring one experiment on average, warm-up and build included, the agent not."""

    samples: float
    seconds: float


@dataclass(frozen=True)
class Night:
    """What fits into `max_hours` of measuring alone."""

    experiments: int
    """No more than `max_experiments`."""
    seconds: float
    """What measuring `max_experiments` would take, calibration included."""


@dataclass(frozen=True)
class Outlook:
    """What to expect of a run. Gains are fractions; None where no gain however large is kept."""

    paired: float | None
    """The smallest gain that `paired` finds in 9 of 10 cases with `max_pairs`, noise threshold included."""
    unbounded: float | None
    """The same with no noise threshold: what the noise alone allows."""
    median: float | None
    """The smallest gain that `median` finds in 9 of 10 cases with `repeats`, where its threshold is not too low."""
    noise_asks: float
    """The noise threshold that a median of `repeats` needs, so that a change without effect passes with `alpha`."""
    false_by_median: float
    """The chance that a change without effect passes the threshold in force under `median`."""
    without_effect: Cost
    with_effect: Cost
    """Under `paired`, of a change with the gain that it resolves."""
    by_median: Cost
    per_hour: float
    """Experiments without effect in an hour of measuring, under the rule in force."""
    false_keeps: float
    """In a run of `max_experiments`, when no change does anything: an upper bound under `paired`."""
    hours: float
    fresh: Night
    reuse: Night


def outlook(found: Stability, timing: Timing, program: Program, scale: Scale) -> Outlook:
    """The figures that follow from what was seen."""
    criteria, limits = program.criteria, program.limits
    hours = limits.max_hours or NIGHT_HOURS
    threshold = scale.from_fraction(criteria.noise_threshold or 0.0)
    rule = PairedRule(min_gain=threshold, alpha=criteria.alpha, max_pairs=criteria.max_pairs)
    asks = threshold_of(found.cv, criteria.repeats, df=criteria.calibration_pairs - 1, alpha=criteria.alpha)
    in_force = asks if criteria.noise_threshold is None else criteria.noise_threshold
    false = _passes(in_force, found.cv, criteria)
    played = _play(noise_of(found), found.df, rule)
    without, with_ = (_cost(2 * pairs, timing, program) for pairs in (played.without_effect, played.with_effect))
    bare = smallest_gain(found, scale, criteria.model_copy(update={"noise_threshold": None}))
    least = smallest_gain(found, scale, criteria)
    seen_by_median = max(in_force, asks) + detectable_beyond(found.cv, criteria.repeats)
    possible = seen_by_median < 1 or criteria.direction is Direction.HIGHER
    by_median = _cost(criteria.repeats * (1 + _DRIFT_CHECK), timing, program)
    current = by_median if criteria.rule is Rule.MEDIAN else without
    reuse = _cost(played.without_effect + _AGAIN, timing, program)
    calibration = 2 * found.pairs * timing.sample
    return Outlook(
        paired=least if least is None or bare is None else max(least, bare),
        unbounded=bare,
        median=seen_by_median if possible else None,
        noise_asks=asks,
        false_by_median=false,
        without_effect=without,
        with_effect=with_,
        by_median=by_median,
        per_hour=3600 / max(current.seconds, 1e-3),
        false_keeps=limits.max_experiments * (false if criteria.rule is Rule.MEDIAN else criteria.alpha),
        hours=hours,
        fresh=_night(without, hours, calibration, limits.max_experiments),
        reuse=_night(reuse, hours, calibration, limits.max_experiments),
    )


def duration(seconds: float) -> str:
    """`4.1 s`, `12 min`, `1.5 h`."""
    if seconds < 100:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.2g} h"


def noise_of(found: Stability) -> float:
    """The spread of one pair's gain to reckon with.

    Where samples of one seed never differ, that of two seeds: a change that alters how chance is used
    (another initialisation, another order) scatters like another seed does.
    """
    return math.sqrt(2) * found.seed_sigma if found.in_seed else found.sigma


def smallest_gain(found: Stability, scale: Scale, criteria: Criteria, max_pairs: int | None = None) -> float | None:
    """The smallest gain, as a fraction, that the paired rule finds in 9 of 10 cases; None when it finds none."""
    least = scale.from_fraction(criteria.noise_threshold or 0.0)
    rule = PairedRule(min_gain=least, alpha=criteria.alpha, max_pairs=max_pairs or criteria.max_pairs)
    gain = _resolvable(noise_of(found), rule)
    return scale.fraction(gain) if math.isfinite(gain) else None


@cache
def _resolvable(sigma: float, rule: PairedRule) -> float:
    return resolvable(sigma, rule)


def _passes(threshold: float, cv: float, criteria: Criteria) -> float:
    """The chance that two medians of the same tree differ by more than the threshold, in the good direction."""
    apart = detectable_beyond(cv, criteria.repeats, chance=_ONE_SIGMA)
    return NormalDist().cdf(-threshold / apart) if apart > 0 else 0.0


@dataclass(frozen=True)
class _Played:
    """Average pairs of an experiment."""

    without_effect: float
    with_effect: float


def _play(sigma: float, df: float, rule: PairedRule) -> _Played:
    """How many pairs the rule takes, on many simulated sequences with this spread."""
    if sigma <= 0:
        return _Played(1.0, 2.0)
    noise = sigma * np.random.default_rng(31).standard_normal((_PLAYED, rule.max_pairs))
    gain = _resolvable(sigma, rule)
    gains = (0.0, gain if math.isfinite(gain) else 3 * sigma)
    pairs = (outcomes(noise + one, sigma=sigma, df=df, rule=rule).pairs for one in gains)
    return _Played(*(float(taken.mean()) for taken in pairs))


def _cost(samples: float, timing: Timing, program: Program) -> Cost:
    taken = samples + program.measuring.warmup
    return Cost(taken, taken * timing.sample + timing.ready)


def _night(experiment: Cost, hours: float, calibration: float, wanted: int) -> Night:
    fitting = int(max(hours * 3600 - calibration, 0.0) / max(experiment.seconds, 1e-3))
    return Night(min(fitting, wanted), calibration + wanted * experiment.seconds)
