"""Whether a candidate is kept: a ladder read top-down, from values to a value.

`decide` is asked again after each sample. It answers with the sample it still wants, or with the
decision. It refuses to know how samples are taken, what a tree is, or what time it is.
"""

from autoloop.core.run.calibration import Noise, spread_of, threshold_of
from autoloop.core.run.flags import STRICT, Flag, Sign, flagged
from autoloop.core.run.measurement import HOLDOUT, SCREEN, Arm, Measurement, Series, Wanted, relative_gain
from autoloop.core.run.plausible import Confirmation, confirmation, failure_of, is_implausible, too_fast
from autoloop.core.run.program import Criteria, Gate, Rule
from autoloop.core.run.reasons import Reason, Status
from autoloop.core.run.rules import judge_median, judge_paired
from autoloop.core.run.verdict import Decision, Evidence, Verdict
from autoloop.core.session import SessionFailure
from autoloop.core.text import listed, percent

_ENOUGH = 3
"""Samples of each arm from which a holdout speaks for its own noise."""


def decide(evidence: Evidence, criteria: Criteria) -> Decision | Wanted:
    """The decision, or the sample that is still wanted; the first rung that matches wins."""
    refused = _refused(evidence)
    if refused is not None:
        return _but(refused, flags=evidence.flags)
    judge = judge_paired if criteria.rule is Rule.PAIRED else judge_median
    verdict = judge(evidence, criteria)
    if isinstance(verdict, Wanted):
        return verdict
    measurement = Measurement(evidence.series.of(Arm.CANDIDATE) or evidence.series.of(Arm.CANDIDATE, SCREEN))
    decision = _decision(verdict, measurement, evidence, criteria)
    broken = broken_gates(criteria, decision.metrics, evidence.original.metrics)
    if broken:
        return _but(decision, reason=Reason.GATE_FAILED, why="; ".join(broken))
    if decision.reason.status is not Status.KEEP:
        return decision
    return _before_a_keep(decision, evidence, criteria)


def _refused(evidence: Evidence) -> Decision | None:
    """The rungs that need no good sample."""
    session, failure = evidence.session, failure_of(evidence.series)
    samples = len(evidence.series.of(Arm.CANDIDATE))
    if evidence.tampered or (failure and failure.reason is Reason.LOCK_VIOLATION):
        named = listed(evidence.tampered) or (failure.detail if failure else "")
        return Decision(reason=Reason.LOCK_VIOLATION, why=f"measurement files were changed: {named}", samples=samples)
    if evidence.breaches:
        return Decision(reason=Reason.OUT_OF_SCOPE, why=f"outside the scope: {listed(evidence.breaches)}")
    if session.failure is SessionFailure.CANCELLED:
        return Decision(reason=Reason.INTERRUPTED, why="cut short by a person or a signal")
    if evidence.candidate is None:
        if session.failure is None:
            return Decision(reason=Reason.NO_CANDIDATE, why="the agent ended without a change")
        detail = f": {session.detail}" if session.detail else ""
        return Decision(reason=Reason.AGENT_FAILED, why=f"the agent failed ({session.failure}){detail}")
    if failure:
        return Decision(reason=failure.reason, why=failure.detail, samples=samples)
    return None


def _decision(verdict: Verdict, measurement: Measurement, evidence: Evidence, criteria: Criteria) -> Decision:
    """What a rule says, with what else was seen in its samples."""
    return Decision(
        **{**vars(verdict), "why": verdict.why + _flips(evidence, measurement)},
        samples=len(measurement.samples),
        metrics=measurement.medians(),
        flags=_flags(evidence, criteria),
    )


def _but(decision: Decision, **changed: object) -> Decision:
    """The decision with another reason, or more to say."""
    return decision.model_copy(update=changed)


def _flags(evidence: Evidence, criteria: Criteria) -> tuple[Flag, ...]:
    """The signs that the diff shows, and those of the samples."""
    fast = too_fast(evidence.series.of(Arm.CANDIDATE), criteria)
    return (*evidence.flags, Flag(sign=Sign.TOO_FAST, detail=fast)) if fast else evidence.flags


def _flips(evidence: Evidence, measurement: Measurement) -> str:
    """Which cases the candidate fixed and which it broke: what an agent can learn from a discard."""
    after = measurement.cases()
    fresh = evidence.series.of(Arm.BASELINE) or evidence.stored
    before = Measurement(fresh).cases() if after and fresh else evidence.baseline.cases
    known = [case for case in after if case in before]
    fixed = [case for case in known if before[case] < 0.5 <= after[case]]
    broke = [case for case in known if after[case] < 0.5 <= before[case]]
    parts = [f"{word} {listed(cases)}" for word, cases in (("fixed", fixed), ("broke", broke)) if cases]
    return f"; {'; '.join(parts)}" if parts else ""


def _before_a_keep(decision: Decision, evidence: Evidence, criteria: Criteria) -> Decision | Wanted:
    """What is asked of a candidate that would be kept: a gain that lasts, no flags where these decide, a holdout."""
    gain = decision.gain if decision.reason is Reason.IMPROVED else None
    if gain is not None and is_implausible(gain, evidence.largest_kept, evidence.noise, criteria):
        confirmed = confirmation(decision, evidence, criteria)
        if isinstance(confirmed, Wanted):
            return confirmed
        decision = _but(decision, flags=(*decision.flags, confirmed.flag))
        if not confirmed.holds:
            return _unconfirmed(decision, gain, confirmed)
        decision = _but(decision, why=f"{decision.why}; {confirmed.said}")
    if criteria.strict and decision.flags:
        return _but(decision, reason=Reason.GATE_FAILED, why=STRICT + flagged(decision.flags))
    if evidence.has_holdout:
        return _after_holdout(decision, evidence, criteria)
    return decision


def _unconfirmed(decision: Decision, gain: float, confirmed: Confirmation) -> Decision:
    """A gain that is gone, or mostly gone, in trees without a past. What these say is the candidate's result."""
    return _but(
        decision,
        reason=Reason.WITHIN_NOISE,
        why=f"{percent(gain, '+.3g')} at first, {confirmed.said}: state is carried from one sample to the next",
        metric=confirmed.metric,
        baseline=confirmed.baseline,
        gain=confirmed.gain or 0.0,
        low=None,
        high=None,
    )


def _after_holdout(decision: Decision, evidence: Evidence, criteria: Criteria) -> Decision | Wanted:
    """A gain is kept only when the holdout, which the agent never sees, does not regress."""
    for arm in (Arm.BASELINE, Arm.CANDIDATE):
        taken = len(evidence.series.of(arm, HOLDOUT))
        if taken < criteria.repeats:
            return Wanted(arm=arm, index=taken, script=HOLDOUT)
    kind = "better" if decision.reason is Reason.IMPROVED else "simpler"
    if holdout_regressed(evidence.series, criteria, evidence.noise):
        return _but(decision, reason=Reason.HOLDOUT_FAILED, why=f"{kind}, but the holdout regressed")
    return _but(decision, why=f"{decision.why}, and the holdout did not regress")


def holdout_regressed(series: Series, criteria: Criteria, noise: Noise) -> bool:
    """Whether the holdout got worse by more than noise: its own, or the run's where few samples hide it."""
    baseline, candidate = (Measurement(series.of(arm, HOLDOUT)) for arm in (Arm.BASELINE, Arm.CANDIDATE))
    name = criteria.metric_field
    spread = max(spread_of(baseline.values(name)), spread_of(candidate.values(name)))
    own = threshold_of(spread, criteria.repeats, df=2 * criteria.repeats - 2, alpha=criteria.alpha)
    threshold = own if criteria.repeats >= _ENOUGH else max(own, noise.threshold)
    return relative_gain(baseline.value(name), candidate.value(name), criteria.direction) < -threshold


def broken_gates(criteria: Criteria, metrics: dict[str, float], original: dict[str, float]) -> list[str]:
    """One sentence for each quality gate that these medians break."""
    return [
        sentence
        for name, gate in criteria.quality_gates.items()
        for sentence in _breaks(name, gate, metrics[name], original.get(name))
    ]


def _breaks(name: str, gate: Gate, value: float, original: float | None) -> list[str]:
    found = []
    if gate.min is not None and value < gate.min:
        found.append(f"{name} is {value:g}, below its gate of {gate.min:g}")
    if gate.max is not None and value > gate.max:
        found.append(f"{name} is {value:g}, above its gate of {gate.max:g}")
    if gate.max_regression is not None and original is not None:
        loss = -relative_gain(original, value, gate.better)
        if loss > gate.max_regression:
            allowed = percent(gate.max_regression)
            found.append(f"{name} is {value:g}, {percent(loss)} worse than at the start, where {allowed} is allowed")
    return found
