"""Measuring the kept tree: calibration at the start, again after a keep, and for drift."""

from dataclasses import dataclass

from autoloop.core.run.calibration import Noise, bias, calibrate, calibrate_pairs, calibration_wanted
from autoloop.core.run.events import BaselineWhy
from autoloop.core.run.measurement import Arm, MeasurementFailure, Sample, Wanted
from autoloop.core.run.plausible import too_fast
from autoloop.core.run.program import Rule
from autoloop.core.run.reasons import Reason
from autoloop.core.run.rules import next_pair, noise_pool, open_pair, pair_gains
from autoloop.core.run.state import CALIBRATION, RunState
from autoloop.core.run.verdict import Record, record_of

_MOVED = 3.0
"""Standard deviations of a pair beyond which a reused baseline is taken to have moved."""


@dataclass(frozen=True)
class Spoken:
    """The measurement of the kept tree, once its samples suffice."""

    record: Record
    moved: bool
    noise: Noise | None = None
    detail: str = ""


def next_baseline(state: RunState, why: BaselineWhy) -> Wanted | MeasurementFailure | Spoken:
    """The sample still wanted, what the samples say, or why the untouched code cannot be measured."""
    failure = state.series.failure or (_implausible(state) if why == "calibration" else None)
    if failure and why == "calibration":
        return failure
    if failure:
        return _unmeasurable(state, failure)
    if state.criteria.rule is Rule.PAIRED:
        return _calibration_by_pairs(state) if why == "calibration" else _check_of_stored(state)
    samples = state.series.of(Arm.BASELINE)
    if _more_wanted(state, why, samples):
        return Wanted(arm=Arm.BASELINE, index=len(samples))
    record = record_of(samples, state.head, state.criteria)
    if why == "calibration":
        return Spoken(record, moved=True, noise=_noise(state, record))
    return Spoken(record, moved=why == "keep" or _beyond_noise(state, record))


def _implausible(state: RunState) -> MeasurementFailure | None:
    """What is wrong when the untouched code is measured faster than can be true."""
    samples = (*state.series.of(Arm.BASELINE), *state.series.of(Arm.CANDIDATE))
    detail = too_fast(samples, state.criteria)
    return MeasurementFailure(reason=Reason.MEASUREMENT_FAILED, detail=detail) if detail else None


def _calibration_by_pairs(state: RunState) -> Wanted | MeasurementFailure | Spoken:
    """Calibration under `paired`: the start measured against itself, in both slots."""
    series, criteria = state.series, state.criteria
    wanted = open_pair(series, state.begun.seed, CALIBRATION)
    if wanted is not None:
        return wanted
    first, second = series.of(Arm.BASELINE), series.of(Arm.CANDIDATE)
    seconds = [one.seconds + other.seconds for one, other in zip(first, second, strict=True)]
    if calibration_wanted(seconds, pairs=criteria.calibration_pairs, repeats=1, threshold_given=False):
        return next_pair(series, state.begun.seed, CALIBRATION)
    record = record_of((*first, *second), state.head, criteria)
    noise = calibrate_pairs(record.values, criteria)
    gains = pair_gains(series, criteria, noise.scale(criteria))
    biased = bias(gains)
    if biased is not None:
        return MeasurementFailure(reason=Reason.MEASUREMENT_FAILED, detail=biased)
    return Spoken(record, moved=True, noise=noise.model_copy(update={"calibration": gains}))


def _check_of_stored(state: RunState) -> Wanted | Spoken:
    """Whether one stored sample of a reused baseline, taken again with its seed, is what it was."""
    assert state.baseline is not None and state.noise is not None and state.stored
    index = (state.measured // 10) % len(state.stored)
    again = state.series.of(Arm.BASELINE)
    if not again:
        return Wanted(arm=Arm.BASELINE, index=index)
    name, scale = state.criteria.metric_field, state.noise.scale(state.criteria)
    apart = abs(scale.gain(state.stored[index].metrics[name], again[0].metrics[name]))
    moved = apart > _MOVED * noise_pool(state.pool).sigma
    detail = "a stored sample of the baseline has moved: from here on every pair is measured fresh" if moved else ""
    return Spoken(state.baseline, moved=moved, detail=detail)


def _more_wanted(state: RunState, why: BaselineWhy, samples: tuple[Sample, ...]) -> bool:
    criteria = state.criteria
    if why != "calibration":
        return len(samples) < criteria.repeats
    return calibration_wanted(
        [sample.seconds for sample in samples],
        pairs=criteria.calibration_pairs,
        repeats=criteria.repeats,
        threshold_given=criteria.noise_threshold is not None,
    )


def _noise(state: RunState, record: Record) -> Noise:
    criteria = state.criteria
    return calibrate(record.values, repeats=criteria.repeats, alpha=criteria.alpha, threshold=criteria.noise_threshold)


def _beyond_noise(state: RunState, record: Record) -> bool:
    """A baseline follows the machine only when it changed by more than the threshold."""
    if state.metric is None or state.noise is None:
        return True
    return abs(state.gain_over(state.metric, record.metrics[state.criteria.metric_field])) > state.noise.threshold


def _unmeasurable(state: RunState, failure: MeasurementFailure) -> Spoken:
    """A kept tree that fails this once: what it was kept for stays the record."""
    detail = f"the kept tree could not be measured again: {failure.detail}"
    decided, baseline = state.last_decided, state.baseline
    if state.keep_unmeasured and decided is not None:
        return Spoken(Record(commit=state.head, metrics=decided.decision.metrics), moved=True, detail=detail)
    if baseline is None:
        raise ValueError("a baseline is re-measured only after calibration")
    return Spoken(baseline, moved=False, detail=detail)
