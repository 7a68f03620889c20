"""Which gains a measurement with this noise can resolve, what a night with it costs, and what would help.

Figures and remedies alone: which settings should change is said by `settings`.
"""

import math
import re
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist, median

import numpy as np

from autoloop.core.evidence.betting import PairedRule
from autoloop.core.evidence.noise import Scale
from autoloop.core.evidence.power import outcomes, resolvable
from autoloop.core.run.calibration import detectable_beyond, threshold_of
from autoloop.core.run.program import Criteria, Direction, Program, Rule
from autoloop.core.text import percent
from autoloop.core.validation.stability import Stability

NIGHT_HOURS = 8.0
"""Hours of a night, for a program that sets no `max_hours`."""
_ONE_SIGMA = NormalDist().cdf(1.0)
_PLAYED = 2000
"""Simulated experiments behind an average."""
_AGAIN = 0.1
"""With a reused baseline one of its samples is taken again every tenth experiment."""
_DRIFT_CHECK = 0.2
"""Under `median` the baseline is measured again after every fifth discard."""


@dataclass(frozen=True)
class Timing:
    """How long a program's samples and builds took."""

    seconds: tuple[float, ...]
    """The seconds of every sample taken."""
    ready: float
    """Seconds to place, check and build one candidate."""

    @property
    def sample(self) -> float:
        """The median seconds of one sample."""
        return median(self.seconds)


@dataclass(frozen=True)
class Cost:
    """Average seconds to measure one experiment, warm-up and build included, without the agent's session."""

    samples: float
    seconds: float


@dataclass(frozen=True)
class Night:
    """The experiments that fit into `max_hours` of measuring alone."""

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
    """Average cost under `paired` of a change with the gain that it resolves."""
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


_CLOCK = re.compile(r"ms|us|ns|s|secs?|seconds?|time|wall|latency|duration|elapsed|rps|qps|fps|throughput")
_PROCESSOR = re.compile(r"cpu|user|instructions|cycles|process")
_LARGE = 0.1
"""A gain that cannot be resolved although it is this large makes a measurement useless for most programs."""
_SHORT = 2.0
"""A sample of fewer seconds can do more work."""
_MOST_WORK = 100.0


def wanted_gain(found: Stability, program: Program) -> float | None:
    """The smallest gain that the user asks for: the noise threshold, or what leads to the target."""
    criteria, target = program.criteria, program.limits.target
    if criteria.noise_threshold:
        return criteria.noise_threshold
    if target is None or not found.median:
        return None
    better = found.median - target if criteria.direction is Direction.LOWER else target - found.median
    return better / abs(found.median) if better > 0 else None


def unresolved(found: Stability, outlook: Outlook, program: Program) -> str | None:
    """Why this measurement cannot show what is asked of it; None when it can."""
    wanted, least = wanted_gain(found, program), outlook.unbounded
    if least is None:
        return f"no gain can be kept with max_pairs = {program.criteria.max_pairs}: that many pairs never suffice"
    if wanted is not None and least > wanted:
        return f"gains of {percent(wanted)} cannot be told from noise; {percent(least)} is the least that can"
    if wanted is None and least > _LARGE:
        return f"only gains of {percent(least)} or more can be told from noise, and most changes bring less"
    return None


def remedies(found: Stability, outlook: Outlook, timing: Timing, program: Program, has_cases: bool) -> tuple[str, ...]:
    """Measures that would make smaller gains visible, the most effective first."""
    name = program.criteria.metric_field
    clock = is_clock(name)
    wall = clock and not _named(name, _PROCESSOR)
    seeds = found.in_seed or found.alike
    offered = (
        (wall, "measure processor time or instructions, not wall time: other work on the machine adds little to them"),
        (
            wall or bool(found.outliers),
            "take the fastest of several runs inside measure.sh: a disturbance only ever adds time",
        ),
        (found.drifts or found.linked, "leave the machine alone, or set `max_load`, so that it stays as it is"),
        (timing.sample < _SHORT or clock, _more_work(found, outlook, timing, program)),
        (seeds, "let one sample average over several seeds derived from AUTOLOOP_SEED: what varies is the seed"),
        (not (seeds or clock), "let AUTOLOOP_SEED fix what is random: both samples of a pair get the same one"),
        (not (clock or has_cases), "if it is a score over cases, print `cases` too: then only those that flip count"),
        (found.coarse is not None, "print more digits, or measure what is finer than a rounded number"),
    )
    return tuple(text for applies, text in offered if applies)


def is_clock(name: str) -> bool:
    """Whether a metric's name says that it is a time or a rate, which a busy machine changes."""
    return _named(name, _CLOCK)


def _named(name: str, pattern: re.Pattern[str]) -> bool:
    return any(pattern.fullmatch(part) for part in re.split(r"[^a-z]+", name.lower()))


def _more_work(found: Stability, outlook: Outlook, timing: Timing, program: Program) -> str:
    """How much longer a sample has to be, if its noise averages out."""
    wanted, least = wanted_gain(found, program) or _LARGE / 2, outlook.unbounded
    factor = math.ceil((least / wanted) ** 2) if least and least > wanted else 0
    text = "do more work in one sample, such as ten runs instead of one"
    if not 1 < factor <= _MOST_WORK:
        return text
    return f"{text}: {factor} times as much ({factor * timing.sample:.2g} s) if its noise averages out"
