"""A bench in one look, its line of metrics, its episodes."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoloop.core.suite.episode import EpisodeRecord, episode
from autoloop.core.suite.events import BenchResumed, BenchStop, BenchStopped
from autoloop.core.suite.plan import ArmPlan, TaskPlan
from autoloop.core.suite.state import MOST_TRIES
from autoloop.core.suite.summary import metrics_line, summarise
from autoloop.core.suite.tasks import Outcome
from tests.suites.benches import bench, key, plan, result, trials

EVERY_KIND = {"t1": "p", "t2": "f", "t3": "t", "t4": "e", "t5": "u"}


def test_only_trials_that_count_enter_a_rate() -> None:
    arm = summarise(bench(plan(list(EVERY_KIND)), trials(EVERY_KIND).items())).arms[0]
    assert (arm.passed, arm.failed, arm.timeout, arm.error, arm.unsupported) == (1, 1, 1, 1, 1)
    assert (arm.rate.passed, arm.rate.of) == (1, 3)
    assert (arm.planned, arm.done) == (5, 4), "an error is tried again, so it is not done"


def test_a_rate_is_a_part_of_the_chosen_tasks_not_of_the_suite() -> None:
    chosen = plan(["t1", "t2"])
    arm = summarise(bench(chosen, trials({"t1": "p", "t2": "p"}).items())).arms[0]
    assert (arm.rate.value, arm.planned) == (1.0, 2)


def test_the_progress_of_an_arm_is_over_its_own_total() -> None:
    arms = (ArmPlan(name="a", profile="x"), ArmPlan(name="b", profile="strong", share=0.25))
    tasks = [f"t{number}" for number in range(8)]
    summary = summarise(bench(plan(tasks).model_copy(update={"arms": arms, "iterations": 2}), ()))
    assert [arm.planned for arm in summary.arms] == [16, 4]
    assert summary.totals.planned == 20
    assert [arm.profile for arm in summary.arms] == ["x", "strong"]


def test_groups_have_their_own_counts_and_repetitions() -> None:
    tasks = [TaskPlan(id="easy", group="L1", repetitions=3), TaskPlan(id="hard", group="L2")]
    arm = summarise(bench(plan(tasks), trials({"easy": "ppf", "hard": "f"}).items())).arms[0]
    assert list(arm.groups) == ["L1", "L2"]
    assert [(group.passed, group.rate.of) for group in arm.groups.values()] == [(2, 3), (0, 1)]
    assert arm.groups["L1"].pass_at == pytest.approx({1: 2 / 3, 2: 1.0, 3: 1.0})
    assert list(arm.pass_at) == [1], "the hard one was tried once"


def test_retries_are_the_tries_after_an_error() -> None:
    which = key("t1")
    error = (which, result("error"))
    once = summarise(bench(plan(["t1"]), [error, (which, result("pass"))])).arms[0]
    assert (once.retries, once.error, once.done) == (1, 0, 1)
    given_up = summarise(bench(plan(["t1"]), [error] * MOST_TRIES)).arms[0]
    assert (given_up.retries, given_up.error, given_up.done) == (MOST_TRIES - 1, 1, 1)


def test_after_a_resume_an_error_is_not_done() -> None:
    events = [BenchStopped(at=200.0, reason=BenchStop.DONE), BenchResumed(at=300.0, workers=1)]
    arm = summarise(bench(plan(["t1"]), [(key("t1"), result("error"))] * MOST_TRIES, events)).arms[0]
    assert (arm.done, arm.error) == (0, 1)


def test_what_is_unknown_is_none_and_not_0() -> None:
    arm = summarise(bench(plan(["t1"]), trials({"t1": "p"}).items())).arms[0]
    assert (arm.cost_usd, arm.unknown_costs, arm.mean_turns, arm.sd_seconds) == (None, 1, None, None)
    empty = summarise(bench(plan(["t1"]), ())).arms[0]
    assert (empty.rate.value, empty.mean_seconds, empty.mean_reward, empty.pass_at) == (None, None, None, {})


def test_means_are_over_what_is_known() -> None:
    ended = [
        (key("t1"), result("pass", seconds=1.0, turns=4, tokens=100, cost_usd=0.5, actions=2)),
        (key("t2"), result("fail", seconds=3.0, reward=0.5)),
        (key("t3"), result("error", seconds=900.0, turns=99, cost_usd=0.25)),
    ]
    arm = summarise(bench(plan(["t1", "t2", "t3"]), ended)).arms[0]
    assert (arm.mean_seconds, arm.median_seconds, arm.sd_seconds) == pytest.approx((2.0, 2.0, 2**0.5))
    assert (arm.mean_turns, arm.mean_tokens, arm.mean_actions, arm.mean_reward) == (4, 100, 2, 0.75)
    assert arm.cost_usd == 0.75


def test_the_end_is_expected_by_what_each_task_took() -> None:
    tasks = [TaskPlan(id="quick", repetitions=2), TaskPlan(id="slow", repetitions=2)]
    ended = [(key("quick"), result("pass", seconds=1.0)), (key("slow"), result("fail", seconds=9.0))]
    half = summarise(bench(plan(tasks), ended))
    assert half.worked_seconds == half.eta_seconds == 2.0, "half of the work is left"
    ended.append((key("quick", attempt=2), result("pass", seconds=1.0)))
    assert summarise(bench(plan(tasks), ended)).eta_seconds == pytest.approx(3.0 * 9 / 11)
    assert summarise(bench(plan(tasks), ())).eta_seconds is None
    assert summarise(bench(plan(["t1"]), trials({"t1": "p"}).items())).eta_seconds == 0.0


def test_the_summary_says_when_and_why_it_ended() -> None:
    stopped = BenchStopped(at=110.0, reason=BenchStop.MAX_HOURS, detail="the night is over")
    summary = summarise(bench(plan(["t1", "t2"]), trials({"t1": "p"}).items(), [stopped]))
    assert (summary.started, summary.finished, summary.stop_reason) == (100.0, 110.0, "max_hours")
    assert summary.stop_detail == "the night is over"
    assert summarise(bench(plan(["t1"]), ())).finished is None


def test_the_line_of_metrics_has_a_score_for_each_case() -> None:
    ended = trials({"t1": "pf", "t2": "tt", "t3": "ee", "t4": "uu"})
    ended |= {key("t5"): result("fail", reward=0.5), key("t1", arm="b"): result("fail")}
    line = metrics_line(bench(plan([f"t{n}" for n in range(1, 6)], arms="ab", attempts=2), ended.items()), "a")
    assert line == {
        "pass_rate": 0.2, "passed": 1, "failed": 2, "timeout": 2, "error": 2, "unsupported": 2,
        "cost_usd": None, "model_calls": 7, "reused": 0, "cases": {"t1": 0.5, "t2": 0.0, "t5": 0.5},
    }  # fmt: skip
    assert json.loads(json.dumps(line)) == line


def test_no_pass_rate_where_nothing_counts() -> None:
    line = metrics_line(bench(plan(["t1"]), trials({"t1": "e"}).items()), "a")
    assert (line["pass_rate"], line["cases"]) == (None, {})


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ("pppp" + "f", "success"),
        ("p" * 24 + "f" * 6, "success"),
        ("p" * 79 + "f" * 21, "partial"),
        ("ppp" + "f" * 7, "partial"),
        ("p" * 29 + "f" * 71, "failed"),
        ("p" * 9 + "t", "timeout"),
        ("p" * 9 + "te", "error"),
        ("fffe", "error"),
        ("ppppu", "success"),
        ("uu", "error"),
    ],
)
def test_the_status_of_an_episode(outcomes: str, status: str) -> None:
    of = plan(["t1"], attempts=len(outcomes))
    assert episode(bench(of, trials({"t1": outcomes}).items()), "a", 1).status == status


def test_an_episode_is_a_line_with_the_names_that_its_readers_know() -> None:
    ended = trials({"t1": "pf", "t2": "e"}, iteration=2)
    ended[key("t1", iteration=2)] = result("pass", started=1767225600.0, seconds=2.5, turns=4, tokens=10)
    record = episode(bench(plan(["t1", "t2"], attempts=2, iterations=2), ended.items()), "a", 2)
    line = json.loads(record.to_line())
    assert {"id", "runId", "iteration", "model", "suiteVersion", "startedAt", "finishedAt", "status"} <= set(line)
    assert (line["id"], line["runId"], line["iteration"]) == ("20260101-002", "20260101", 2)
    assert (line["model"], line["suiteVersion"], line["status"]) == ("profile-a", "7", "error")
    assert line["finishedAt"] == "2026-01-01T00:00:02.500000Z"
    assert line["resultsPath"] == "iterations/002/results.json"
    assert line["summary"] == {
        "total": 3, "passed": 1, "failed": 1, "timeout": 0, "error": 1, "passRate": 0.5, "avgTurns": 4.0,
        "avgTokens": 10.0, "totalDurationMs": 4500, "unsupported": 0, "costUsd": None,
    }  # fmt: skip
    assert line["cases"] == {"t1": [1, 2]}
    assert EpisodeRecord.model_validate_json(record.to_line()) == record


def test_an_episode_of_an_earlier_tool_is_read() -> None:
    line = """{"id": "r-001", "runId": "r", "iteration": 1, "model": "claude-code", "suiteVersion": "1.0.0",
        "startedAt": "2025-12-05T22:00:00.000Z", "finishedAt": "2025-12-05T23:00:00.000Z", "status": "partial",
        "summary": {"total": 2, "passed": 1, "failed": 1, "timeout": 0, "error": 0, "passRate": 0.5,
        "avgTurns": 12.5, "avgTokens": 1000, "totalDurationMs": 360000},
        "resultsPath": "iterations/001/results.json"}"""
    assert EpisodeRecord.model_validate_json(line).summary.passRate == 0.5


def test_episodes_of_several_arms_have_ids_of_their_own() -> None:
    state = bench(plan(["t1"], arms="ab"), ())
    assert [episode(state, arm, 1).id for arm in "ab"] == ["20260101-001-a", "20260101-001-b"]


@given(st.lists(st.lists(st.sampled_from("pfteu"), min_size=1, max_size=4), min_size=1, max_size=6))
def test_groups_and_arms_add_up_to_the_totals(words: list[list[str]]) -> None:
    tasks = [TaskPlan(id=f"t{n}", group=f"g{n % 2}", repetitions=len(word)) for n, word in enumerate(words)]
    outcomes = {f"t{n}": "".join(word) for n, word in enumerate(words)}
    ended = {**trials(outcomes), **trials(outcomes, arm="b")}
    summary = summarise(bench(plan(tasks, arms="ab"), ended.items()))
    for field in ("planned", "done", "passed", "failed", "timeout", "error", "unsupported", "retries"):
        assert sum(getattr(arm, field) for arm in summary.arms) == getattr(summary.totals, field)
        for arm in summary.arms:
            assert sum(getattr(group, field) for group in arm.groups.values()) == getattr(arm, field)
    assert summary.totals.rate.of == sum(outcome.counts for outcome in (r.outcome for r in ended.values()))


def test_5000_trials_are_summarised_in_well_under_two_seconds() -> None:
    of = plan([TaskPlan(id=f"t{n}", group=f"g{n % 5}") for n in range(250)], arms="ab", attempts=2, iterations=5)
    kinds = list(Outcome)[:3]
    state = bench(of, [(which, result(kinds[at % 3], turns=at % 7)) for at, which in enumerate(of.trials())])
    began = time.process_time()
    assert summarise(state).totals.done == 5000
    assert time.process_time() - began < 1.0
