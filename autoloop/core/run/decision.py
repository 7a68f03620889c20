"""Whether a candidate is kept: a ladder read top-down, from values to a value.

`decide` is asked again after each sample. It answers with the sample it still wants, or with the
decision. It refuses to know how samples are taken, what a tree is, or what time it is.
"""

from dataclasses import replace

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
        return refused.model_copy(update={"flags": evidence.flags})
    judge = judge_paired if criteria.rule is Rule.PAIRED else judge_median
    verdict = judge(evidence, criteria)
    if isinstance(verdict, Wanted):
        return verdict
    measurement = Measurement(evidence.series.of(Arm.CANDIDATE) or evidence.series.of(Arm.CANDIDATE, SCREEN))
    verdict = replace(verdict, why=verdict.why + _flips(evidence, measurement), flags=_flags(evidence, criteria))
    broken = broken_gates(criteria, measurement.medians(), evidence.original.metrics)
    if broken:
        return _decision(verdict, measurement, criteria, Reason.GATE_FAILED, "; ".join(broken))
    if verdict.reason.status is not Status.KEEP:
        return _decision(verdict, measurement, criteria)
    return _before_a_keep(verdict, measurement, evidence, criteria)


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


def _decision(
    verdict: Verdict,
    measurement: Measurement,
    criteria: Criteria,
    reason: Reason | None = None,
    why: str | None = None,
) -> Decision:
    return Decision(
        reason=reason or verdict.reason,
        why=why or verdict.why,
        metric=measurement.value(criteria.metric_field),
        baseline=verdict.baseline,
        gain=verdict.gain,
        low=verdict.low,
        high=verdict.high,
        evidence=verdict.evidence,
        samples=len(measurement.samples),
        metrics=measurement.medians(),
        claimed=verdict.claimed,
        sigma=verdict.sigma,
        df=verdict.df,
        pairs=verdict.pairs,
        trace=verdict.trace,
        flags=verdict.flags,
    )


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


def _before_a_keep(
    verdict: Verdict, measurement: Measurement, evidence: Evidence, criteria: Criteria
) -> Decision | Wanted:
    """What is asked of a candidate that would be kept: a gain that lasts, no flags where these decide, a holdout."""
    improved = verdict.reason is Reason.IMPROVED
    if improved and is_implausible(verdict.gain, evidence.largest_kept, evidence.noise, criteria):
        metric = measurement.value(criteria.metric_field)
        confirmed = confirmation(verdict, metric, evidence, criteria)
        if isinstance(confirmed, Wanted):
            return confirmed
        verdict = replace(verdict, flags=(*verdict.flags, confirmed.flag))
        if not confirmed.holds:
            return _unconfirmed(verdict, measurement, confirmed, criteria)
        verdict = replace(verdict, why=f"{verdict.why}; {confirmed.said}")
    if criteria.strict and verdict.flags:
        return _decision(verdict, measurement, criteria, Reason.GATE_FAILED, STRICT + flagged(verdict.flags))
    if evidence.has_holdout:
        return _after_holdout(verdict, measurement, evidence, criteria)
    return _decision(verdict, measurement, criteria)


def _unconfirmed(verdict: Verdict, measurement: Measurement, confirmed: Confirmation, criteria: Criteria) -> Decision:
    """A gain that is gone, or mostly gone, in trees without a past. What these say is the candidate's result."""
    why = f"{percent(verdict.gain, '+.3g')} at first, {confirmed.said}: state is carried from one sample to the next"
    seen = replace(verdict, gain=confirmed.gain or 0.0, baseline=confirmed.baseline, low=None, high=None)
    decision = _decision(seen, measurement, criteria, Reason.WITHIN_NOISE, why)
    return decision.model_copy(update={"metric": confirmed.metric})


def _after_holdout(
    verdict: Verdict, measurement: Measurement, evidence: Evidence, criteria: Criteria
) -> Decision | Wanted:
    """A gain is kept only when the holdout, which the agent never sees, does not regress."""
    for arm in (Arm.BASELINE, Arm.CANDIDATE):
        taken = len(evidence.series.of(arm, HOLDOUT))
        if taken < criteria.repeats:
            return Wanted(arm=arm, index=taken, script=HOLDOUT)
    kind = "better" if verdict.reason is Reason.IMPROVED else "simpler"
    if holdout_regressed(evidence.series, criteria, evidence.noise):
        return _decision(verdict, measurement, criteria, Reason.HOLDOUT_FAILED, f"{kind}, but the holdout regressed")
    return _decision(verdict, measurement, criteria, why=f"{verdict.why}, and the holdout did not regress")


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
