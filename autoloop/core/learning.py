"""What a decision by pairs teaches the run: of the noise, of the baseline as it is now, of the whole gain."""

from dataclasses import replace

from autoloop.core.measurement import Arm
from autoloop.core.program import Rule
from autoloop.core.reasons import Reason
from autoloop.core.run import Current, RunState
from autoloop.core.verdict import Decision, Keep, record_of

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
