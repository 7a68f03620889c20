"""The question with two sides: better, worse, or noise."""

import math

import numpy as np
import pytest

from autoloop.core.evidence.comparison import Comparison, Difference, TwoSided, compare_cases, compare_gains
from autoloop.core.evidence.noise import NoisePool, Scale

LOWER = Scale("lower", 1.0, logarithmic=True)
STILL, NOISY = (0.0,) * 4, (0.01, -0.02, 0.015, -0.01)


def judged(gains: list[float], pool: tuple[float, ...] = NOISY, rule: TwoSided = TwoSided()) -> Comparison:
    return compare_gains(gains, scale=LOWER, pool=NoisePool(pool), rule=rule)


@pytest.mark.parametrize(
    ("gains", "pool", "rule", "expected"),
    [
        ([], NOISY, TwoSided(), None),
        ([0.1], NOISY, TwoSided(), None),
        ([0.1, 0.11] * 4, NOISY, TwoSided(), Difference.BETTER),
        ([-0.1, -0.11] * 4, NOISY, TwoSided(), Difference.WORSE),
        ([0.1, 0.11] * 3, NOISY, TwoSided(), None),
        ([0.001, -0.002] * 4, NOISY, TwoSided(), Difference.NOISE),
        ([0.1, 0.11] * 4, NOISY, TwoSided(threshold=0.2), Difference.NOISE),
        ([0.0], STILL, TwoSided(), Difference.NOISE),
        ([0.01], STILL, TwoSided(), None),
        ([0.01] * 2, STILL, TwoSided(), Difference.BETTER),
        ([-0.01] * 2, STILL, TwoSided(), Difference.WORSE),
        ([0.01] * 2, STILL, TwoSided(threshold=0.02), Difference.NOISE),
        ([0.01, -0.01] * 8, STILL, TwoSided(), Difference.NOISE),
        ([0.1] + [0.0] * 15, NOISY, TwoSided(), Difference.NOISE),
    ],
)
def test_the_answer_has_two_sides(
    gains: list[float], pool: tuple[float, ...], rule: TwoSided, expected: Difference | None
) -> None:
    assert judged(gains, pool, rule).difference == expected


def test_a_loss_is_the_mirror_of_a_gain() -> None:
    gains = [0.1, 0.12, 0.09, 0.11] * 2
    better, worse = judged(gains), judged([-gain for gain in gains])
    assert better.for_gain == worse.for_loss
    assert better.log_evidence == worse.log_evidence >= math.log(100)
    assert better.low is not None and worse.high is not None
    assert better.low < better.gain < 0.11
    assert math.log1p(-better.gain) == pytest.approx(-math.log1p(-worse.gain))
    assert math.log1p(-better.low) == pytest.approx(-math.log1p(-worse.high))


def test_no_effect_is_called_a_difference_at_most_as_often_as_alpha_says() -> None:
    rng = np.random.default_rng(11)

    def share(effect: float, wanted: Difference, rows: int) -> float:
        return sum(_played(rng, effect) is wanted for _ in range(rows)) / rows

    assert 1 - share(0.0, Difference.NOISE, 200) <= 0.02
    assert share(0.05, Difference.BETTER, 50) >= 0.95
    assert share(-0.05, Difference.WORSE, 50) >= 0.95


def _played(rng: np.random.Generator, effect: float) -> Difference:
    pool = tuple(0.025 * rng.standard_normal(4))
    gains: list[float] = []
    while (found := judged(gains, pool).difference) is None:
        gains.append(effect + 0.025 * rng.standard_normal())
    return found


def test_cases_are_judged_by_those_that_flip() -> None:
    passes = {str(case): float(case < 20) for case in range(40)}
    more = {str(case): float(case < 28) for case in range(40)}
    assert compare_cases([passes], [passes], rule=TwoSided()).difference is Difference.NOISE
    assert compare_cases([passes] * 8, [more] * 8, rule=TwoSided()).difference is Difference.BETTER
    worse = compare_cases([more] * 8, [passes] * 8, rule=TwoSided())
    assert (worse.difference, round(worse.gain, 2)) == (Difference.WORSE, -0.28)
