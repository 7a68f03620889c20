"""What reruns of unchanged code show, and what follows from it: on simulated and on recorded sets."""

import json
import tomllib
from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from autoloop.core.run.program import Criteria, Limits, Measuring, Program
from autoloop.core.validation.findings import Validation, validated
from autoloop.core.validation.outlook import Timing
from autoloop.core.validation.stability import Class, Reruns, Stability, classify, stability

RECORDED = Path(__file__).parents[3] / "benchmarks/data/real_noise.json"
Noise = Callable[[np.random.Generator, int], "np.typing.NDArray[np.float64]"]


def program(metric: str = "ms", **given: object) -> Program:
    """A program with these fields of a config, wherever they belong."""
    limits = {name: given.pop(name) for name in list(given) if name in Limits.model_fields}
    measuring = {name: given.pop(name) for name in list(given) if name in Measuring.model_fields}
    return Program(
        slug="p",
        directory="programs/p",
        text="",
        scripts=("measure.sh",),
        criteria=Criteria.model_validate({"metric_field": metric, "direction": "lower", "rule": "paired", **given}),
        measuring=Measuring.model_validate(measuring),
        limits=Limits.model_validate(limits),
    )


def reruns(values: object, cold: tuple[float, ...] = ()) -> Reruns:
    """Samples as they were taken, two a pair."""
    flat = [float(value) for value in values]  # type: ignore[attr-defined]
    return Reruns(tuple(flat[0::2]), tuple(flat[1::2]), cold)


def see(values: object, cold: tuple[float, ...] = ()) -> Stability:
    return stability(reruns(values, cold), program().criteria)


def noisy(cv: float, pairs: int = 10, seed: int = 1) -> "np.typing.NDArray[np.float64]":
    return 100 * np.exp(cv * np.random.default_rng(seed).standard_normal(2 * pairs))


def said(
    values: object, seconds: float = 1.0, cases: bool = False, ready: float = 0.0, cold: tuple[float, ...] = (), **given
) -> Validation:
    return validated(
        program(**given), reruns(values, cold), Timing((seconds,) * 20, ready), has_cases=cases, sandbox="bwrap"
    )


def setting(found: Validation, field: str) -> object:
    return next(setting.value for setting in found.settings if setting.field == field)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([7.0] * 20, Class.DETERMINISTIC),
        ([0.0] * 6, Class.DETERMINISTIC),
        (noisy(0.001), Class.QUIET),
        (noisy(0.01), Class.MODERATE),
        (noisy(0.05), Class.NOISY),
        (noisy(0.3), Class.WILD),
        ([-value for value in noisy(0.01)], Class.MODERATE),
        ([0.0, 1.0] * 10, Class.WILD),
    ],
)
def test_the_class_follows_from_how_much_one_sample_varies(values: object, kind: Class) -> None:
    assert see(values).kind is kind


def test_recorded_reruns_fall_into_the_classes_as_the_docstring_says() -> None:
    sets = [tuple(entry["values"]) for entry in json.loads(RECORDED.read_text())]
    count = Counter(map(classify, sets))
    below = [sum(count[kind] for kind in list(Class)[:upto]) / len(sets) for upto in (2, 3, 4)]
    assert [round(100 * share) for share in below] == [87, 93, 98]


def test_every_recorded_set_can_be_spoken_of() -> None:
    sets = [entry["values"] for entry in json.loads(RECORDED.read_text()) if len(entry["values"]) >= 6]
    for values in sets[::8]:
        found = said(values[: len(values) // 2 * 2], metric="loss")
        assert found.lines() and json.dumps(found.as_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("finding", "values"),
    [
        ("drifts", noisy(0.005) * np.linspace(1, 1.03, 20)),
        ("linked", noisy(0.002) * (1 + 0.03 * np.sin(np.arange(20) / 3))),
        ("warming", np.concatenate([[120, 121], noisy(0.01, pairs=9)])),
        ("in_seed", np.repeat(noisy(0.02, pairs=5), 2)),
        ("alike", np.repeat(noisy(0.02, pairs=5, seed=2), 2) * noisy(0.001) / 100),
        ("outliers", np.concatenate([noisy(0.01, pairs=9), [100, 140]])),
        ("modes", noisy(0.003) * np.where(np.arange(20) % 3 == 1, 1.06, 1)),
        ("coarse", np.round(noisy(0.004))),
        ("bias", noisy(0.002) * np.where(np.arange(20) % 2, 1.02, 1)),
    ],
)
def test_what_is_wrong_with_a_measurement_is_seen(finding: str, values: object) -> None:
    assert getattr(see(values), finding)
    lines = "\n".join(said(values, metric="loss").lines())
    assert "no drift, no warm-up, no outliers" not in lines or (finding == "bias" and "warning: two trees" in lines)


def test_chance_alone_is_rarely_taken_for_a_finding() -> None:
    names = {"drifts", "linked", "warming", "in_seed", "alike", "outliers", "modes", "coarse", "bias"}
    assert names <= {field.name for field in fields(Stability)}
    seen = [see(noisy(0.02, seed=seed)) for seed in range(200)]
    assert all(sum(bool(getattr(one, name)) for one in seen) <= 8 for name in names)


def test_a_cold_start_is_seen_in_the_samples_that_are_thrown_away() -> None:
    values = noisy(0.01)
    assert see(values, cold=(130.0, 128.0)).cold_start
    assert not see(values, cold=(values[0], values[1] * 1.005)).cold_start
    assert see([5.0] * 6, cold=(5.0, 5.0)).cold == 0 and see(values).cold is None


def test_ten_seeds_that_come_in_an_order_are_no_drift() -> None:
    found = see(np.repeat(np.linspace(100, 110, 10), 2))
    assert found.in_seed and found.steady


def test_three_pairs_cannot_rule_a_drift_out_and_say_so() -> None:
    found = said(noisy(0.01, pairs=3), seconds=300)
    assert not found.stability.watched and setting(found, "baseline") == "fresh"
    assert any("too few" in setting.reason for setting in found.settings)
    assert any("rough" in line for line in found.lines())


def test_less_noise_resolves_smaller_gains_and_pairs_resolve_less_than_twice_the_noise_of_a_sample() -> None:
    gains = [said(noisy(cv)).resolvable or 0 for cv in (0.002, 0.01, 0.05)]
    assert gains == sorted(gains) and 0.01 < gains[1] < 0.025


def test_an_experiment_without_effect_costs_less_than_one_with_it_and_nothing_varies_costs_least() -> None:
    found, exact = said(noisy(0.02), seconds=2, ready=5).outlook, said([7.0] * 20, seconds=2, ready=5).outlook
    assert 8 < found.without_effect.samples < 12 < found.with_effect.samples < 20
    assert found.without_effect.seconds == pytest.approx(found.without_effect.samples * 2 + 5)
    assert (exact.without_effect.samples, exact.with_effect.samples) == (3, 5)


def test_false_keeps_are_bounded_by_alpha_and_a_low_threshold_under_median_has_more() -> None:
    assert said(noisy(0.02), max_experiments=200).false_keeps == pytest.approx(4)
    low = said(noisy(0.05), rule="median", noise_threshold=0.01, max_experiments=100)
    assert low.false_keeps > 20 and any("below what the noise asks for" in text for text in low.warnings)
    fit = said(noisy(0.05), rule="median", noise_threshold=0.2)
    assert fit.false_keeps < 1 and not fit.warnings


def test_reuse_is_for_what_is_expensive_and_cannot_be_seen_to_drift() -> None:
    night = {"metric": "loss", "max_hours": 8}
    assert setting(said(noisy(0.01), seconds=60, **night), "baseline") == "reuse"
    assert setting(said(noisy(0.01), seconds=1, **night), "baseline") == "fresh"
    assert setting(said(noisy(0.005) * np.linspace(1, 1.03, 20), seconds=60, **night), "baseline") == "fresh"
    by_seed = np.repeat(noisy(0.02, pairs=5), 2)[:6]
    assert setting(said(by_seed, seconds=600, **night), "baseline") == "reuse"
    assert setting(said([7.0] * 6, seconds=600, **night), "baseline") == "reuse"
    figures = said(noisy(0.01), seconds=60, **night).outlook
    assert figures.fresh.experiments < figures.reuse.experiments < 2 * figures.fresh.experiments


def test_what_cannot_be_resolved_is_said_with_what_would_help() -> None:
    wall = said(noisy(0.1), metric="wall_ms", noise_threshold=0.02)
    assert wall.unresolved and "2 %" in wall.unresolved
    assert any("processor time" in text for text in wall.remedies) and any("times as much" in t for t in wall.remedies)
    score = said(noisy(0.1), metric="pass_rate")
    assert any("`cases`" in text for text in score.remedies) and any("AUTOLOOP_SEED" in t for t in score.remedies)
    assert not any("`cases`" in text for text in said(noisy(0.1), metric="pass_rate", cases=True).remedies)
    target = said(noisy(0.02), target=99.5)
    assert target.unresolved and not said(noisy(0.002), target=90).unresolved
    assert said(noisy(0.02), max_pairs=5).resolvable is None
    assert said(noisy(0.5), rule="median").resolvable is None, "nothing can be more than 100 % lower"


def test_the_recommended_lines_are_a_config_and_differ_from_what_is_there() -> None:
    values = noisy(0.02)
    there = {"measurement_timeout": 50_000, "rule": "median", "max_pairs": 8, "min_sample_ms": 39_000}
    found = said(values, seconds=40, cold=(values[0], values[1]), max_experiments=9, **there)
    config = tomllib.loads("\n".join(setting.line for setting in found.settings))
    assert config["rule"] == "paired" and config["max_pairs"] == 16
    assert config["measurement_timeout"] == 120_000 and config["min_sample_ms"] == 4000
    assert config["warmup"] == 0
    now = said(values, seconds=40, max_experiments=9, **config)
    assert tomllib.loads("\n".join(setting.line for setting in now.settings)) == {}


def test_medians_are_for_what_leaves_time_for_a_handful_of_pairs() -> None:
    slow = said(noisy(0.01, pairs=3), seconds=1800, max_hours=8, noise_threshold=0.001)
    assert setting(slow, "rule") == "median" and setting(slow, "repeats") == 3
    assert setting(slow, "noise_threshold") == pytest.approx(slow.outlook.noise_asks, rel=0.1)
    assert setting(said(noisy(0.01), seconds=60, max_hours=8), "rule") == "paired"


def test_both_rules_get_the_same_advice() -> None:
    advice = [
        {setting.field: setting.value for setting in said(noisy(0.02), rule=rule).settings}
        for rule in ("paired", "median")
    ]
    assert advice[0] == advice[1]


def test_a_metric_that_never_changes_and_was_not_asked_about_the_code_is_warned_of() -> None:
    assert any("canary" in text for text in said([7.0] * 20, canary=False).warnings)
    assert not said([7.0] * 20).warnings and said([7.0] * 20).resolvable == 0


def test_two_trees_that_do_not_measure_the_same_are_warned_of() -> None:
    found = said(noisy(0.002) * np.where(np.arange(20) % 2, 1.02, 1))
    assert any("two trees of the same commit" in text for text in found.warnings)


@pytest.mark.parametrize("values", [[0.0] * 6, [0.0, 1.0] * 5, [-5.0, 5.0] * 4, [1e300, 1e-300] * 3, noisy(2.0)])
def test_whatever_is_measured_there_is_an_answer(values: object) -> None:
    for rule in ("paired", "median"):
        found = said(values, rule=rule, seconds=0.0)
        assert found.lines() and json.dumps(found.as_dict(), allow_nan=False)
