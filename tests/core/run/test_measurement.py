"""What `measure.sh` printed is read strictly: every doubt is a failure, never a number."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autoloop.core.run.measurement import (
    HOLDOUT,
    Arm,
    Measurement,
    MeasurementFailure,
    Sample,
    Series,
    Taken,
    Wanted,
    parse_output,
    relative_gain,
)
from autoloop.core.run.program import Criteria, Direction, Gate, SecondaryMetric
from autoloop.core.run.reasons import Reason

LOWER, HIGHER = Direction.LOWER, Direction.HIGHER
CRITERIA = Criteria(metric_field="ms", direction=LOWER)
numbers = st.floats(allow_nan=False, allow_infinity=False)


def criteria(field: str) -> Criteria:
    return Criteria(metric_field=field, direction=LOWER)


def read(text: str, of: Criteria = CRITERIA) -> Sample:
    sample = parse_output(text, of)
    assert isinstance(sample, Sample), sample
    return sample


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"ms": 12.3}', 12.3),
        ('{"ms": 12}\n', 12.0),
        ('  {"ms": -1e-3}  ', -0.001),
        ('{\n  "ms": 12.3,\n  "errors": 0\n}\n', 12.3),
        ('compiling...\n{"ms": 5}\ndone {"ms": 6}\n', 5.0),
        ('10 %\r20 %\r{"ms": 5}\r\n', 5.0),
        ("METRIC ms=12.3", 12.3),
        ("  METRIC  ms = +.5e2 \n", 50.0),
        ('METRIC ms=1\n{"other": 2}\n', 1.0),
        ('METRIC ms=1\nMETRIC best-val_ms=7\n["ms", 3]\n{"broken": \n', 1.0),
        ('{"ms": 0}', 0.0),
        ('{"ms": 1, "text": "a\u2028METRIC ms=2"}', 1.0),
        ('{"log": "x"}\n{"log": "y"}\n{"ms": 1}', 1.0),
    ],
)
def test_one_clear_number_is_read(text: str, value: float) -> None:
    assert read(text).metrics["ms"] == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no metric at all"),
        ("ms=12.3", "has no metric at all"),
        ("the metric ms is 12.3", "no metric at all"),
        ("metric ms=1", "no metric at all"),
        ('{"other": 1, "more": 2}', "`ms` is missing from the output, which has other, more"),
        ('{"metrics": {"ms": 1}}', "which has metrics"),
        ('{"ms": 1}\n{"ms": 1}', "`ms` was printed twice"),
        ('{"ms": 1, "ms": 2}', "`ms` was printed twice"),
        ('{"ms": 1}\nMETRIC ms=2', "`ms` was printed twice"),
        ("METRIC ms=1\nMETRIC ms=1", "`ms` was printed twice"),
        ('{"ms": NaN}', "not a finite number"),
        ('{"ms": Infinity}', "not a finite number"),
        ('{"ms": -Infinity}', "not a finite number"),
        ('{"ms": 1e999}', "not a finite number"),
        ('{"ms": 1' + "0" * 400 + "}", "not a finite number"),
        ("METRIC ms=nan", "not a finite number"),
        ("METRIC ms=-inf", "not a finite number"),
        ("METRIC ms=1e999", "not a finite number"),
        ('{"ms": true}', "'True', not a finite number"),
        ('{"ms": null}', "not a finite number"),
        ('{"ms": "12.3"}', "'12.3', not a finite number"),
        ('{"ms": [1]}', "not a finite number"),
        ('{"ms": {"a": 1}}', "not a finite number"),
        ("METRIC ms=1,234.5", "'1,234.5', not a finite number"),
        ("METRIC ms=12ms", "'12ms', not a finite number"),
        ("METRIC ms=1_000", "not a finite number"),
        ("METRIC ms=0x10", "not a finite number"),
        ("METRIC ms=\u0663", "not a finite number"),
        ("METRIC ms=1 other=2", "not a finite number"),
        ("METRIC ms=", "not a finite number"),
        ("METRIC best-ms=1", "which has best-ms"),
    ],
)
def test_a_doubt_is_a_failure_that_says_why(text: str, said: str) -> None:
    answer = parse_output(text, CRITERIA)
    assert isinstance(answer, str)
    assert said in answer
    assert "\n" not in answer


def test_names_are_read_whole_so_that_the_best_value_is_not_the_value() -> None:
    text = "METRIC best-val_loss=0.1\nMETRIC val_loss=0.5\nMETRIC val_loss.ema=0.3\n"
    assert read(text, criteria("val_loss")).metrics["val_loss"] == 0.5
    assert read(text, criteria("best-val_loss")).metrics["best-val_loss"] == 0.1


def test_a_metric_that_nothing_depends_on_may_be_printed_twice() -> None:
    assert read('{"ms": 1, "step": 1, "step": 2}').metrics == {"ms": 1.0, "step": 2.0}


def test_gates_and_secondary_metrics_must_be_there_too_and_be_numbers() -> None:
    strict = Criteria(
        metric_field="ms",
        direction=LOWER,
        quality_gates={"errors": Gate(max=0)},
        secondary_metrics={"size": SecondaryMetric(direction=LOWER)},
    )
    assert parse_output('{"ms": 1, "size": 1}', strict) == "`errors` is missing from the output, which has ms, size"
    assert "`size` is 'x'" in str(parse_output('{"ms": 1, "errors": 0, "size": "x"}', strict))
    assert "`errors` was printed twice" in str(
        parse_output('{"ms": 1, "errors": 0, "size": 1}\nMETRIC errors=0', strict)
    )
    assert read('{"ms": 1, "errors": 0, "size": 2}', strict).metrics == {"ms": 1, "errors": 0, "size": 2}


def test_cases_are_scores_from_0_to_1_each_named_once() -> None:
    sample = read('{"ms": 1, "cases": {"a": 1, "b": 0.5, "c": 0}}')
    assert sample.cases == {"a": 1.0, "b": 0.5, "c": 0.0}
    for cases in ('{"a": 2}', '{"a": -0.1}', '{"a": true}', '{"a": "1"}', '{"a": NaN}', '{"a": 1, "a": 0}', "[1]", "3"):
        assert isinstance(parse_output(f'{{"ms": 1, "cases": {cases}}}', CRITERIA), str), cases
    assert "printed twice" in str(parse_output('{"ms": 1, "cases": {}}\n{"cases": {}}', CRITERIA))


def test_a_cost_that_is_no_amount_is_unknown_and_not_0() -> None:
    assert read('{"ms": 1, "cost_usd": 0.25}').cost_usd == 0.25
    for cost in ("-1", '"1"', "NaN", "null", "true", "1" + "0" * 400):
        assert read(f'{{"ms": 1, "cost_usd": {cost}}}').cost_usd is None


def test_half_a_character_in_a_name_does_not_reach_the_journal() -> None:
    sample = read('{"ms": 1, "\\ud800": 2, "cases": {"\\udfff": 1}}')
    assert sample.model_dump_json()


def test_deep_nesting_is_no_metric_and_no_crash() -> None:
    assert isinstance(parse_output('{"ms": ' + "[" * 200_000, CRITERIA), str)


@given(st.text(max_size=200))
@example('{"ms": 1e308, "cases": {"": 0}}')
def test_any_output_gives_a_sample_or_a_sentence(text: str) -> None:
    for output in (text, f"METRIC ms={text}", f'{{"ms": {text}}}'):
        answer = parse_output(output, CRITERIA)
        assert isinstance(answer, str) or math.isfinite(answer.metrics["ms"])


@given(numbers.filter(lambda value: abs(value) <= 1e300))
def test_a_number_survives_being_printed(value: float) -> None:
    assert read(f'{{"ms": {value!r}}}').metrics["ms"] == value
    assert read(f"METRIC ms={value!r}").metrics["ms"] == value


@pytest.mark.parametrize(
    ("baseline", "candidate", "direction", "gain"),
    [
        (100, 90, LOWER, 0.1),
        (100, 110, LOWER, -0.1),
        (100, 110, HIGHER, 0.1),
        (100, 90, HIGHER, -0.1),
        (-100, -90, HIGHER, 0.1),
        (-100, -110, HIGHER, -0.1),
        (-100, -110, LOWER, 0.1),
        (-100, -90, LOWER, -0.1),
        (-10, 10, HIGHER, 2.0),
        (100, 100, LOWER, 0.0),
        (0, 0, LOWER, 0.0),
        (0, -1, LOWER, 1.0),
        (0, 1, LOWER, -1.0),
        (0, 1, HIGHER, 1.0),
    ],
)
def test_the_gain_is_positive_for_better_whatever_the_sign(
    baseline: float, candidate: float, direction: Direction, gain: float
) -> None:
    assert relative_gain(baseline, candidate, direction) == pytest.approx(gain)


def test_a_baseline_of_0_is_judged_by_the_size_that_the_original_had() -> None:
    assert relative_gain(0, -2, LOWER, unit=100) == pytest.approx(0.02)
    assert relative_gain(0, -2, LOWER, unit=0) == 2
    assert relative_gain(50, 49, LOWER, unit=100) == pytest.approx(0.02)


@given(numbers, numbers, st.sampled_from(Direction), st.none() | numbers)
def test_a_gain_is_a_finite_number_whose_sign_is_the_verdict(
    baseline: float, candidate: float, direction: Direction, unit: float | None
) -> None:
    gain = relative_gain(baseline, candidate, direction, unit)
    assert math.isfinite(gain)
    if gain:
        assert (gain > 0) == ((candidate < baseline) == (direction is LOWER))
    if baseline == candidate:
        assert gain == 0


def test_a_measurement_is_spoken_for_by_its_median() -> None:
    samples = (Sample(metrics={"ms": 3, "x": 1}), Sample(metrics={"ms": 100, "x": 2}), Sample(metrics={"ms": 1}))
    measurement = Measurement(samples)
    assert measurement.value("ms") == 3
    assert measurement.values("ms") == [3, 100, 1]
    assert measurement.medians() == {"ms": 3}


def test_cases_are_averaged_and_the_worst_come_first() -> None:
    samples = (Sample(metrics={}, cases={"a": 1, "b": 0, "c": 0}), Sample(metrics={}, cases={"a": 1, "b": 1, "c": 0}))
    assert list(Measurement(samples).cases().items()) == [("c", 0.0), ("b", 0.5), ("a", 1.0)]
    assert Measurement((Sample(metrics={}),)).cases() == {}


def test_a_series_keeps_arms_and_scripts_apart() -> None:
    good, bad = Sample(metrics={"ms": 1}), MeasurementFailure(reason=Reason.MEASUREMENT_FAILED, detail="x")
    series = Series()
    for wanted, result in (
        (Wanted(arm=Arm.CANDIDATE, index=0), good),
        (Wanted(arm=Arm.BASELINE, index=0), good),
        (Wanted(arm=Arm.CANDIDATE, index=0, script=HOLDOUT), good),
        (Wanted(arm=Arm.CANDIDATE, index=1), bad),
    ):
        series = series.plus(Taken(wanted=wanted, result=result))
    assert len(series.of(Arm.CANDIDATE)) == len(series.of(Arm.BASELINE)) == len(series.of(Arm.CANDIDATE, HOLDOUT)) == 1
    assert series.failure == bad
    assert series.without_failures().failure is None
