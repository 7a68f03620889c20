"""The fold from events to a state: the only way to one.

A fresh run is the resume of an empty journal; there is no second code path for recovery.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from autoloop.core.events import (
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
from autoloop.core.gaps import GAP_SECONDS, after_gap, disturbed
from autoloop.core.learning import baselined, learned
from autoloop.core.measurement import HOLDOUT, Arm, Sample, Series
from autoloop.core.notes import Idea, one_line
from autoloop.core.program import Rule
from autoloop.core.reasons import Reason, Status
from autoloop.core.results import Row, decided_fields
from autoloop.core.run import RECENT, Current, RunState
from autoloop.core.totals import sum_known
from autoloop.core.verdict import Verification

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
            current = replace(_current(state), captured=event)
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


def _current(state: RunState) -> Current:
    if state.current is None:
        raise ValueError("an event of an experiment stands outside any experiment")
    return state.current


def _session_ended(state: RunState, event: SessionEnded) -> RunState:
    session = event.session
    totals = state.totals.charged(session.cost_usd, session.tokens, unknown=session.cost_usd is None)
    return replace(state, totals=totals, current=replace(_current(state), session=session, notes=event.notes))


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
    current, decision = _current(state), event.decision
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
