"""From one experiment to the whole night: which keeps are confirmed, which get more pairs, what the sum is worth.

alpha bounds each experiment, but people count the keeps that stand in the morning. e-BH (Wang and
Ramdas 2022) labels them, and evidence may be continued as long as one likes.
"""

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from autoloop.core.run.decision import broken_gates, holdout_regressed
from autoloop.core.run.measurement import HOLDOUT, Arm, Measurement, Wanted
from autoloop.core.run.program import Limits
from autoloop.core.run.rules import next_pair, open_pair, pair_gains, paired_rule
from autoloop.core.run.state import VERIFICATION, RunState
from autoloop.core.run.stopping import verification_reserve
from autoloop.core.run.verdict import Keep, Verification
from autoloop.core.seeds import coin

MOST_PAIRS = 60
"""Pairs of one keep at most, continuation included."""
_SHARE_WITHOUT_LIMIT = 0.1
"""Of the run's time that a verification may take when no `max_hours` was set, beside a minute."""
_FEWEST = 4


class Confidence(StrEnum):
    """The label of a keep after the whole night: confirmed, provisional or ruled out."""

    CONFIRMED = "confirmed"
    PROVISIONAL = "provisional"
    RULED_OUT = "ruled out"


@dataclass(frozen=True)
class Labelled:
    """A keep with the label that the whole night gives it."""

    experiment: int
    confidence: Confidence


def labels(state: RunState, fdr: float = 0.10) -> tuple[Labelled, ...]:
    """Every keep that was judged by pairs, labelled; of the confirmed at most the share `fdr` is false."""
    if not state.keeps:
        return ()
    from autoloop.core.evidence.paired import confirmed

    sure = confirmed([keep.evidence for keep in state.keeps], max(state.measured, 1), fdr)
    return tuple(
        Labelled(keep.experiment, _confidence(keep, certain)) for keep, certain in zip(state.keeps, sure, strict=True)
    )


def _confidence(keep: Keep, certain: bool) -> Confidence:
    if certain:
        return Confidence.CONFIRMED
    return Confidence.RULED_OUT if keep.evidence < 0 else Confidence.PROVISIONAL


def continuation_due(state: RunState, limits: Limits, now: float) -> int | None:
    """The keep that deserves the next pair in the time left before `max_hours`; None when there is none."""
    if state.continuing is not None:
        return state.continuing
    open_keeps = [keep for keep in state.keeps if not keep.closed]
    if limits.max_hours is None or not open_keeps:
        return None
    left = limits.max_hours * 3600 - state.seconds_at(now) - verification_reserve(state, limits)
    if left < 4 * state.sample_seconds:
        return None
    from autoloop.core.evidence.paired import to_continue

    evidences, pairs = [keep.evidence for keep in state.keeps], [_spent(keep) for keep in state.keeps]
    chosen = to_continue(evidences, pairs, max(state.measured, 1), most=MOST_PAIRS)
    return None if chosen is None else state.keeps[chosen].experiment


def _spent(keep: Keep) -> int:
    """Pairs of a keep; all of them when it can be measured no more."""
    return MOST_PAIRS if keep.closed else len(keep.pairs)


def next_continuation(state: RunState, keep: Keep) -> Wanted | None:
    """The sample that the keep's next pair still wants; None when the pair is complete."""
    index = len(keep.pairs)
    if state.series.failure or (state.series.of(Arm.BASELINE) and state.series.of(Arm.CANDIDATE)):
        return None
    first = Arm.BASELINE if coin(state.begun.seed, keep.experiment, index) else Arm.CANDIDATE
    other = Arm.CANDIDATE if first is Arm.BASELINE else Arm.BASELINE
    return Wanted(arm=other if state.series.of(first) else first, index=index)


def continued(state: RunState, keep: Keep) -> Keep:
    """The keep with the pair that was just taken; closed when it could not be measured."""
    if state.series.failure or state.noise is None:
        return keep.model_copy(update={"closed": True})
    from autoloop.core.evidence.paired import judge

    criteria, scale = state.criteria, state.noise.scale(state.criteria)
    pairs = (*keep.pairs, *pair_gains(state.series, criteria, scale))
    rule = replace(paired_rule(criteria, scale), max_pairs=MOST_PAIRS)
    judged = judge(pairs, sigma=keep.sigma, df=keep.df, rule=rule)
    return keep.model_copy(
        update={
            "pairs": pairs,
            "evidence": judged.log_evidence,
            "claimed": judged.claimed,
            "closed": judged.log_evidence < 0,
        }
    )


def verification_pairs(state: RunState, limits: Limits, now: float) -> int | None:
    """How many pairs a verification may take in the time left; None when it is done, needless or too long."""
    if state.verifying is not None and state.verifying.head == state.head:
        return state.verifying.pairs
    if not state.totals.kept or (state.verified and state.verified.head == state.head):
        return None
    left = (
        limits.max_hours * 3600 - state.seconds_at(now)
        if limits.max_hours is not None
        else _SHARE_WITHOUT_LIMIT * state.active_seconds + 60
    )
    affordable = int(left / (2 * state.sample_seconds)) if state.sample_seconds else state.criteria.max_pairs
    pairs = min(affordable, state.criteria.max_pairs)
    return pairs if pairs >= _FEWEST else None


def next_verification(state: RunState, has_holdout: bool) -> Wanted | Verification:
    """The sample that is still wanted, or what original against head has shown."""
    assert state.verifying and state.noise and state.original
    series, criteria, seed = state.series, state.criteria, state.begun.seed
    scale = state.noise.scale(criteria)
    if series.failure is None:
        unfinished = open_pair(series, seed, VERIFICATION)
        if unfinished is not None:
            return unfinished
        if len(series.of(Arm.BASELINE)) < state.verifying.pairs:
            return next_pair(series, seed, VERIFICATION)
        for arm in (Arm.BASELINE, Arm.CANDIDATE) if has_holdout else ():
            taken = len(series.of(arm, HOLDOUT))
            if taken < criteria.repeats:
                return Wanted(arm=arm, index=taken, script=HOLDOUT)
    gains = pair_gains(series, criteria, scale)
    if series.failure or not gains:
        detail = series.failure.detail if series.failure else "no pair was taken"
        return Verification(original=state.verifying.original, head=state.verifying.head, problems=(detail,))
    problems = broken_gates(
        criteria,
        Measurement(series.of(Arm.CANDIDATE)).medians(),
        Measurement(series.of(Arm.BASELINE)).medians(),
    )
    if has_holdout and holdout_regressed(series, criteria, state.noise):
        problems = [*problems, "the holdout regressed"]
    return _measured(state, gains, tuple(problems))


def _measured(state: RunState, gains: tuple[float, ...], problems: tuple[str, ...]) -> Verification:
    from autoloop.core.evidence.paired import judge

    assert state.verifying and state.noise
    criteria, noise = state.criteria, state.noise
    # Nothing of the noise is borrowed: the pairs speak for themselves, and their number was fixed before.
    judged = judge(gains, sigma=0.0, df=0.0)

    def fraction(gain: float) -> float | None:
        return noise.fraction(gain, criteria) if math.isfinite(gain) else None

    low, high = sorted((judged.low, judged.high))
    return Verification(
        original=state.verifying.original,
        head=state.verifying.head,
        gain=fraction(judged.gain),
        low=fraction(low),
        high=fraction(high),
        claimed=state.gain,
        pairs=gains,
        problems=problems,
    )
