"""The fold from events to a state: the only way to one.

A fresh run is the resume of an empty journal; there is no second code path for recovery. Beside the plain bookkeeping
it folds what decisions and measurements of the kept tree teach (the noise, the baseline as it is, the whole gain), and
what a gap in time or a spoiled step does to a state.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from autoloop.core.run.events import (
    Baselined,
    Captured,
    Continued,
    Decided,
    Disturbed,
    Event,
    ExperimentStarted,
    Guided,
    LimitsChanged,
    RunResumed,
    RunStarted,
    RunStopped,
    Sampled,
    SessionEnded,
    VerificationStarted,
    Verified,
    Waited,
)
from autoloop.core.run.measurement import HOLDOUT, Arm, Sample, Series
from autoloop.core.run.notes import Idea, Notes, one_line
from autoloop.core.run.program import Rule
from autoloop.core.run.reasons import Reason, Status
from autoloop.core.run.results import Row, baseline_row, decided_fields
from autoloop.core.run.rules import without_half_pair
from autoloop.core.run.state import RECENT, Current, RunState, reuses
from autoloop.core.run.verdict import Decision, Keep, Record, Verification, record_of
from autoloop.core.text import sum_known

_MOST_KEPT_ROWS = 200


def replay(events: Iterable[Event], state: RunState) -> RunState:
    """The state that these events add up to, on top of a state (`RunState(criteria)` at the beginning)."""
    for event in events:
        state = after(state, event)
    return state


def after(state: RunState, event: Event) -> RunState:
    """The state with one more event."""
    # Time passes only while a process holds the run and is running, and never backwards.
    idle = isinstance(event, RunStarted | RunResumed)
    still = event.still if isinstance(event, Disturbed) else 0.0
    elapsed = 0.0 if idle else max(0.0, event.at - state.last_at - still)
    return replace(
        _applied(state, event),
        events=state.events + 1,
        active_seconds=state.active_seconds + elapsed,
        last_at=event.at if idle else max(event.at, state.last_at),
    )


def _applied(state: RunState, event: Event) -> RunState:
    match event:
        case RunStarted():
            return replace(state, started=event, head=event.start, previous_head=event.start)
        case RunResumed():
            # A clock that went back hides how long it was.
            gap = not 0 <= event.at - state.last_at <= GAP_SECONDS
            # A baseline that could not be measured ended the last process; this one tries again.
            state = replace(state, stopped=None, series=state.series.without_failures(), disturbed=0)
            return after_gap(state) if gap else state
        case LimitsChanged():
            return replace(state, limits={**state.limits, **event.limits})
        case Guided():
            return replace(state, guidance=event.text)
        case Waited():
            return after_gap(state) if event.seconds > GAP_SECONDS else state
        case Disturbed():
            return disturbed(state, event)
        case ExperimentStarted():
            current = Current(event.experiment, event.parent, event.at, active=state.seconds_at(event.at))
            return replace(
                state,
                current=current,
                disturbed=0,
                last_experiment=event.experiment,
                series=Series(),
                continuing=None,
                verifying=None,
            )
        case SessionEnded():
            return _session_ended(state, event)
        case Captured():
            current = replace(state.in_progress, captured=event)
            return replace(state, current=current, ignored=event.ignored, disturbed=0)
        case Sampled():
            return _sampled(state, event)
        case Decided():
            return _decided(state, event)
        case Baselined():
            return baselined(state, event)
        case VerificationStarted():
            return replace(state, verifying=event, series=Series(), continuing=None)
        case Verified():
            return replace(state, verified=_more_precise(state, event), verifying=None, series=Series())
        case Continued():
            keeps = tuple(event.keep if keep.experiment == event.keep.experiment else keep for keep in state.keeps)
            return replace(state, keeps=keeps, continuing=None, series=Series())
        case RunStopped():
            return replace(state, stopped=event)


def _session_ended(state: RunState, event: SessionEnded) -> RunState:
    session = event.session
    totals = state.totals.charged(session.cost_usd, session.tokens, unknown=session.cost_usd is None)
    return replace(state, totals=totals, current=replace(state.in_progress, session=session, notes=event.notes))


def _sampled(state: RunState, event: Sampled) -> RunState:
    result, current = event.taken.result, state.current
    changes: dict[str, Any] = {
        "totals": state.totals.charged(result.cost_usd if isinstance(result, Sample) else None),
        "diagnostics": _said(state, event),
        "sample_seconds": result.seconds or state.sample_seconds,
        "disturbed": 0,
    }
    if current is not None and event.experiment == current.experiment:
        return replace(state, current=replace(current, series=current.series.plus(event.taken)), **changes)
    # Between experiments: the baseline, a kept change that is continued, or a verification.
    continuing = event.experiment if event.experiment > 0 else None
    return replace(state, series=state.series.plus(event.taken), continuing=continuing, **changes)


def _more_precise(state: RunState, event: Verified) -> Verification:
    """Of two verifications of the same head, the one with more pairs."""
    known, new = state.verified, event.verification
    better = known is not None and known.head == new.head and len(known.pairs) > len(new.pairs)
    return known if known is not None and better else new


def _said(state: RunState, event: Sampled) -> str:
    """The newest diagnostics, the old baseline's aside while a candidate is measured, and never a holdout's."""
    wanted = event.taken.wanted
    if wanted.script == HOLDOUT or (state.current is not None and wanted.arm is Arm.BASELINE):
        return state.diagnostics
    return event.taken.result.diagnostics or state.diagnostics


def _decided(state: RunState, event: Decided) -> RunState:
    current, decision = state.in_progress, event.decision
    row = _row(state, current, event)
    kept = decision.reason.status is Status.KEEP
    candidate = current.candidate
    counts = kept or decision.reason is not Reason.INTERRUPTED
    idea = Idea(
        experiment=event.experiment,
        reason=decision.reason,
        what=one_line(event.description),
        outcome=one_line(decision.why),
    )
    state = learned(state, current, decision, kept)
    return replace(
        state,
        current=None,
        last_decided=event,
        head=candidate.commit if kept and candidate else state.head,
        previous_head=state.head if kept else state.previous_head,
        keep_unmeasured=kept and state.criteria.rule is Rule.MEDIAN,
        totals=state.totals.plus(decision.reason),
        discards_in_row=0 if kept else state.discards_in_row + counts,
        drift_checked_at=0 if kept else state.drift_checked_at,
        recent=(*state.recent, row)[-RECENT:],
        kept=(*state.kept, row)[-_MOST_KEPT_ROWS:] if kept else state.kept,
        backlog=state.backlog.after(idea, current.notes),
    )


def _row(state: RunState, current: Current, event: Decided) -> Row:
    candidate = current.candidate
    fields = decided_fields(event.decision, state.criteria)
    return Row.model_validate(
        {
            **fields,
            "experiment": event.experiment,
            "commit": candidate.commit if candidate else "",
            "seconds": max(0.0, state.seconds_at(event.at) - current.active),
            "cost_usd": _experiment_cost(current),
            "lines_added": candidate.lines_added if candidate else None,
            "lines_removed": candidate.lines_removed if candidate else None,
            "description": one_line(event.description),
            "why": one_line(event.decision.why),
        }
    )


def _experiment_cost(current: Current) -> float | None:
    cost = current.session.cost_usd if current.session else None
    for entry in current.series.taken:
        if isinstance(entry.result, Sample):
            cost = sum_known(cost, entry.result.cost_usd)
    return cost


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


GAP_SECONDS = 1800.0
"""Seconds between two processes of a run after which the machine may be another one."""


def disturbed(state: RunState, event: Disturbed) -> RunState:
    """The state after a spoiled step: its costs are counted all the same, and what was half done begins again."""
    if event.session is not None:
        unknown = event.session.cost_usd is None
        state = replace(
            state, totals=state.totals.charged(event.session.cost_usd, event.session.tokens, unknown=unknown)
        )
    if event.taken is not None and isinstance(event.taken.result, Sample):
        state = replace(state, totals=state.totals.charged(event.taken.result.cost_usd))
    if event.again == "session" and state.current is not None:
        state = replace(state, current=replace(state.current, session=None, notes=Notes()))
    state = replace(state, disturbed=state.disturbed + 1)
    return after_gap(state) if event.still > GAP_SECONDS else _without_half_pairs(state)


def after_gap(state: RunState) -> RunState:
    """The machine may be another one now: the kept tree is measured again, and no pair spans the gap."""
    return replace(_without_half_pairs(state), after_gap=state.after_gap or state.baseline is not None)


def _without_half_pairs(state: RunState) -> RunState:
    if state.criteria.rule is not Rule.PAIRED or reuses(state):
        return state
    current = state.current and replace(state.current, series=without_half_pair(state.current.series))
    return replace(state, current=current, series=without_half_pair(state.series))
