"""The two rules that judge a measured candidate: `median` and `paired`.

`median` sets the median of N samples against the baseline's, with a threshold, where pairs are too expensive. Drift
between the two is met by measuring the baseline again. `paired` takes pairs of baseline and candidate, back to
back, until the evidence says keep or gives up. The statistics are `core.evidence`'s; here they meet the run: which
sample comes next, what is known of the noise, what a simplification may cost.
"""

import math
from collections import Counter
from dataclasses import replace
from statistics import fmean, median
from typing import TYPE_CHECKING

from autoloop.core.run.measurement import (
    HOLDOUT,
    MEASURE,
    SCREEN,
    Arm,
    Measurement,
    Sample,
    Series,
    Wanted,
    relative_gain,
)
from autoloop.core.run.program import Criteria
from autoloop.core.run.reasons import Reason
from autoloop.core.run.verdict import Evidence, Verdict
from autoloop.core.seeds import coin
from autoloop.core.text import percent

if TYPE_CHECKING:
    from autoloop.core.evidence.betting import PairedRule, Shared
    from autoloop.core.evidence.noise import NoisePool, Scale
    from autoloop.core.evidence.paired import Judgement


def judge_median(evidence: Evidence, criteria: Criteria) -> Verdict | Wanted:
    """The verdict of the medians, or the candidate's sample that is still wanted."""
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
    return Verdict(reason=reason, why=why, metric=metric, baseline=baseline, gain=gain)


def _rung(gain: float, threshold: float, code_removed: int, loss: float | bool) -> tuple[Reason, str]:
    """The rung of the ladder, with `loss` False when the candidate is no simplification."""
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


_SCREEN_PAIRS = (3, 6)
"""Fewest and most pairs of `screen.sh`."""


def judge_paired(evidence: Evidence, criteria: Criteria) -> Verdict | Wanted:
    """The verdict of the pairs, or the sample that is still wanted."""
    screened = judge_screen(evidence, criteria) if evidence.has_screen else None
    if screened is not None:
        return screened
    evidence = replace(evidence, series=evidence.series.over(evidence.stored))
    unfinished = open_pair(evidence.series, evidence.run_seed, evidence.experiment)
    if unfinished is not None:
        return _unless_stored(unfinished, evidence)
    gains = pair_gains(evidence.series, criteria, evidence.noise.scale(criteria))
    judgement = _judged(gains, evidence, criteria)
    if judgement.verdict == "keep":
        return _verdict(Reason.IMPROVED, judgement, gains, evidence, criteria)
    tolerated = _tolerated(gains, evidence, criteria)
    if "continue" in (judgement.verdict, tolerated and tolerated.verdict):
        return _unless_stored(next_pair(evidence.series, evidence.run_seed, evidence.experiment), evidence)
    if tolerated and tolerated.verdict == "keep":
        return _verdict(Reason.SIMPLIFIED, judgement, gains, evidence, criteria)
    worse = judgement.high < 0
    return _verdict(Reason.REGRESSED if worse else Reason.WITHIN_NOISE, judgement, gains, evidence, criteria)


def _unless_stored(wanted: Wanted, evidence: Evidence) -> Wanted:
    """The candidate's sample at once, where the baseline's is there already."""
    return wanted.model_copy(update={"arm": Arm.CANDIDATE}) if wanted.index < len(evidence.stored) else wanted


def judge_screen(evidence: Evidence, criteria: Criteria) -> Verdict | Wanted | None:
    """What the cheap stage says: it can only discard. None lets the candidate pass to `measure.sh`.

    Nothing is known of its noise, so it must rule a gain out with the spread that it shows itself.
    """
    series, seed, number = evidence.series, evidence.run_seed, evidence.experiment
    wanted = open_pair(series, seed, number, SCREEN)
    if wanted is not None:
        return wanted
    scale = evidence.noise.scale(criteria)
    gains = pair_gains(series, criteria, scale, SCREEN)
    if len(gains) < _SCREEN_PAIRS[0]:
        return next_pair(series, seed, number, SCREEN)
    from autoloop.core.evidence.paired import rules_out

    rule = paired_rule(criteria, scale)
    if rules_out(gains, rule):
        return _screened_out(gains, evidence, criteria)
    undecided = sum(gains) <= 0 and len(set(gains)) > 1 and len(gains) < _SCREEN_PAIRS[1]
    return next_pair(series, seed, number, SCREEN) if undecided else None


def _screened_out(gains: tuple[float, ...], evidence: Evidence, criteria: Criteria) -> Verdict:
    baseline, metric = _medians(evidence, criteria, SCREEN)
    gain = evidence.noise.fraction(median(gains), criteria)
    why = f"screened out: {percent(gain)} in {len(gains)} pairs of screen.sh, which rule a gain out"
    reason = Reason.REGRESSED if max(gains) < 0 else Reason.WITHIN_NOISE
    return Verdict(reason=reason, why=why, metric=metric, baseline=baseline, gain=gain)


def _medians(evidence: Evidence, criteria: Criteria, script: str = MEASURE) -> tuple[float, float]:
    """The metric of the baseline, and that of the candidate."""
    baseline, candidate = (Measurement(evidence.series.of(arm, script)) for arm in (Arm.BASELINE, Arm.CANDIDATE))
    return baseline.value(criteria.metric_field), candidate.value(criteria.metric_field)


def open_pair(series: Series, run_seed: int, experiment: int, script: str = MEASURE) -> Wanted | None:
    """The missing half of a pair whose other half is there; the first sample of all when there is none."""
    baseline, candidate = (len(series.of(arm, script)) for arm in (Arm.BASELINE, Arm.CANDIDATE))
    if baseline < candidate:
        return Wanted(arm=Arm.BASELINE, index=baseline, script=script)
    if candidate < baseline:
        return Wanted(arm=Arm.CANDIDATE, index=candidate, script=script)
    return next_pair(series, run_seed, experiment, script) if baseline == 0 else None


def next_pair(series: Series, run_seed: int, experiment: int, script: str = MEASURE) -> Wanted:
    """The first half of the next pair; a coin chooses the arm, so that order cannot favour one."""
    index = len(series.of(Arm.BASELINE, script))
    first = Arm.BASELINE if coin(run_seed, experiment, index) else Arm.CANDIDATE
    return Wanted(arm=first, index=index, script=script)


def without_half_pair(series: Series) -> Series:
    """The series without a sample whose other half was not taken right before or after it."""
    counts = Counter((entry.wanted.script, entry.wanted.arm) for entry in series.taken)
    kept = []
    for entry in reversed(series.taken):
        script, arm = entry.wanted.script, entry.wanted.arm
        other = Arm.CANDIDATE if arm is Arm.BASELINE else Arm.BASELINE
        if script != HOLDOUT and counts[script, arm] > counts[script, other]:
            counts[script, arm] -= 1
        else:
            kept.append(entry)
    return Series(tuple(reversed(kept)))


def pair_gains(series: Series, criteria: Criteria, scale: "Scale", script: str = MEASURE) -> tuple[float, ...]:
    """The gain of each complete pair, oldest first."""
    name = criteria.metric_field
    pairs = zip(series.of(Arm.BASELINE, script), series.of(Arm.CANDIDATE, script), strict=False)
    return tuple(scale.gain(baseline.metrics[name], candidate.metrics[name]) for baseline, candidate in pairs)


def noise_pool(sequences: tuple[tuple[float, ...], ...]) -> "NoisePool":
    """The pool of noise from the gains of calibration and of finished experiments."""
    from autoloop.core.evidence.noise import NoisePool

    pool = NoisePool(sequences[0] if sequences else ())
    for gains in sequences[1:]:
        pool.add(gains)
    return pool


def paired_rule(criteria: Criteria, scale: "Scale") -> "PairedRule":
    """The numbers of the paired rule, with the threshold on the scale of the gains."""
    from autoloop.core.evidence.betting import PairedRule

    least = scale.from_fraction(criteria.noise_threshold or 0.0)
    return PairedRule(min_gain=least, alpha=criteria.alpha, max_pairs=criteria.max_pairs)


def _judged(gains: tuple[float, ...], evidence: Evidence, criteria: Criteria) -> "Judgement":
    from autoloop.core.evidence.paired import judge, judge_cases

    rule, pool = paired_rule(criteria, evidence.noise.scale(criteria)), noise_pool(evidence.pool)
    by_metric = judge(gains, sigma=pool.sigma, df=pool.df, rule=rule, shared=_shared(evidence, criteria))
    before, after = (_binary_cases(evidence.series.of(arm)) for arm in (Arm.BASELINE, Arm.CANDIDATE))
    if not before or not after:
        return by_metric
    passed = fmean(sum(scores.values()) for scores in before)
    plain = replace(rule, min_gain=criteria.noise_threshold or 0.0)
    by_cases = judge_cases(before, after, rule=plain, reference=passed or None)
    # The cases decide; how much it is worth is said of the metric, on the scale of the run, where gains add up.
    size = {name: getattr(by_metric, name) for name in ("gain", "claimed", "low", "high")}
    return replace(by_cases, **size)


def _shared(evidence: Evidence, criteria: Criteria) -> "Shared | None":
    """The candidate's samples against all that are stored of a reused baseline; may only rule a gain out."""
    if not evidence.stored:
        return None
    import numpy as np

    from autoloop.core.evidence.betting import Shared

    name, scale = criteria.metric_field, evidence.noise.scale(criteria)
    centre = Measurement(evidence.stored).value(name)
    gains = [scale.gain(centre, sample.metrics[name]) for sample in evidence.series.of(Arm.CANDIDATE)]
    return Shared(gains=np.asarray(gains), stored=float(len(evidence.stored)))


def _binary_cases(samples: tuple[Sample, ...]) -> list[dict[str, float]] | None:
    """The case scores of every sample, when each is a pass or a fail."""
    cases = [sample.cases for sample in samples if sample.cases]
    binary = len(cases) == len(samples) and all(score in (0, 1) for scores in cases for score in scores.values())
    return cases if binary else None


def _tolerated(gains: tuple[float, ...], evidence: Evidence, criteria: Criteria) -> "Judgement | None":
    """Whether a loss beyond the tolerance is ruled out; None when the candidate is no simplification.

    The same test, played against the tolerance instead of 0. The simplifications of a run get a half, a
    quarter, an eighth of it, so that all of them together can lose no more than one tolerance.
    """
    if not (criteria.keep_simplifications and evidence.code_removed > 0):
        return None
    from autoloop.core.evidence.paired import judge

    pool, scale = noise_pool(evidence.pool), evidence.noise.scale(criteria)
    whole = scale.from_fraction(criteria.noise_threshold) if criteria.noise_threshold else pool.sigma
    allowed = whole / 2 ** (1 + evidence.simplified)
    rule = replace(paired_rule(criteria, scale), min_gain=0.0)
    return judge([gain + allowed for gain in gains], sigma=pool.sigma, df=pool.df, rule=rule)


def _verdict(
    reason: Reason, judgement: "Judgement", gains: tuple[float, ...], evidence: Evidence, criteria: Criteria
) -> Verdict:
    def fraction(gain: float) -> float:
        return evidence.noise.fraction(gain, criteria)

    pool = noise_pool(evidence.pool)
    baseline, metric = _medians(evidence, criteria)
    bounds = sorted(fraction(bound) for bound in (judgement.low, judgement.high) if math.isfinite(bound))
    low, high = bounds if len(bounds) == 2 else (None, None)
    gain = fraction(judgement.claimed)
    return Verdict(
        reason=reason,
        why=_why(reason, gain, low, high, judgement, evidence),
        metric=metric,
        baseline=baseline,
        gain=gain,
        low=low,
        high=high,
        evidence=judgement.log_evidence,
        claimed=judgement.claimed,
        sigma=pool.sigma,
        df=pool.df,
        pairs=gains,
        trace=judgement.trace,
    )


def _why(
    reason: Reason, gain: float, low: float | None, high: float | None, judgement: "Judgement", evidence: Evidence
) -> str:
    between = f" (95 %: {percent(low)} to {percent(high)})" if low is not None and high is not None else ""
    match reason:
        case Reason.IMPROVED:
            return f"{percent(gain)} better{between}: {judgement.reason}"
        case Reason.SIMPLIFIED:
            return f"no loss worth the name ({percent(gain)}{between}) with {evidence.code_removed} fewer lines of code"
        case Reason.REGRESSED:
            return f"{percent(-gain)} worse{between}"
        case _:
            return f"no gain could be shown{between}: {judgement.reason}"
