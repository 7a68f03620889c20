"""When a run ends: limits, stagnation, and the time that the end of a night needs for itself."""

import math

from autoloop.core.run.program import Direction, Limits, Rule
from autoloop.core.run.reasons import StopReason
from autoloop.core.run.state import RunState

_SHARE_FOR_CLOSING = 0.05
"""Of a night with `max_hours`, at most, for each of verification and continuation."""


def limits_in_force(state: RunState, limits: Limits) -> Limits:
    """The program's limits with what people changed while the run went."""
    return limits.model_copy(update=state.limits)


def stop_reason(state: RunState, limits: Limits, now: float) -> StopReason | None:
    """Why the run should end before its next experiment; None to go on."""
    totals = state.totals
    if _target_reached(state, limits):
        return StopReason.TARGET
    if totals.experiments >= limits.max_experiments:
        return StopReason.MAX_EXPERIMENTS
    if state.discards_in_row >= limits.max_consecutive_discards:
        return StopReason.STAGNATION
    if limits.max_hours is not None and state.seconds_at(now) >= limits.max_hours * 3600 - _reserve(state, limits):
        return StopReason.MAX_HOURS
    over_cost = limits.max_cost_usd is not None and (totals.cost_usd or 0.0) >= limits.max_cost_usd
    over_tokens = limits.max_tokens is not None and (totals.tokens or 0) >= limits.max_tokens
    return StopReason.BUDGET if over_cost or over_tokens else None


def seconds_left(state: RunState, limits: Limits, now: float) -> float | None:
    """Until `max_hours` are over; None when there is no such limit."""
    return None if limits.max_hours is None else max(limits.max_hours * 3600 - state.seconds_at(now), 0.0)


def stagnation_near(state: RunState, limits: Limits) -> bool:
    """Whether two thirds of the experiments before stagnation have been spent."""
    return 3 * state.discards_in_row >= 2 * limits.max_consecutive_discards


def verification_reserve(state: RunState, limits: Limits) -> float:
    """Seconds of the night to be left for measuring the original against the head; 0 when there is no need."""
    if limits.max_hours is None or not state.totals.kept or state.criteria.rule is not Rule.PAIRED:
        return 0.0
    return min(_SHARE_FOR_CLOSING * limits.max_hours * 3600, 2 * state.criteria.max_pairs * state.sample_seconds)


def _reserve(state: RunState, limits: Limits) -> float:
    """Seconds to be left when the last experiment begins: for itself, and for the end of the night.

    That is the verification, and as much again where keeps are unsure. Without a keep there is nothing to close.
    """
    closing = verification_reserve(state, limits)
    if not closing:
        return 0.0
    sure = math.log(10 * max(state.measured, 1))
    unsure = any(not keep.closed and keep.evidence < sure for keep in state.keeps)
    usual = state.active_seconds / max(state.totals.experiments, 1)
    return usual + closing * (2 if unsure else 1)


def _target_reached(state: RunState, limits: Limits) -> bool:
    reached = state.reached
    if limits.target is None or reached is None:
        return False
    return reached <= limits.target if state.criteria.direction is Direction.LOWER else reached >= limits.target
