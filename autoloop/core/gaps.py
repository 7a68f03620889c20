"""What a gap in time, or something that spoiled a step, does to a state."""

from dataclasses import replace

from autoloop.core.events import Disturbed
from autoloop.core.measurement import Sample
from autoloop.core.notes import Notes
from autoloop.core.paired_rule import without_half_pair
from autoloop.core.program import Rule
from autoloop.core.run import RunState, reuses

GAP_SECONDS = 1800.0
"""After which the machine may be another one."""


def disturbed(state: RunState, event: Disturbed) -> RunState:
    """What did not count is paid for all the same, and what was half done begins again."""
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
