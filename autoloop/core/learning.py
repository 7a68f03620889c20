"""What decisions and measurements of the kept tree teach a run: of the noise, the baseline as it is, the whole gain."""

from dataclasses import replace

from autoloop.core.events import Baselined
from autoloop.core.measurement import Arm, Series
from autoloop.core.program import Rule
from autoloop.core.reasons import Reason
from autoloop.core.results import baseline_row
from autoloop.core.run import Current, RunState
from autoloop.core.verdict import Decision, Keep, Record, record_of

_POOLED = 31
"""Sequences of two pairs or more that the noise pool is made from: its window of 60 residuals, and one."""


def learned(state: RunState, current: Current, decision: Decision, kept: bool) -> RunState:
    """What a decision under `paired` says of the noise, of the baseline as it is now, and of the whole gain."""
    tried = state.criteria.rule is Rule.PAIRED and bool(current.series.taken)
    # Every experiment that was measured at all counts against the night, also one that broke half-way.
    state = replace(state, measured=state.measured + tried)
    if not decision.pairs:
        return state
    arm = Arm.CANDIDATE if kept else Arm.BASELINE
    samples = current.series.of(arm)
    record = record_of(samples, current.commit_of(arm), state.criteria) if samples else state.baseline
    improved = decision.reason is Reason.IMPROVED
    keep = _keep(current, decision) if improved else None
    return replace(
        state,
        baseline=record,
        stored=samples if kept else (*state.stored, *samples)[: state.criteria.max_pairs],
        keeps=(*state.keeps, keep) if keep else state.keeps,
        pool=(*state.pool, decision.pairs)[-_POOLED:] if len(decision.pairs) > 1 else state.pool,
        claimed=state.claimed + (decision.claimed or 0.0) * kept,
        simplified=state.simplified + (decision.reason is Reason.SIMPLIFIED),
        best_experiment=current.experiment if improved else state.best_experiment,
    )


def _keep(current: Current, decision: Decision) -> Keep:
    assert current.candidate is not None, "what was measured was captured"
    return Keep(
        experiment=current.experiment,
        commit=current.candidate.commit,
        parent=current.parent,
        pairs=decision.pairs,
        sigma=decision.sigma or 0.0,
        df=decision.df or 0.0,
        evidence=decision.evidence or 0.0,
        claimed=decision.claimed or 0.0,
    )


def baselined(state: RunState, event: Baselined) -> RunState:
    """The state once the kept tree was measured: for calibration, after a keep, or for drift."""
    first, stored = state.baseline is None, state.series.of(Arm.BASELINE)
    state = replace(
        state,
        series=Series(),
        after_gap=False,
        drift_checked_at=state.discards_in_row,
        noise=event.noise or state.noise,
    )
    if first:
        return replace(_calibrated(state, event), stored=stored[: state.criteria.max_pairs])
    if state.criteria.rule is Rule.PAIRED:
        return replace(state, stored_checked_at=state.measured, stored_moved=state.stored_moved or event.moved)
    if event.why == "keep":
        return _keep_measured(state, event.record)
    if not event.moved or state.metric is None:
        return state
    name = state.criteria.metric_field
    # The machine moved, not the code: what was best moves with it.
    best = state.best + event.record.metrics[name] - state.metric
    return replace(state, baseline=event.record, best=best)


def _calibrated(state: RunState, event: Baselined) -> RunState:
    samples = len(event.record.values)
    pool = (event.noise.calibration,) if event.noise and event.noise.calibration else ()
    row = baseline_row(event.record, state.criteria, samples=samples, seconds=state.active_seconds)
    metric = event.record.metrics[state.criteria.metric_field]
    return replace(state, baseline=event.record, original=event.record, best=metric, recent=(row,), pool=pool)


def _keep_measured(state: RunState, record: Record) -> RunState:
    """The kept tree's own measurement becomes the record, free of the luck that it was chosen by."""
    metric, beaten = record.metrics[state.criteria.metric_field], state.recent[-1].baseline
    gain = state.gain_over(beaten, metric) if beaten is not None else None
    row = state.recent[-1].model_copy(update={"metric": metric, "gain": gain})
    better = state.gain_over(state.best, metric) > 0
    return replace(
        state,
        baseline=record,
        keep_unmeasured=False,
        recent=(*state.recent[:-1], row),
        kept=(*state.kept[:-1], row),
        best=metric if better else state.best,
        best_experiment=row.experiment if better or state.best_experiment is None else state.best_experiment,
    )
