"""The end of a night: keeps that are only provisional get more pairs, and the whole gain is measured afresh.

Both are asked again by a resume, and both add to the journal only.
"""

from autoloop.core.run import events
from autoloop.core.run.measurement import Arm, MeasurementFailure, Wanted
from autoloop.core.run.night import (
    continuation_due,
    continued,
    next_continuation,
    next_verification,
    verification_pairs,
)
from autoloop.core.run.program import Rule
from autoloop.core.run.reasons import StopReason
from autoloop.core.run.state import VERIFICATION
from autoloop.runs.steps import Steps

_BY_ITSELF = {StopReason.STAGNATION, StopReason.MAX_EXPERIMENTS, StopReason.TARGET, StopReason.MAX_HOURS}
"""Reasons that end a run by itself, with nobody waiting and no budget spent."""


def close_night(carrier: Steps, reason: StopReason) -> None:
    """Use the time that is left, when the run ends by itself."""
    if reason not in _BY_ITSELF or carrier.program.criteria.rule is not Rule.PAIRED:
        return
    while (experiment := continuation_due(carrier.state, carrier.limits, carrier.now())) is not None:
        _continue(carrier, experiment)
    pairs = verification_pairs(carrier.state, carrier.limits, carrier.now())
    if pairs is not None:
        verify(carrier, pairs)


def verify(carrier: Steps, pairs: int) -> None:
    """Measure the original against the head, as many pairs as asked for."""
    state = carrier.state
    if state.verifying is None or state.verifying.head != state.head:
        original = carrier.state.begun.start
        carrier.append(events.VerificationStarted(at=carrier.now(), original=original, head=state.head, pairs=pairs))
    has_holdout = carrier.program.has("holdout.sh")
    while isinstance(step := next_verification(carrier.state, has_holdout), Wanted):
        verifying = carrier.state.verifying
        assert verifying is not None
        commit = verifying.original if step.arm is Arm.BASELINE else verifying.head
        carrier.sample(VERIFICATION, step, commit=commit, base=verifying.original)
    carrier.append(events.Verified(at=carrier.now(), verification=step))


def _continue(carrier: Steps, experiment: int) -> None:
    """One more pair of a kept change against its parent. A sample that was spoiled is still wanted."""
    keep = next(keep for keep in carrier.state.keeps if keep.experiment == experiment)
    while isinstance(step := next_continuation(carrier.state, keep), Wanted):
        commit = keep.parent if step.arm is Arm.BASELINE else keep.commit
        result = carrier.sample(experiment, step, commit=commit, base=keep.parent)
        if isinstance(result, MeasurementFailure):
            break
    carrier.append(events.Continued(at=carrier.now(), keep=continued(carrier.state, keep)))
