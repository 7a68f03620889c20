"""Evidence from pairs of single trials, and the verdict on them."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoloop.core.evidence.comparison import Difference, TwoSided, compare_trials
from autoloop.core.evidence.trials import of_wins, wagered

SIZES = st.lists(st.floats(0.01, 1.0), min_size=1, max_size=7)


@given(SIZES)
def test_where_signs_are_coins_nothing_is_won_on_average(sizes: list[float]) -> None:
    evidence = [wagered([sign * size for sign, size in zip(signs, sizes, strict=True)])
                for signs in product((-1, 1), repeat=len(sizes))]  # fmt: skip
    assert np.exp(np.array(evidence)).mean(axis=0) == pytest.approx(np.ones(len(sizes)))


@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=30))
def test_passes_and_fails_speak_by_their_number_alone(gains: list[float]) -> None:
    last = wagered(gains)[-1]
    assert last == pytest.approx(wagered(sorted(gains))[-1])
    assert last == pytest.approx(of_wins(gains.count(1.0), gains.count(-1.0)), abs=1e-9)


def test_pairs_without_a_difference_say_nothing() -> None:
    assert wagered([0.0, 1.0, 0.0, 0.0]).tolist() == pytest.approx([0.0, *[np.log(1.5)] * 3], rel=1e-4)
    assert wagered([]).size == 0


@pytest.mark.parametrize(
    ("gains", "difference"),
    [
        ([], Difference.NOISE),
        ([1.0] * 8, Difference.NOISE),
        ([1.0] * 9, Difference.BETTER),
        ([-0.2] * 9, Difference.WORSE),
        ([1.0, -1.0] * 40, Difference.NOISE),
        ([1.0] * 9 + [-1.0] * 8, Difference.BETTER),
        ([1.0] * 9 + [-1.0] * 10, Difference.NOISE),
    ],
    ids=str,
)
def test_the_first_verdict_stands_unless_the_mean_contradicts_it(gains: list[float], difference: Difference) -> None:
    assert compare_trials(gains, rule=TwoSided()).difference is difference


def test_a_difference_below_the_threshold_is_not_worth_a_word() -> None:
    gains = [0.0] * 91 + [1.0] * 9
    assert compare_trials(gains, rule=TwoSided(threshold=0.05)).difference is Difference.BETTER
    assert compare_trials(gains, rule=TwoSided(threshold=0.1)).difference is Difference.NOISE
