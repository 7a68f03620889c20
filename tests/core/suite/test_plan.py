"""The plan of a bench and the state of its journal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoloop.core.suite.events import (
    BenchEvent,
    BenchResumed,
    BenchStarted,
    BenchStop,
    BenchStopped,
    TrialEnded,
    from_line,
    to_line,
)
from autoloop.core.suite.plan import ArmPlan, BenchPlan, TaskPlan
from autoloop.core.suite.state import MOST_TRIES, replay
from autoloop.core.suite.tasks import Outcome, TrialKey, TrialResult

ARMS = (ArmPlan(name="a", profile="mine"), ArmPlan(name="b", profile="other"))
TASKS = tuple(TaskPlan(id=f"t{number}", group="g") for number in range(10))


def plan(**fields: object) -> BenchPlan:
    return BenchPlan.model_validate({"arms": ARMS, "tasks": TASKS, **fields})


def result(outcome: Outcome, **fields: object) -> TrialResult:
    return TrialResult.model_validate({"outcome": outcome, "started": 0.0, "seconds": 1.0, **fields})


def started(**fields: object) -> BenchStarted:
    return BenchStarted(at=1.0, bench_id="b", suite="s", suite_path="/s", suite_version="1", plan=plan(**fields))


def ended(key: TrialKey, outcome: Outcome, at: float = 2.0, **fields: object) -> TrialEnded:
    return TrialEnded(at=at, key=key, result=result(outcome, **fields))


def test_every_trial_is_taken_once() -> None:
    keys = list(plan(iterations=3, attempts=2).trials())
    assert len(keys) == len(set(keys)) == 2 * 10 * 3 * 2


def test_arms_take_turns_task_by_task() -> None:
    keys = list(plan().trials())
    assert [{key.task for key in keys[at : at + 2]} for at in range(0, 20, 2)] == [{f"t{n}"} for n in range(10)]
    assert {keys[at].arm for at in range(0, 20, 2)} == {"a", "b"}, "a coin says which is first"


def test_a_task_says_itself_how_often_it_is_tried() -> None:
    tasks = (TaskPlan(id="level-1", repetitions=10), TaskPlan(id="level-3", repetitions=3), TaskPlan(id="other"))
    keys = list(plan(arms=ARMS[:1], tasks=tasks, attempts=2).trials())
    assert [sum(key.task == task.id for key in keys) for task in tasks] == [10, 3, 2]


@given(st.floats(0.001, 1.0), st.integers(0, 10**6))
def test_a_share_draws_at_least_one_task_and_a_resume_the_same(share: float, seed: int) -> None:
    arms = (ARMS[0], ArmPlan(name="validation", profile="strong", share=share))
    for iteration in (1, 2):
        drawn = plan(arms=arms, seed=seed).drawn(arms[1], iteration)
        assert 1 <= len(drawn) == max(1, -int(-(share * 10) // 1))
        assert drawn == plan(arms=arms, seed=seed).drawn(arms[1], iteration)


def test_an_error_is_tried_again_and_never_counts_as_done() -> None:
    key = TrialKey(arm="a", iteration=1, task="t0")
    events: list[BenchEvent] = [started(arms=ARMS[:1])]
    for _ in range(MOST_TRIES - 1):
        events.append(ended(key, Outcome.ERROR))
        assert key in list(replay(events).outstanding())
    events.append(ended(key, Outcome.ERROR))
    assert key not in list(replay(events).outstanding()), "so often is enough for one process"
    events += [BenchStopped(at=3.0, reason=BenchStop.DONE), BenchResumed(at=9.0, workers=1)]
    assert key in list(replay(events).outstanding()), "a resume tries it anew"
    events.append(ended(key, Outcome.PASS))
    assert replay(events).results[key].passed
    events.append(ended(key, Outcome.ERROR))
    assert replay(events).results[key].passed, "an error does not take back what was measured"


def test_what_errors_cost_is_counted() -> None:
    key = TrialKey(arm="a", iteration=1, task="t0")
    events = [started(), ended(key, Outcome.ERROR, cost_usd=0.5, tokens=10), ended(key, Outcome.PASS, cost_usd=0.25)]
    assert (replay(events).cost_usd, replay(events).tokens) == (0.75, 10)
    assert replay([started(), ended(key, Outcome.PASS)]).cost_usd is None, "an unknown cost is not 0"


def test_time_between_processes_is_not_work() -> None:
    key = TrialKey(arm="a", iteration=1, task="t0")
    events = [
        started(),
        BenchResumed(at=2.0, workers=1),
        ended(key, Outcome.PASS, at=5.0),
        BenchStopped(at=6.0, reason=BenchStop.STOPPED),
        BenchResumed(at=1000.0, workers=1),
        ended(key, Outcome.PASS, at=1003.0),
    ]
    assert replay(events).worked == pytest.approx(7.0)


def test_events_survive_a_line() -> None:
    event = ended(TrialKey(arm="a", iteration=1, task="t0"), Outcome.FAIL, reward=0.0, failure_mode="wrong_result")
    assert from_line(to_line(event)) == event


def test_results_are_found_by_arm_and_iteration() -> None:
    keys = [TrialKey(arm=arm, iteration=iteration, task="t0") for arm in "ab" for iteration in (1, 2)]
    state = replay([started(iterations=2), *(ended(key, Outcome.PASS) for key in keys)])
    assert list(state.of(arm="b", iteration=2)) == [keys[3]]
    assert len(state.of(arm="a")) == len(state.of(iteration=1)) == 2
