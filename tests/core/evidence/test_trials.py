"""Intervals of pass rates and pass@k."""

from itertools import combinations
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoloop.core.evidence.trials import Rate, pass_at, pass_at_each, wilson

COUNTS = st.integers(1, 200).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of)))


@pytest.mark.parametrize(
    ("passed", "of", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),  # Newcombe 1998, table I, method 3
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_is_the_published_one(passed: int, of: int, low: float, high: float) -> None:
    assert wilson(passed, of) == pytest.approx((low, high), abs=5e-5)


@given(COUNTS)
def test_the_interval_holds_the_rate_and_stays_within_0_and_1(counts: tuple[int, int]) -> None:
    rate = Rate.of_counts(*counts)
    assert rate.value is not None
    assert 0 <= rate.low <= rate.value <= rate.high <= 1
    mirrored = Rate.of_counts(rate.of - rate.passed, rate.of)
    assert (mirrored.low, mirrored.high) == pytest.approx((1 - rate.high, 1 - rate.low))


def test_nothing_counted_is_no_rate() -> None:
    rate = Rate.of_counts(0, 0)
    assert (rate.value, rate.low, rate.high) == (None, 0.0, 1.0)


@given(st.integers(1, 8).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of), st.integers(1, of))))
def test_pass_at_k_is_the_share_of_all_draws_of_k_trials_that_hold_a_pass(case: tuple[int, int, int]) -> None:
    passed, of, k = case
    trials = [True] * passed + [False] * (of - passed)
    assert pass_at(k, passed, of) == pytest.approx(fmean(any(draw) for draw in combinations(trials, k)))


def test_pass_at_k_cannot_be_told_from_fewer_trials() -> None:
    with pytest.raises(ValueError, match="pass@3"):
        pass_at(3, 1, 2)


def test_pass_at_k_goes_as_far_as_all_tasks_have_trials() -> None:
    assert pass_at_each([(1, 2), (0, 3), (0, 0)]) == {1: 0.25, 2: 0.5}
    assert pass_at_each([]) == {}
