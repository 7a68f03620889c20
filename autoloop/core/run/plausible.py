"""Gains and samples that are too good to be true, and what trees without a past say of a gain.

State that is carried from one sample to the next (a cache that the first one fills) makes later samples better
than what is measured. In a tree that is placed, prepared and built for one sample alone there is none.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from autoloop.core.run.calibration import Noise
from autoloop.core.run.flags import Flag, Sign
from autoloop.core.run.measurement import HOLDOUT, Arm, MeasurementFailure, Sample, Series, Taken, Wanted, relative_gain
from autoloop.core.run.notes import one_line
from autoloop.core.run.program import Criteria, Direction
from autoloop.core.run.reasons import Reason
from autoloop.core.run.rules import next_pair, open_pair
from autoloop.core.run.verdict import Evidence, Verdict
from autoloop.core.text import percent

PAIRS = 3
"""Pairs of samples in fresh trees. Six builds, for a gain that is rare."""
_FACTOR = 2.0
_TIMES = 3.0
_LARGEST_FACTOR = 10.0


@dataclass(frozen=True)
class Confirmation:
    """The result of measuring a gain again in fresh trees."""

    holds: bool
    flag: Flag
    said: str
    gain: float | None = None
    """As a fraction; None when the baseline cannot be measured in a fresh tree."""
    baseline: float = 0.0
    metric: float | None = None


def is_implausible(gain: float, largest_kept: float | None, noise: Noise, criteria: Criteria) -> bool:
    """Whether a gain is too large to be believed at once.

    A factor of two, or three times the largest gain kept before, where gains add up; never more than a factor
    of ten. Where values can be negative there are no factors: the size of the original counts as the first one.
    """
    factor, largest = (math.log(_FACTOR), math.log(_LARGEST_FACTOR)) if noise.logarithmic else (1.0, _LARGEST_FACTOR)
    before = _size(largest_kept, noise, criteria) if largest_kept is not None else 0.0
    return _size(gain, noise, criteria) > min(max(factor, _TIMES * before), largest)


def confirmation(verdict: Verdict, evidence: Evidence, criteria: Criteria) -> Wanted | Confirmation:
    """The next sample in a fresh tree, or what these samples say of a gain."""
    fresh = _fresh(evidence.series)
    excused = next((entry.result for entry in evidence.series.taken if _is_excused(entry)), None)
    if excused is not None:
        return _unconfirmable(verdict, excused)
    baseline, candidate = fresh.of(Arm.BASELINE), fresh.of(Arm.CANDIDATE)
    wanted = open_pair(fresh, evidence.run_seed, evidence.experiment)
    if wanted is None and len(baseline) < PAIRS:
        wanted = next_pair(fresh, evidence.run_seed, evidence.experiment)
    if wanted is not None:
        return wanted.model_copy(update={"fresh": True})
    name = criteria.metric_field
    pairs = [(one.metrics[name], other.metrics[name]) for one, other in zip(baseline, candidate, strict=True)]
    return _concluded(verdict, pairs, evidence.noise, criteria)


def failure_of(series: Series) -> MeasurementFailure | None:
    """The first failure that ends an experiment. That the baseline fails in a fresh tree is no fault of a candidate."""
    for entry in series.taken:
        if isinstance(entry.result, MeasurementFailure) and not _is_excused(entry):
            return _unsaid(entry.result, entry.wanted) if entry.wanted.script == HOLDOUT else entry.result
    return None


def _unsaid(failure: MeasurementFailure, wanted: Wanted) -> MeasurementFailure:
    """How a holdout failed, without a word of it: what is decided of a candidate, agents are told."""
    if failure.reason is Reason.INTERRUPTED:
        return failure
    arm = wanted.arm.value
    if failure.reason is Reason.LOCK_VIOLATION:
        return MeasurementFailure(reason=failure.reason, detail=f"while the holdout measured the {arm}")
    reason = Reason.HOLDOUT_FAILED if wanted.arm is Arm.CANDIDATE else failure.reason
    return MeasurementFailure(reason=reason, detail=f"better, but the holdout could not measure the {arm}")


def too_fast(samples: Sequence[Sample], criteria: Criteria) -> str:
    """What is implausible about the fastest of these samples of `measure.sh`; nothing when they took their time."""
    least = criteria.min_sample_ms
    fastest = min((1000 * sample.seconds for sample in samples), default=math.inf)
    if least is None or fastest >= least:
        return ""
    return f"measure.sh took {fastest:.3g} ms, less than min_sample_ms = {least:g}"


def _size(gain: float, noise: Noise, criteria: Criteria) -> float:
    """A gain as a fraction on a scale where gains add up."""
    if not noise.logarithmic:
        return gain
    left = 1 - gain if criteria.direction is Direction.LOWER else 1 / (1 + gain) if gain > -1 else math.inf
    return -math.log(left) if left > 0 else math.inf


def _fresh(series: Series) -> Series:
    """The samples of fresh trees alone, as if there were no others."""
    return Series(
        tuple(
            Taken(wanted=entry.wanted.model_copy(update={"fresh": False}), result=entry.result)
            for entry in series.taken
            if entry.wanted.fresh
        )
    )


def _is_excused(entry: Taken) -> bool:
    """Whether this is a baseline that cannot be measured in a fresh tree."""
    of_baseline = entry.wanted.fresh and entry.wanted.arm is Arm.BASELINE
    grave = isinstance(entry.result, Sample) or entry.result.reason in (Reason.LOCK_VIOLATION, Reason.INTERRUPTED)
    return of_baseline and not grave


def _unconfirmable(verdict: Verdict, failure: Sample | MeasurementFailure) -> Confirmation:
    why = failure.detail if isinstance(failure, MeasurementFailure) else ""
    said = "not confirmed, because the baseline cannot be measured in a fresh tree"
    return Confirmation(True, _flag(verdict, one_line(f"{said}: {why}")), said)


def _concluded(
    verdict: Verdict, pairs: Sequence[tuple[float, float]], noise: Noise, criteria: Criteria
) -> Confirmation:
    """A gain must pass the noise threshold, and be half of the claim at least: as a ratio, or as what it saves.

    A cold start costs both arms the same, which dilutes a ratio and leaves the saving as it is. Its noise is large
    beside what is saved, so every pair must agree.
    """

    def saved(baseline: float, candidate: float) -> float:
        if criteria.direction is Direction.LOWER:
            return baseline - candidate
        return 1 / baseline - 1 / candidate if min(baseline, candidate) > 0 else candidate - baseline

    gain = median(relative_gain(one, other, criteria.direction, noise.unit) for one, other in pairs)
    savings = [saved(one, other) for one, other in pairs]
    claimed = saved(verdict.baseline or 0.0, verdict.metric or 0.0)
    as_ratio = _size(gain, noise, criteria) >= _size(verdict.gain or 0.0, noise, criteria) / 2
    as_saving = median(savings) >= claimed / 2 and min(savings) > 0
    holds = gain > noise.threshold and (as_ratio or as_saving)
    said = f"{percent(gain, '+.3g')} in {len(pairs)} pairs of fresh trees"
    baseline, candidate = (median(values) for values in zip(*pairs, strict=True))
    return Confirmation(holds, _flag(verdict, said), said, gain, baseline, candidate)


def _flag(verdict: Verdict, said: str) -> Flag:
    return Flag(sign=Sign.IMPLAUSIBLE_GAIN, detail=f"{percent(verdict.gain or 0.0, '+.3g')}, and {said}")
