"""Over iterations and nights: a trend, an alert, or noise."""

import time
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoloop.core.suite.episode import EpisodeRecord, episode
from autoloop.core.suite.nights import TrendDirection, alerts, over_iterations, over_nights, results_of, trend_of
from autoloop.core.suite.tasks import TrialKey, TrialResult
from tests.suites.benches import bench, plan, result, trials

Night = dict[TrialKey, TrialResult]


@pytest.mark.parametrize(
    ("values", "direction", "p"),
    [
        ([1, 2, 3, 4], TrendDirection.NOISE, 2 / 24),
        ([1, 2, 3, 4, 5], TrendDirection.RISING, 2 / 120),
        ([5, 4, 3, 2, 1], TrendDirection.FALLING, 2 / 120),
        ([1, 3, 2, 4, 5], TrendDirection.NOISE, 2 * 5 / 120),
        ([1, 1, 1, 1, 1, 1], TrendDirection.NOISE, 1.0),
        ([0, 0, 0, 1, 1, 1], TrendDirection.NOISE, 2 / 20),
        ([3], TrendDirection.NOISE, 1.0),
        ([], TrendDirection.NOISE, 1.0),
    ],
)
def test_a_trend_is_what_few_orders_of_the_values_show(
    values: list[float], direction: TrendDirection, p: float
) -> None:
    trend = trend_of(values)
    assert (trend.direction, trend.p) == (direction, pytest.approx(p))


@given(st.lists(st.integers(0, 3), min_size=2, max_size=6))
@settings(max_examples=30, deadline=None)
def test_the_p_value_counts_the_orders_ties_and_all(values: list[int]) -> None:
    def one_way(order: tuple[int, ...]) -> tuple[int, int]:
        pairs = [(order[i], order[j]) for i in range(len(order)) for j in range(i + 1, len(order))]
        return sum(a < b for a, b in pairs), sum(a > b for a, b in pairs)

    seen = min(one_way(tuple(values)))
    orders = list(permutations(values))
    expected = min(1.0, 2 * sum(one_way(order)[0] <= seen for order in orders) / len(orders))
    assert trend_of(values).p == pytest.approx(expected)


def test_no_trend_is_rarely_called_one() -> None:
    rng = np.random.default_rng(1)
    called = [trend_of(rng.binomial(20, 0.5, 12) / 20).direction is not TrendDirection.NOISE for _ in range(400)]
    assert np.mean(called) <= 0.035
    rising = [trend_of(rng.binomial(20, np.linspace(0.3, 0.8, 12)) / 20).direction for _ in range(50)]
    assert rising.count(TrendDirection.RISING) >= 45


def test_a_hundred_points_take_no_time() -> None:
    began = time.process_time()
    trend = trend_of([float(number) for number in range(100)])
    assert (trend.direction, trend.slope, trend.tau) == (TrendDirection.RISING, 1.0, 1.0)
    assert time.process_time() - began < 2.0


def test_iterations_are_compared_over_the_tasks_that_all_of_them_have() -> None:
    ended: Night = {}
    for iteration, (t1, t2) in enumerate([("p", "e"), ("p", "f"), ("f", "f")], 1):
        ended |= trials({"t1": t1, "t2": t2}, iteration=iteration)
    series = over_iterations(bench(plan(["t1", "t2"], iterations=3), ended.items()), "a")
    assert (series.name, series.tasks) == ("a", 1)
    assert [(point.label, point.rate.passed, point.rate.of) for point in series.points] == [
        ("1", 1, 1), ("2", 1, 1), ("3", 0, 1),
    ]  # fmt: skip


def test_a_bench_without_results_has_no_points() -> None:
    series = over_iterations(bench(plan(["t1"]), ()), "a")
    assert (series.points, series.trend.points, series.trend.p) == ((), 0, 1.0)


def night(number: int, outcomes: dict[str, str], arms: str = "a") -> list[EpisodeRecord]:
    ended = {key: one for arm in arms for key, one in trials(outcomes, arm=arm).items()}
    at = 1e9 + 86400 * number
    dated = {key: one.model_copy(update={"started": at}) for key, one in ended.items()}
    state = bench(plan(list(outcomes), arms=arms, attempts=9), dated.items())
    return [episode(state, arm, 1).model_copy(update={"id": f"n{number}-{arm}", "runId": f"n{number}"}) for arm in arms]


def test_nights_of_a_profile_make_a_series_whatever_the_order_of_the_file() -> None:
    records = [
        record for n in range(6) for record in night(n, {f"t{i}": "p" if i < n else "f" for i in range(6)}, "ab")
    ]
    one, other = over_nights(reversed(records))
    assert {one.name, other.name} == {"s 7 profile-a", "s 7 profile-b"}
    assert [point.label for point in one.points] == [f"n{n}" for n in range(6)]
    assert (one.trend.direction, one.trend.slope) == (TrendDirection.RISING, pytest.approx(1 / 6))
    assert one.trend.sentence() == "rising: +16.7 points per night over 6 nights, p 0.0028"


def test_a_night_with_other_tasks_is_no_point_of_the_series() -> None:
    usual = {f"t{number}": "p" for number in range(4)}
    records = [*night(1, usual), *night(2, {"t1": "f"}), *night(3, {**usual, "t9": "f"}), *night(4, usual)]
    (series,) = over_nights(records)
    assert [point.label for point in series.points] == ["n1", "n3", "n4"]
    assert (series.tasks, {point.rate.value for point in series.points}) == (4, {1.0})


def test_records_of_earlier_tools_are_taken_as_a_whole() -> None:
    records = [one.model_copy(update={"cases": {}}) for n in range(3) for one in night(n, {"t1": "p", "t2": "f"})]
    (series,) = over_nights(records)
    assert (series.tasks, [point.rate.value for point in series.points]) == (0, [0.5] * 3)


def test_one_flip_raises_no_alert() -> None:
    usual = trials({f"t{number}": "p" for number in range(30)})
    tonight = usual | trials({"t3": "f", "t4": "t"})
    assert alerts(tonight, [usual] * 10).sentences() == ()
    assert alerts(usual, []).sentences() == ()


def test_a_night_that_is_worse_as_a_whole_raises_an_alert() -> None:
    usual = trials({f"t{number}": "pp" for number in range(30)})
    bad = usual | trials({f"t{number}": "ff" for number in range(8)})
    found = alerts(bad, [bad, usual])
    assert found.suite is not None and found.suite.pairs == 60
    assert found.sentences()[0].startswith("tonight is worse than the nights before on these tasks: tonight 73.3 %")
    assert alerts(usual, [usual, bad]).suite is None, "the better night is no alert"
    assert alerts(bad, [usual, bad]).suite is None, "it is the latest night that it is compared with"


def test_a_task_that_broke_for_sure_raises_an_alert_of_its_own() -> None:
    usual = trials({f"t{number}": "ppp" for number in range(30)})
    found = alerts(usual | trials({"t7": "fff"}), [usual] * 10)
    assert found.suite is None, "one of thirty"
    assert [alert.task for alert in found.tasks] == ["t7"]
    assert found.sentences() == ("t7 passed 0 of 3 times tonight (0 %) and 30 of 30 before, p 0.0002",)


def test_nights_that_are_alike_rarely_raise_an_alert() -> None:
    rng, chances, raised = np.random.default_rng(2), np.linspace(0.05, 0.95, 25), 0

    def played() -> Night:
        draws = rng.random((25, 2)) < chances[:, None]
        return trials({f"t{n}": "".join("fp"[int(passed)] for passed in row) for n, row in enumerate(draws)})

    nights = [played() for _ in range(60)]
    for at in range(10, 60):
        raised += bool(alerts(nights[at], nights[at - 10 : at]).sentences())
    assert raised <= 2, "of 50 nights; alpha bounds each of the two kinds to 1"


def test_a_record_gives_its_trials_back_but_not_their_order() -> None:
    (record,) = night(1, {"t1": "ppppfffff", "t2": "f"})
    back = results_of(record)
    assert sum(one.passed for key, one in back.items() if key.task == "t1") == 4
    assert len(back) == 10
    (other,) = night(2, {"t1": "ppppfffff", "t2": "f"})
    assert {key.attempt for key, one in back.items() if one.passed} != {
        key.attempt for key, one in results_of(other).items() if one.passed
    }
    assert {one.outcome for one in back.values()} == {result("pass").outcome, result("fail").outcome}
