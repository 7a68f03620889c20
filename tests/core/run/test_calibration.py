"""The default threshold follows from the spread of an unchanged tree."""

import math
import random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoloop.core.run.calibration import calibrate, calibration_wanted, spread_of, threshold_of


def test_ten_samples_are_taken_unless_they_would_take_twenty_minutes() -> None:
    def taken(seconds: float, *, given: bool = False, repeats: int = 3) -> int:
        so_far: list[float] = []
        while calibration_wanted(so_far, pairs=10, repeats=repeats, threshold_given=given):
            so_far.append(seconds)
        return len(so_far)

    assert taken(1) == 10
    assert taken(120) == 10
    assert taken(121) == 3
    assert taken(121, repeats=5) == 5
    assert taken(1, given=True) == 3
    assert taken(1, given=True, repeats=1) == 1
    assert taken(1, repeats=20) == 20


def test_a_given_threshold_stands_whatever_the_samples_say() -> None:
    noise = calibrate([1.0, 2.0, 3.0], repeats=3, alpha=0.02, threshold=0.05)
    assert (noise.threshold, noise.unit) == (0.05, 2.0)
    assert calibrate([5.0], repeats=1, alpha=0.02, threshold=0.0).spread is None


def test_no_spread_is_a_threshold_of_0() -> None:
    assert calibrate([7.0] * 10, repeats=3, alpha=0.02, threshold=None).threshold == 0


def test_the_spread_is_relative_to_the_size_and_blind_to_the_sign() -> None:
    values = [98.0, 100.0, 102.0, 101.0, 99.0]
    assert spread_of(values) == pytest.approx(spread_of([10 * value for value in values]))
    assert spread_of(values) == pytest.approx(spread_of([-value for value in values]))
    assert spread_of([-0.5, 0.0, 0.5]) == pytest.approx(0.741, abs=0.01)
    assert spread_of([4.0]) == spread_of([]) == 0


def test_one_outlier_does_not_blow_the_spread_up_and_rare_jumps_do_not_vanish() -> None:
    steady = [100.0, 101.0, 99.0, 100.5, 99.5, 100.2, 99.8, 100.1, 99.9]
    assert spread_of([*steady, 150.0]) < 0.09
    assert spread_of([100.0] * 8 + [110.0, 110.0]) > 0.015


def test_more_repeats_need_a_smaller_gain_and_little_knowledge_a_larger_one() -> None:
    def threshold(repeats: int = 3, df: int = 9, alpha: float = 0.02) -> float:
        return threshold_of(0.02, repeats, df=df, alpha=alpha)

    assert threshold(repeats=9) < threshold(repeats=3) < threshold(repeats=1)
    assert threshold(df=9) < threshold(df=2) == pytest.approx(threshold(df=3) * 2.5 / 2)
    assert threshold(alpha=0.001) > threshold(alpha=0.02)
    assert threshold_of(0.02, 1, df=0, alpha=0.02) > 0


def test_a_change_that_does_nothing_passes_the_threshold_about_as_rarely_as_stated() -> None:
    chance = random.Random(7)
    passed = 0
    for _ in range(4000):
        calibration = [chance.gauss(100, 2) for _ in range(10)]
        noise = calibrate(calibration, repeats=3, alpha=0.02, threshold=None)
        baseline, candidate = (median(chance.gauss(100, 2) for _ in range(3)) for _ in range(2))
        passed += (baseline - candidate) / baseline > noise.threshold
    assert passed / 4000 < 0.03


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=12))
def test_whatever_is_measured_the_threshold_is_a_finite_number(values: list[float]) -> None:
    noise = calibrate(values, repeats=3, alpha=0.02, threshold=None)
    assert math.isfinite(noise.threshold) and noise.threshold >= 0
