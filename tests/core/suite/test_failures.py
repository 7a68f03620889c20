"""How and where trials fail."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoloop.core.suite.failures import Consistency, could_hide, failure_modes, task_records
from autoloop.core.suite.tasks import Outcome
from tests.suites.benches import key, result, trials


def test_modes_come_commonest_first_with_an_example_of_each_task() -> None:
    results = {
        key("t1"): result("fail", failure_mode="wrong_result", detail="3 of 5 tests"),
        key("t1", attempt=2): result("fail", failure_mode="wrong_result"),
        key("t2"): result("fail", failure_mode="wrong_result"),
        key("t3"): result("timeout"),
        key("t4"): result("error", failure_mode="agent_unavailable"),
        key("t5"): result("pass"),
        key("t6"): result("unsupported", failure_mode="docker"),
    }
    wrong, late, lost = failure_modes(results)
    assert (wrong.mode, wrong.trials, wrong.share, wrong.tasks) == ("wrong_result", 3, 0.75, ("t1", "t2"))
    assert wrong.examples == (key("t1"), key("t2"))
    assert wrong.detail == "3 of 5 tests"
    assert (late.outcome, late.mode, late.share) == (Outcome.TIMEOUT, "timeout", 0.25)
    assert (lost.outcome, lost.mode, lost.share) == (Outcome.ERROR, "agent_unavailable", 1.0)


def test_no_failure_has_no_mode() -> None:
    assert failure_modes(trials({"t1": "pp", "t2": "u"})) == ()


@pytest.mark.parametrize(
    ("outcomes", "consistency"),
    [
        ("ppp", Consistency.PASSES),
        ("ff", Consistency.FAILS),
        ("ft", Consistency.FAILS),
        ("pf", Consistency.FLAKY),
        ("ptp", Consistency.FLAKY),
        ("p", Consistency.TRIED_ONCE),
        ("pe", Consistency.TRIED_ONCE),
        ("fuee", Consistency.TRIED_ONCE),
        ("ee", Consistency.NOTHING_COUNTS),
        ("u", Consistency.NOTHING_COUNTS),
    ],
)
def test_what_the_trials_of_a_task_have_in_common(outcomes: str, consistency: Consistency) -> None:
    (record,) = task_records(trials({"t1": outcomes}))
    assert record.consistency is consistency


def test_errors_never_make_a_task_flaky() -> None:
    (record,) = task_records(trials({"t1": "pepepe"}))
    assert (record.consistency, record.errors, record.rate.of) == (Consistency.PASSES, 3, 3)


@given(st.integers(1, 300))
def test_few_trials_can_hide_much(trials_: int) -> None:
    hidden = could_hide(trials_)
    assert (1 - hidden) ** trials_ == pytest.approx(0.05)
    assert hidden > could_hide(trials_ + 1)


def test_how_sure_a_consistent_task_is_depends_on_its_trials() -> None:
    often, seldom, flaky = task_records(trials({"t1": "p" * 20, "t2": "ff", "t3": "pf"}))
    assert often.could_hide == pytest.approx(0.139, abs=1e-3)
    assert seldom.could_hide == pytest.approx(0.776, abs=1e-3)
    assert flaky.could_hide is None, "that it is flaky was seen"


def test_timeouts_loops_and_modes_are_counted_by_task() -> None:
    results = trials({"t1": "ttfp"})
    results[key("t1", attempt=3)] = result("fail", failure_mode="turns", reward=0.5, seconds=5.0)
    (record,) = task_records(results)
    assert (record.timeouts, record.loops, record.modes) == (2, 1, {"timeout": 2, "turns": 1})
    assert (record.mean_reward, record.mean_seconds) == (0.375, 2.0)
