"""Whether a candidate is kept: a ladder read top-down, from values to a value.

`decide` is asked again after each sample. It answers with the sample it still wants, or with the
decision. It refuses to know how samples are taken, what a tree is, or what time it is.
"""

from dataclasses import dataclass, field

from autoloop.core.calibration import Noise, spread_of, threshold_of
from autoloop.core.candidate import Candidate
from autoloop.core.measurement import HOLDOUT, Arm, Measurement, Series, Wanted, relative_gain
from autoloop.core.model import Frozen
from autoloop.core.program import Criteria, Gate
from autoloop.core.reasons import Reason
from autoloop.core.session import Session, SessionFailure


class Record(Frozen):
    """A measured tree: what must be beaten, or what was once the start."""

    commit: str
    metrics: dict[str, float]
    """The median of each metric."""
    values: tuple[float, ...] = ()
    """The primary metric of each sample."""
    cases: dict[str, float] = {}


class Decision(Frozen):
    """The verdict on one experiment."""

    reason: Reason
    why: str
    """One sentence for people and for the next agent."""
    metric: float | None = None
    baseline: float | None = None
    gain: float | None = None
    """Relative improvement as a fraction; positive is better."""
    evidence: float | None = None
    """Log of the evidence for an improvement, under `paired`."""
    samples: int = 0
    metrics: dict[str, float] = {}
    """The candidate's medians, secondary metrics among them."""


@dataclass(frozen=True)
class Evidence:
    """All that is known of one experiment so far."""

    session: Session
    candidate: Candidate | None
    baseline: Record
    original: Record
    best: float
    """The best kept measurement, which simplifications may not drift away from."""
    noise: Noise
    tampered: tuple[str, ...] = ()
    """Measurement files that changed: lock violations."""
    breaches: tuple[str, ...] = ()
    """What lies outside the scope."""
    code_removed: int = 0
    """Code lines in scope, tests excluded: removed minus added."""
    series: Series = field(default_factory=Series)
    has_holdout: bool = False


def decide(evidence: Evidence, criteria: Criteria) -> Decision | Wanted:
    """The decision, or the sample that is still wanted; the first rung that matches wins."""
    refused = _refused(evidence)
    if refused is not None:
        return refused
    wanted = _next_sample(evidence, criteria)
    if wanted is not None:
        return wanted
    measured = _Measured(evidence, criteria)
    broken = measured.broken_gates()
    if broken:
        return measured.decision(Reason.GATE_FAILED, "; ".join(broken))
    if measured.gain > evidence.noise.threshold:
        return _unless_holdout(measured)
    return _not_improved(measured)


def _refused(evidence: Evidence) -> Decision | None:
    """The rungs that need no good sample."""
    session, failure = evidence.session, evidence.series.failure
    samples = len(evidence.series.of(Arm.CANDIDATE))
    if evidence.tampered or (failure and failure.reason is Reason.LOCK_VIOLATION):
        named = _listed(evidence.tampered) or (failure.detail if failure else "")
        return Decision(
            reason=Reason.LOCK_VIOLATION, why=f"measurement files were changed: {named}", samples=samples
        )
    if evidence.breaches:
        return Decision(reason=Reason.OUT_OF_SCOPE, why=f"outside the scope: {_listed(evidence.breaches)}")
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


def _next_sample(evidence: Evidence, criteria: Criteria) -> Wanted | None:
    taken = len(evidence.series.of(Arm.CANDIDATE))
    return Wanted(arm=Arm.CANDIDATE, index=taken) if taken < criteria.repeats else None


class _Measured:
    """A candidate with all its samples, set against the baseline."""

    def __init__(self, evidence: Evidence, criteria: Criteria) -> None:
        self.evidence = evidence
        self.criteria = criteria
        self.measurement = Measurement(evidence.series.of(Arm.CANDIDATE))
        self.metric = self.measurement.value(criteria.metric_field)
        self.baseline = evidence.baseline.metrics[criteria.metric_field]
        self.gain = self._gain_over(self.baseline)

    def _gain_over(self, baseline: float) -> float:
        return relative_gain(baseline, self.metric, self.criteria.direction, self.evidence.noise.unit)

    def decision(self, reason: Reason, why: str) -> Decision:
        return Decision(
            reason=reason,
            why=why,
            metric=self.metric,
            baseline=self.baseline,
            gain=self.gain,
            samples=len(self.measurement.samples),
            metrics=self.measurement.medians(),
        )

    def broken_gates(self) -> list[str]:
        return broken_gates(self.criteria, self.measurement.medians(), self.evidence.original.metrics)

    def loses_less_than_threshold(self) -> bool:
        """Within one noise threshold of the best kept measurement, so that losses never add up."""
        return self._gain_over(self.evidence.best) >= -self.evidence.noise.threshold


def _unless_holdout(measured: _Measured) -> Decision | Wanted:
    evidence, criteria = measured.evidence, measured.criteria
    why = f"{_percent(measured.gain)} better, beyond the noise threshold of {_percent(evidence.noise.threshold)}"
    if not evidence.has_holdout:
        return measured.decision(Reason.IMPROVED, why)
    for arm in (Arm.BASELINE, Arm.CANDIDATE):
        taken = len(evidence.series.of(arm, HOLDOUT))
        if taken < criteria.repeats:
            return Wanted(arm=arm, index=taken, script=HOLDOUT)
    if _holdout_regressed(evidence.series, criteria, evidence.noise):
        return measured.decision(Reason.HOLDOUT_FAILED, "better, but the holdout regressed")
    return measured.decision(Reason.IMPROVED, f"{why}, and the holdout did not regress")


def _holdout_regressed(series: Series, criteria: Criteria, noise: Noise) -> bool:
    """Whether the holdout got worse by more than noise: its own, or the run's where few samples hide it."""
    baseline, candidate = (Measurement(series.of(arm, HOLDOUT)) for arm in (Arm.BASELINE, Arm.CANDIDATE))
    name = criteria.metric_field
    spread = max(spread_of(baseline.values(name)), spread_of(candidate.values(name)))
    own = threshold_of(spread, criteria.repeats, df=2 * criteria.repeats - 2, alpha=criteria.alpha)
    threshold = max(own, noise.threshold)
    return relative_gain(baseline.value(name), candidate.value(name), criteria.direction) < -threshold


def _not_improved(measured: _Measured) -> Decision:
    evidence, threshold = measured.evidence, measured.evidence.noise.threshold
    noise = f"the noise threshold of {_percent(threshold)}"
    if measured.gain < -threshold:
        return measured.decision(Reason.REGRESSED, f"{_percent(-measured.gain)} worse, beyond {noise}")
    simpler = measured.criteria.keep_simplifications and evidence.code_removed > 0
    if simpler and measured.loses_less_than_threshold():
        why = (
            f"no measurable loss ({_percent(measured.gain)}) with {evidence.code_removed} fewer lines of code"
        )
        return measured.decision(Reason.SIMPLIFIED, why)
    if measured.gain == 0 and threshold == 0:
        return measured.decision(Reason.WITHIN_NOISE, "the same as the baseline")
    return measured.decision(
        Reason.WITHIN_NOISE,
        f"{_percent(measured.gain)}, too small to tell from noise: {noise} was not passed",
    )


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
            allowed = _percent(gate.max_regression)
            found.append(
                f"{name} is {value:g}, {_percent(loss)} worse than at the start, where {allowed} is allowed"
            )
    return found


def _listed(names: tuple[str, ...], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.3g} %"
