"""The ladder of `decide`, rung by rung, and the order of the rungs."""

import json
import random
from dataclasses import replace
from statistics import median

import pytest

from autoloop.core.run.calibration import Noise
from autoloop.core.run.candidate import Candidate, Change
from autoloop.core.run.decision import decide
from autoloop.core.run.measurement import HOLDOUT, MEASURE, Arm, MeasurementFailure, Sample, Series, Taken, Wanted
from autoloop.core.run.program import Criteria, Direction, Gate, Rule
from autoloop.core.run.reasons import Reason, Status
from autoloop.core.run.verdict import Decision, Evidence, Record
from autoloop.core.session import Session, SessionFailure

LOWER = Criteria(metric_field="ms", direction=Direction.LOWER, rule=Rule.MEDIAN, repeats=3)
HIGHER = LOWER.model_copy(update={"direction": Direction.HIGHER})
CANDIDATE = Candidate(commit="c1", parent="c0", changes=(Change(path="a.py", kind="modified", added=1, removed=2),))


def record(value: float, **others: float) -> Record:
    return Record(commit="c0", metrics={"ms": value, **others}, values=(value,))


def series(
    values: list[float], *, arm: Arm = Arm.CANDIDATE, script: str = MEASURE, others: dict[str, float] | None = None
) -> Series:
    return Series(
        tuple(
            Taken(
                wanted=Wanted(arm=arm, index=index, script=script),
                result=Sample(metrics={"ms": value, **(others or {})}),
            )
            for index, value in enumerate(values)
        )
    )


def failed(reason: Reason, detail: str = "it said so") -> Series:
    result = MeasurementFailure(reason=reason, detail=detail)
    return Series((Taken(wanted=Wanted(arm=Arm.CANDIDATE, index=0), result=result),))


def evidence(value: float | None = None, *, base: float = 100, threshold: float = 0.02, **known: object) -> Evidence:
    whole = Evidence(
        session=Session(seconds=1),
        candidate=CANDIDATE,
        baseline=record(base),
        original=record(base),
        best=base,
        noise=Noise(threshold=threshold, spread=0.01, unit=abs(base)),
        series=series([value] * 3) if value is not None else Series(),
    )
    return replace(whole, **known)  # type: ignore[arg-type]


def decided(known: Evidence, criteria: Criteria = LOWER) -> Decision:
    decision = decide(known, criteria)
    assert isinstance(decision, Decision), decision
    return decision


EXITED, TIMED_OUT, CANCELLED = (
    Session(seconds=1, failure=failure)
    for failure in (SessionFailure.EXITED, SessionFailure.TIMEOUT, SessionFailure.CANCELLED)
)
CASES: list[tuple[str, Evidence, Criteria, Reason]] = [
    ("better beyond noise", evidence(90), LOWER, Reason.IMPROVED),
    ("higher beyond noise", evidence(110), HIGHER, Reason.IMPROVED),
    ("worse beyond noise", evidence(110), LOWER, Reason.REGRESSED),
    ("lower where higher is better", evidence(90), HIGHER, Reason.REGRESSED),
    ("a tie", evidence(100), LOWER, Reason.WITHIN_NOISE),
    ("exactly the threshold", evidence(75, threshold=0.25), LOWER, Reason.WITHIN_NOISE),
    ("exactly the threshold, worse", evidence(125, threshold=0.25), LOWER, Reason.WITHIN_NOISE),
    ("a tie without any noise", evidence(100, threshold=0.0), LOWER, Reason.WITHIN_NOISE),
    ("the smallest gain without any noise", evidence(99.999, threshold=0.0), LOWER, Reason.IMPROVED),
    ("the smallest loss without any noise", evidence(100.001, threshold=0.0), LOWER, Reason.REGRESSED),
    ("negative and better", evidence(-90, base=-100), HIGHER, Reason.IMPROVED),
    ("negative and worse", evidence(-110, base=-100), HIGHER, Reason.REGRESSED),
    ("negative and lower", evidence(-110, base=-100), LOWER, Reason.IMPROVED),
    ("negative and not lower", evidence(-90, base=-100), LOWER, Reason.REGRESSED),
    ("from negative to positive", evidence(5, base=-100, largest_kept=0.5), HIGHER, Reason.IMPROVED),
    ("a baseline of 0, better", evidence(1, base=0), HIGHER, Reason.IMPROVED),
    ("a baseline of 0, worse", evidence(1, base=0), LOWER, Reason.REGRESSED),
    ("a baseline of 0, the same", evidence(0, base=0), LOWER, Reason.WITHIN_NOISE),
    ("simpler, the same", evidence(100, code_removed=3), LOWER, Reason.SIMPLIFIED),
    ("simpler, a little worse", evidence(101, code_removed=3), LOWER, Reason.SIMPLIFIED),
    ("simpler, the same, no noise at all", evidence(100, threshold=0.0, code_removed=1), LOWER, Reason.SIMPLIFIED),
    ("simpler, the same, baseline of 0", evidence(0, base=0, code_removed=1), LOWER, Reason.SIMPLIFIED),
    ("simpler and worse", evidence(110, code_removed=3), LOWER, Reason.REGRESSED),
    ("simpler and better", evidence(90, code_removed=3), LOWER, Reason.IMPROVED),
    ("simpler, but far from the best", evidence(101, best=98.5, code_removed=3), LOWER, Reason.WITHIN_NOISE),
    ("more code", evidence(100, code_removed=-3), LOWER, Reason.WITHIN_NOISE),
    (
        "simplifications not wanted",
        evidence(100, code_removed=3),
        LOWER.model_copy(update={"keep_simplifications": False}),
        Reason.WITHIN_NOISE,
    ),
    ("no change", evidence(candidate=None), LOWER, Reason.NO_CANDIDATE),
    ("a failed agent without a change", evidence(candidate=None, session=EXITED), LOWER, Reason.AGENT_FAILED),
    ("a failed agent with a change", evidence(90, session=TIMED_OUT), LOWER, Reason.IMPROVED),
    ("cut short", evidence(90, session=CANCELLED), LOWER, Reason.INTERRUPTED),
    ("cut short without a change", evidence(candidate=None, session=CANCELLED), LOWER, Reason.INTERRUPTED),
    *(
        (f"a sample ended with {reason}", evidence(series=failed(reason)), LOWER, reason)
        for reason in (
            Reason.CHECKS_FAILED,
            Reason.BUILD_FAILED,
            Reason.MEASUREMENT_FAILED,
            Reason.LOCK_VIOLATION,
            Reason.INTERRUPTED,
        )
    ),
    ("measurement files changed", evidence(90, tampered=("programs/x/measure.sh",)), LOWER, Reason.LOCK_VIOLATION),
    ("outside the scope", evidence(90, breaches=("secret.py",)), LOWER, Reason.OUT_OF_SCOPE),
    ("a lock violation before a breach", evidence(tampered=("a",), breaches=("b",)), LOWER, Reason.LOCK_VIOLATION),
    ("a lock violation without a candidate", evidence(candidate=None, tampered=("a",)), LOWER, Reason.LOCK_VIOLATION),
    ("a lock violation of a failed agent", evidence(tampered=("a",), session=EXITED), LOWER, Reason.LOCK_VIOLATION),
    (
        "a breach before a failed build",
        evidence(breaches=("b",), series=failed(Reason.BUILD_FAILED)),
        LOWER,
        Reason.OUT_OF_SCOPE,
    ),
    ("a breach that left no candidate", evidence(candidate=None, breaches=("fifo",)), LOWER, Reason.OUT_OF_SCOPE),
]


@pytest.mark.parametrize(("known", "criteria", "reason"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_each_rung(known: Evidence, criteria: Criteria, reason: Reason) -> None:
    decision = decided(known, criteria)
    assert decision.reason is reason
    assert decision.why and "\n" not in decision.why
    if known.series.of(Arm.CANDIDATE) and reason in (Reason.IMPROVED, Reason.REGRESSED, Reason.SIMPLIFIED):
        assert decision.samples == 3
        assert decision.metric == decision.metrics["ms"]
        assert decision.gain is not None


def test_every_sample_is_asked_for_before_anything_is_said() -> None:
    for taken in range(3):
        wanted = decide(evidence(series=series([90.0] * taken)), LOWER)
        assert wanted == Wanted(arm=Arm.CANDIDATE, index=taken)
    assert decided(evidence(series=series([90.0] * 3))).reason is Reason.IMPROVED


def test_nothing_is_measured_of_what_is_refused_anyway() -> None:
    for known in (evidence(tampered=("a",)), evidence(breaches=("a",)), evidence(candidate=None)):
        assert isinstance(decide(known, LOWER), Decision)


def test_one_wild_sample_decides_nothing() -> None:
    assert decided(evidence(series=series([100.0, 1.0, 100.0]))).reason is Reason.WITHIN_NOISE
    assert decided(evidence(series=series([90.0, 9000.0, 90.0]))).reason is Reason.IMPROVED


def test_a_small_gain_is_called_too_small_and_not_a_failure() -> None:
    why = decided(evidence(99)).why
    assert "too small to tell from noise" in why and "1 %" in why and "2 %" in why


def test_many_names_are_listed_as_a_few_and_a_number() -> None:
    why = decided(evidence(breaches=tuple(f"f{n}" for n in range(1000)))).why
    assert why.endswith("f4 and 995 more")


GATES: dict[str, tuple[Gate, list[tuple[float, bool]]]] = {
    "errors": (Gate(max=0), [(0, True), (1, False)]),
    "pass_rate": (Gate(min=0.9), [(0.9, True), (0.89, False)]),
    "both": (Gate(min=1, max=2), [(0.9, False), (1, True), (2, True), (2.1, False)]),
    "size": (Gate(max_regression=0.1), [(110, True), (111, False), (50, True)]),
    "score": (Gate(max_regression=0.1, min=0), [(90, True), (89, False), (200, True)]),
    "told": (Gate(max_regression=0.1, direction=Direction.HIGHER), [(90, True), (89, False)]),
}


@pytest.mark.parametrize(
    ("name", "gate", "value", "passes"),
    [(name, gate, value, passes) for name, (gate, tries) in GATES.items() for value, passes in tries],
)
def test_gates_are_absolute_or_relative_to_the_original(name: str, gate: Gate, value: float, passes: bool) -> None:
    criteria = LOWER.model_copy(update={"quality_gates": {name: gate}})
    known = evidence(
        series=series([90.0] * 3, others={name: value}),
        baseline=record(100, **{name: 1000}),
        original=record(100, **{name: 100}),
    )
    decision = decided(known, criteria)
    assert decision.reason is (Reason.IMPROVED if passes else Reason.GATE_FAILED)
    assert passes or decision.why.startswith(f"{name} is ")


def test_a_gate_is_judged_before_the_gain_and_also_on_what_is_simpler() -> None:
    criteria = LOWER.model_copy(update={"quality_gates": {"errors": Gate(max=0)}})
    for value in (90.0, 100.0, 110.0):
        known = evidence(series=series([value] * 3, others={"errors": 1}), code_removed=5)
        assert decided(known, criteria).reason is Reason.GATE_FAILED


def test_a_gate_on_a_negative_metric_knows_worse_from_better() -> None:
    criteria = LOWER.model_copy(update={"quality_gates": {"x": Gate(max_regression=0.1, direction=Direction.HIGHER)}})
    for value, reason in ((-105.0, Reason.IMPROVED), (-120.0, Reason.GATE_FAILED), (-50.0, Reason.IMPROVED)):
        known = evidence(series=series([90.0] * 3, others={"x": value}), original=record(100, x=-100))
        assert decided(known, criteria).reason is reason


def holdout(baseline: list[float], candidate: list[float], value: float = 90) -> Evidence:
    parts = (
        series([value] * 3),
        series(baseline, arm=Arm.BASELINE, script=HOLDOUT),
        series(candidate, script=HOLDOUT),
    )
    return evidence(series=Series(tuple(entry for part in parts for entry in part.taken)), has_holdout=True)


def test_the_holdout_runs_only_before_a_keep_and_on_both_arms() -> None:
    assert decide(holdout([], []), LOWER) == Wanted(arm=Arm.BASELINE, index=0, script=HOLDOUT)
    assert decide(holdout([1.0] * 3, [1.0]), LOWER) == Wanted(arm=Arm.CANDIDATE, index=1, script=HOLDOUT)
    assert decided(holdout([], [], value=100)).reason is Reason.WITHIN_NOISE
    assert decided(holdout([], [], value=110)).reason is Reason.REGRESSED


def test_the_holdout_must_not_regress_beyond_noise() -> None:
    assert decided(holdout([50.0] * 3, [49.0] * 3)).reason is Reason.IMPROVED
    assert decided(holdout([50.0] * 3, [50.0] * 3)).reason is Reason.IMPROVED
    assert decided(holdout([50.0] * 3, [60.0] * 3)).reason is Reason.HOLDOUT_FAILED
    assert decided(holdout([50.0, 40, 60], [51.0, 41, 61])).reason is Reason.IMPROVED


def test_a_single_holdout_sample_that_differs_by_less_than_noise_refuses_nothing() -> None:
    once = LOWER.model_copy(update={"repeats": 1})
    assert decided(holdout([50.0], [50.5]), once).reason is Reason.IMPROVED
    assert decided(holdout([50.0], [52.0]), once).reason is Reason.HOLDOUT_FAILED


def test_fifty_simplifications_lose_no_more_than_one_threshold_together() -> None:
    metric, best, kept = 100.0, 100.0, 0
    for _ in range(50):
        value = metric * 1.019
        decision = decided(evidence(value, base=metric, best=best, code_removed=5))
        if decision.reason.status is Status.KEEP:
            metric, kept = value, kept + 1
    assert kept == 1
    assert metric <= 102


def test_a_candidate_that_does_nothing_is_rarely_kept() -> None:
    chance = random.Random(3)
    threshold = 0.05
    kept = 0
    for _ in range(2000):
        values = [chance.gauss(100, 2) for _ in range(3)]
        base = median(chance.gauss(100, 2) for _ in range(3))
        known = evidence(series=series(values), baseline=record(base), threshold=threshold)
        kept += decided(known).reason is Reason.IMPROVED
    assert kept / 2000 < 0.02


def test_numbers_at_the_edge_of_what_can_be_held_are_judged() -> None:
    assert decided(evidence(-1e300, base=1e300, largest_kept=1.0)).reason is Reason.IMPROVED
    assert decided(evidence(1e300, base=5e-324)).reason is Reason.REGRESSED


def test_a_decision_names_the_cases_that_flipped() -> None:
    taken = Series(
        tuple(
            Taken(
                wanted=Wanted(arm=Arm.CANDIDATE, index=index),
                result=Sample(metrics={"ms": 100.0}, cases={"adds": 1.0, "divides": 0.0, "waits": 0.0}),
            )
            for index in range(3)
        )
    )
    before = Record(commit="c0", metrics={"ms": 100.0}, cases={"adds": 0.0, "divides": 1.0, "waits": 0.0})
    decision = decide(evidence(100, series=taken, baseline=before), LOWER)
    assert isinstance(decision, Decision)
    assert decision.why.endswith("; fixed adds; broke divides")


def test_a_decision_stands_in_the_journal_as_it_always_did() -> None:
    assert list(json.loads(decided(evidence(90)).model_dump_json())) == [
        "reason", "why", "metric", "baseline", "gain", "low", "high", "evidence", "claimed", "sigma", "df", "pairs",
        "trace", "samples", "metrics", "flags",
    ]  # fmt: skip
