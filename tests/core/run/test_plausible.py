"""Gains too large to be believed: what asks for fresh trees, and what these decide."""

import math

import pytest

from autoloop.core.run.calibration import Noise
from autoloop.core.run.decision import decide
from autoloop.core.run.flags import Flag, Sign
from autoloop.core.run.measurement import HOLDOUT, Arm, MeasurementFailure, Sample, Series, Taken, Wanted
from autoloop.core.run.plausible import PAIRS, is_implausible, too_fast
from autoloop.core.run.program import Criteria, Direction, Rule
from autoloop.core.run.reasons import Reason
from autoloop.core.run.verdict import Decision, Evidence
from tests.core.run.test_decision import HIGHER, LOWER, evidence, series

PAIRED = LOWER.model_copy(update={"rule": Rule.PAIRED})
LOG = Noise(threshold=0.02, spread=0.01, unit=100.0, logarithmic=True, calibration=(0.01, -0.01, 0.0, 0.01, -0.005))
SEED = Flag(sign=Sign.SEED_CHANGED, detail="a.py: seed = 7")


@pytest.mark.parametrize(
    ("gain", "largest", "expected"),
    [
        (0.5, None, False),
        (0.51, None, True),
        (0.51, 0.05, True),
        (0.51, 0.3, False),
        (0.66, 0.3, True),
        (0.89, 0.6, False),
        (0.91, 0.6, True),
        (1.2, None, True),
    ],
)
def test_a_factor_of_two_is_implausible_or_three_times_what_was_kept_but_never_less_than_ten_times(
    gain: float, largest: float | None, expected: bool
) -> None:
    assert is_implausible(gain, largest, LOG, LOWER) is expected
    better = 1 / (1 - gain) - 1 if gain < 1 else 9.5
    before = None if largest is None else 1 / (1 - largest) - 1
    assert is_implausible(better, before, LOG, HIGHER) is expected, "the same factor, the other way"


def test_where_values_may_be_negative_the_size_of_the_original_counts_as_a_factor() -> None:
    plain = LOG.model_copy(update={"logarithmic": False})
    assert [is_implausible(gain, None, plain, HIGHER) for gain in (0.9, 1.1)] == [False, True]
    assert not is_implausible(1.4, 0.5, plain, HIGHER)


def fresh(arm: Arm, *values: float) -> tuple[Taken, ...]:
    return tuple(
        Taken(wanted=Wanted(arm=arm, index=index, fresh=True), result=Sample(metrics={"ms": value}))
        for index, value in enumerate(values)
    )


def claimed(value: float, *more: Taken, base: float = 100.0, **known: object) -> Evidence:
    """A candidate that measured this, against 100."""
    taken = series([value] * 3).taken
    return evidence(base=base, series=Series((*taken, *more)), noise=LOG, **known)


def both(baseline: float, candidate: float) -> tuple[Taken, ...]:
    return (*fresh(Arm.BASELINE, *[baseline] * PAIRS), *fresh(Arm.CANDIDATE, *[candidate] * PAIRS))


def decided(known: Evidence, criteria: Criteria = LOWER) -> Decision:
    decision = decide(known, criteria)
    assert isinstance(decision, Decision), decision
    return decision


def test_a_plausible_gain_is_kept_without_more_samples_and_without_a_flag() -> None:
    assert decided(claimed(60)).flags == ()


def test_an_implausible_gain_wants_pairs_in_fresh_trees_one_sample_at_a_time() -> None:
    known, order = claimed(20), []
    while isinstance(step := decide(known, LOWER), Wanted):
        assert step.fresh and step.script == "measure.sh"
        order.append((step.arm, step.index))
        known = claimed(20, *known.series.taken[3:], Taken(wanted=step, result=Sample(metrics={"ms": 20.0})))
    assert sorted(order) == sorted((arm, index) for arm in Arm for index in range(PAIRS))
    assert {index for _, index in order[:2]} == {0}, "pair by pair"


def test_a_gain_that_is_gone_in_fresh_trees_is_discarded_with_what_these_say() -> None:
    decision = decided(claimed(20, *both(102, 101)))
    assert decision.reason is Reason.WITHIN_NOISE
    assert (
        decision.why
        == "+80 % at first, +0.98 % in 3 pairs of fresh trees: state is carried from one sample to the next"
    )
    assert (decision.metric, decision.baseline) == (101, 102)
    assert decision.gain == pytest.approx(0.0098, abs=1e-4)
    assert [flag.sign for flag in decision.flags] == [Sign.IMPLAUSIBLE_GAIN]


def test_an_honest_gain_is_kept_and_flagged() -> None:
    decision = decided(claimed(20, *both(100, 21)))
    assert decision.reason is Reason.IMPROVED and decision.gain == pytest.approx(0.8)
    assert decision.flags == (Flag(sign=Sign.IMPLAUSIBLE_GAIN, detail="+80 %, and +79 % in 3 pairs of fresh trees"),)
    assert decision.why.endswith("; +79 % in 3 pairs of fresh trees")
    assert decision.samples == 3, "samples in fresh trees are not among those that the gain rests on"


def test_less_than_half_of_the_claim_is_not_enough() -> None:
    assert decided(claimed(20, *both(100, 43))).reason is Reason.IMPROVED
    assert decided(claimed(10, *both(100, 60))).reason is Reason.WITHIN_NOISE


def test_a_cold_start_that_costs_both_arms_the_same_refuses_nothing() -> None:
    assert decided(claimed(20, *both(1100, 1020))).reason is Reason.IMPROVED
    assert decided(claimed(500, *both(50, 52)), HIGHER).reason is Reason.WITHIN_NOISE
    # 10 ms and 2 ms an operation, with 50 ms of start for each.
    assert decided(claimed(500, *both(1000 / 60, 1000 / 52)), HIGHER).reason is Reason.IMPROVED


def test_a_cold_start_whose_noise_is_as_large_as_the_gain_shows_nothing() -> None:
    noisy = (*fresh(Arm.BASELINE, 1100, 1150, 1090), *fresh(Arm.CANDIDATE, 1040, 1060, 1130))
    assert decided(claimed(20, *noisy)).reason is Reason.WITHIN_NOISE


def test_one_wild_pair_does_not_decide() -> None:
    pairs = (*fresh(Arm.BASELINE, 100, 100, 100), *fresh(Arm.CANDIDATE, 20, 500, 21))
    assert decided(claimed(20, *pairs)).reason is Reason.IMPROVED


def broken(arm: Arm, reason: Reason) -> Taken:
    result = MeasurementFailure(reason=reason, detail="no network")
    return Taken(wanted=Wanted(arm=arm, index=0, fresh=True), result=result)


def test_a_candidate_that_fails_in_a_fresh_tree_fails() -> None:
    assert decided(claimed(20, broken(Arm.CANDIDATE, Reason.BUILD_FAILED))).reason is Reason.BUILD_FAILED


def test_a_baseline_that_fails_in_a_fresh_tree_says_nothing_of_the_candidate() -> None:
    decision = decided(claimed(20, broken(Arm.BASELINE, Reason.BUILD_FAILED)))
    assert decision.reason is Reason.IMPROVED
    assert decision.flags[0].detail.endswith("cannot be measured in a fresh tree: no network")
    for reason in (Reason.LOCK_VIOLATION, Reason.INTERRUPTED):
        assert decided(claimed(20, broken(Arm.BASELINE, reason))).reason is reason


def test_the_holdout_comes_after_fresh_trees_and_its_failure_is_seen() -> None:
    excused = broken(Arm.BASELINE, Reason.BUILD_FAILED)
    wanted = Wanted(arm=Arm.BASELINE, index=0, script=HOLDOUT)
    assert decide(claimed(20, *both(100, 20), has_holdout=True), LOWER) == wanted
    assert decide(claimed(20, excused, has_holdout=True), LOWER) == wanted
    failed = Taken(wanted=wanted, result=MeasurementFailure(reason=Reason.MEASUREMENT_FAILED, detail="it broke"))
    assert decided(claimed(20, excused, failed, has_holdout=True)).reason is Reason.MEASUREMENT_FAILED


def test_pairs_and_samples_in_fresh_trees_are_kept_apart() -> None:
    gains = [0.0, *([1.6] * 8)]
    pairs = tuple(
        Taken(wanted=Wanted(arm=arm, index=index), result=Sample(metrics={"ms": value}))
        for index, gain in enumerate(gains[1:])
        for arm, value in ((Arm.BASELINE, 100.0), (Arm.CANDIDATE, 100.0 * math.exp(-gain - index / 1000)))
    )
    known = evidence(series=Series(pairs), noise=LOG, pool=(LOG.calibration,))
    assert isinstance(step := decide(known, PAIRED), Wanted) and step.fresh
    decision = decided(evidence(series=Series((*pairs, *both(100, 99))), noise=LOG, pool=(LOG.calibration,)), PAIRED)
    assert decision.reason is Reason.WITHIN_NOISE
    assert len(decision.pairs) == len(decision.trace) == 8 and min(decision.pairs) > 1
    assert (decision.low, decision.high) == (None, None), "the interval was that of the claim"


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        (claimed(90, flags=(SEED,)), Reason.IMPROVED),
        (claimed(100, flags=(SEED,), code_removed=3), Reason.SIMPLIFIED),
        (claimed(20, *both(100, 20)), Reason.IMPROVED),
    ],
)
def test_flags_decide_only_where_the_program_is_strict(known: Evidence, reason: Reason) -> None:
    assert decided(known).reason is reason and decided(known).flags
    strict = decided(known, LOWER.model_copy(update={"strict": True}))
    assert strict.reason is Reason.GATE_FAILED and strict.flags == decided(known).flags
    assert strict.why.startswith(f"strict: {strict.flags[0].sign} (")


def test_strict_changes_nothing_for_what_is_not_flagged_or_not_kept() -> None:
    strict = LOWER.model_copy(update={"strict": True})
    assert decided(claimed(90), strict).reason is Reason.IMPROVED
    assert decided(claimed(110, flags=(SEED,)), strict).reason is Reason.REGRESSED


def test_a_holdout_is_not_spent_on_what_strict_refuses() -> None:
    known = claimed(90, flags=(SEED,), has_holdout=True)
    assert isinstance(decide(known, LOWER), Wanted)
    assert decided(known, LOWER.model_copy(update={"strict": True})).reason is Reason.GATE_FAILED


def test_discards_and_failures_carry_their_flags() -> None:
    assert decided(claimed(110, flags=(SEED,))).flags == (SEED,)
    assert decided(claimed(90, flags=(SEED,), tampered=("x",))).flags == (SEED,)


def quick(*milliseconds: float) -> tuple[Sample, ...]:
    return tuple(Sample(metrics={"ms": 90.0}, seconds=value / 1000) for value in milliseconds)


def test_a_sample_faster_than_can_be_true_counts_and_is_flagged() -> None:
    least = LOWER.model_copy(update={"min_sample_ms": 40.0})
    assert too_fast(quick(41, 3.1, 50), least) == "measure.sh took 3.1 ms, less than min_sample_ms = 40"
    assert too_fast(quick(41), least) == too_fast(quick(1), LOWER) == too_fast((), least) == ""
    taken = tuple(
        Taken(wanted=Wanted(arm=Arm.CANDIDATE, index=index), result=one) for index, one in enumerate(quick(50, 3, 50))
    )
    decision = decided(evidence(series=Series(taken), noise=LOG), least)
    assert decision.reason is Reason.IMPROVED and [flag.sign for flag in decision.flags] == [Sign.TOO_FAST]


def test_a_cheap_screen_may_be_quick() -> None:
    least = Criteria(metric_field="ms", direction=Direction.LOWER, min_sample_ms=40.0)
    screened = tuple(
        Taken(wanted=Wanted(arm=arm, index=index, script="screen.sh"), result=Sample(metrics={"ms": value}))
        for index in range(3)
        for arm, value in ((Arm.BASELINE, 100.0), (Arm.CANDIDATE, 150.0 + index))
    )
    decision = decided(evidence(series=Series(screened), noise=LOG, has_screen=True), least)
    assert decision.reason is Reason.REGRESSED and decision.flags == ()
