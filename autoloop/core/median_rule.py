"""The `median` rule: the median of N samples against the baseline's, and a threshold.

For measurements too expensive for pairs. Drift between the two is met by measuring the baseline again.
"""

from autoloop.core.measurement import Arm, Measurement, Wanted, relative_gain
from autoloop.core.program import Criteria
from autoloop.core.reasons import Reason
from autoloop.core.texts import percent
from autoloop.core.verdict import Evidence, Verdict


def judge_median(evidence: Evidence, criteria: Criteria) -> Verdict | Wanted:
    """What the medians say, or the candidate's sample that is still wanted."""
    samples = evidence.series.of(Arm.CANDIDATE)
    if len(samples) < criteria.repeats:
        return Wanted(arm=Arm.CANDIDATE, index=len(samples))
    metric = Measurement(samples).value(criteria.metric_field)
    baseline = evidence.baseline.metrics[criteria.metric_field]
    gain = relative_gain(baseline, metric, criteria.direction, evidence.noise.unit)
    # Set against the best kept measurement, so that the losses of simplifications never add up.
    loss = -relative_gain(evidence.best, metric, criteria.direction, evidence.noise.unit)
    simpler = criteria.keep_simplifications and evidence.code_removed > 0
    reason, why = _rung(gain, evidence.noise.threshold, evidence.code_removed, simpler and loss)
    return Verdict(reason, why, gain, baseline)


def _rung(gain: float, threshold: float, code_removed: int, loss: float | bool) -> tuple[Reason, str]:
    """The rung, with `loss` False when the candidate is no simplification."""
    noise = f"the noise threshold of {percent(threshold)}"
    if gain > threshold:
        return Reason.IMPROVED, f"{percent(gain)} better, beyond {noise}"
    if gain < -threshold:
        return Reason.REGRESSED, f"{percent(-gain)} worse, beyond {noise}"
    if loss is not False and loss <= threshold:
        return Reason.SIMPLIFIED, f"no measurable loss ({percent(gain)}) with {code_removed} fewer lines of code"
    if gain == 0 and threshold == 0:
        return Reason.WITHIN_NOISE, "the same as the baseline"
    return Reason.WITHIN_NOISE, f"{percent(gain)}, too small to tell from noise: {noise} was not passed"
