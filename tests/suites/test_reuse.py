"""Results that benches share: what they depend on, where they lie, and that a trial is not taken twice."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from autoloop.cli.app import app
from autoloop.core.suite.events import TrialEnded
from autoloop.core.suite.plan import ArmPlan, BenchConfig
from autoloop.core.suite.reuse import failing_first, is_shared, minibatch, result_key, shared
from autoloop.core.suite.summary import metrics_line
from autoloop.core.suite.tasks import Outcome, Step, SuiteTask, TaskVerification, TrialKey, TrialOrder
from autoloop.errors import AutoloopError
from autoloop.suites.reuse import Reuse, SharedResults, scores_of
from tests.suites.benches import bench, key, plan, result

SOLVER = {"agent": "command", "command": "sh solve.sh"}


def order(seed: int = 7, **fields: Any) -> TrialOrder:
    step = Step(instruction="do it", verification=TaskVerification(reward="exit_code", command="true"))
    task = SuiteTask(id="t", steps=(step,), digest=fields.pop("digest", "d1"))
    config = BenchConfig(bench_id="b", suite="s", arms=(ArmPlan(name="a", profile="a"),), **fields)
    return config.order(TrialKey(arm="a", iteration=1, task="t"), task, suite="/s", directory="/d", seed=seed)


def test_what_a_result_depends_on_makes_another_key() -> None:
    base = result_key(order(), SOLVER, "prompt")
    others = [
        result_key(order(seed=8), SOLVER, "prompt"),
        result_key(order(digest="d2"), SOLVER, "prompt"),
        result_key(order(timeout=5.0), SOLVER, "prompt"),
        result_key(order(max_turns=5), SOLVER, "prompt"),
        result_key(order(), {**SOLVER, "model": "other"}, "prompt"),
        result_key(order(), SOLVER, "another prompt"),
    ]
    assert base and len({base, *others}) == 7


def test_where_and_by_which_bench_a_result_was_taken_makes_none() -> None:
    moved = order().model_copy(update={"directory": "/e", "suite": "/z", "bench_id": "c", "keep": "all"})
    assert result_key(moved, SOLVER, "prompt") == result_key(order(), SOLVER, "prompt")


def test_a_task_without_a_digest_is_never_shared() -> None:
    assert result_key(order(digest=""), SOLVER, "prompt") is None


def test_only_results_that_say_something_of_the_solver_are_shared() -> None:
    assert [is_shared(result(outcome)) for outcome in Outcome] == [True, True, True, False, False]


def test_a_stored_result_comes_back_as_it_was(tmp_path: Path) -> None:
    found = result("pass", turns=3, cost_usd=0.2)
    stored = SharedResults(tmp_path / "r")
    stored.save("abcdef", "t", found)
    assert stored.find("abcdef") == found and stored.find("abcdee") is None
    stored.save("abcdef", "t", result("fail"))
    assert stored.find("abcdef") == found, "the first one stays"


def test_what_somebody_else_put_there_is_no_result(tmp_path: Path) -> None:
    stored = SharedResults(tmp_path)
    stored.save("abcdef", "t", result("pass"))
    good = (tmp_path / "ab/cdef.json").read_text()
    for name, text in (("0000", "{"), ("0001", good), ("0002", "{}")):
        (tmp_path / "ab" / f"{name}.json").write_text(text)
    (tmp_path / "ab/0003.json").symlink_to(tmp_path / "ab/cdef.json")
    os.mkfifo(tmp_path / "ab/0004.json")
    assert [stored.find(f"ab000{n}") for n in range(5)] == [None] * 5


def test_tasks_that_failed_come_first_and_the_rest_is_drawn_by_the_seed() -> None:
    tasks = [f"t{n}" for n in range(20)]
    failing = failing_first(tasks, {"t3": 0.5, "t4": 0.0, "t5": 1.0})
    assert failing == ("t4", "t3")
    batch = minibatch(tasks, failing, 6, seed=1)
    assert set(failing) < set(batch) and len(set(batch)) == 6
    assert batch == minibatch(tasks, failing, 6, seed=1) != minibatch(tasks, failing, 6, seed=2)


def test_of_more_failing_tasks_than_there_is_room_for_each_seed_draws_others() -> None:
    tasks = [f"t{n}" for n in range(20)]
    seen = {task for seed in range(40) for task in minibatch(tasks, tasks[:10], 3, seed)}
    assert seen == set(tasks[:10])


def test_a_reused_result_counts_and_costs_nothing() -> None:
    of = plan(["t1", "t2"])
    reused = TrialEnded(at=110.0, key=key("t1"), result=shared(result("pass", turns=4, cost_usd=0.5)), reused=True)
    state = bench(of, [(key("t2"), result("fail", turns=2, cost_usd=0.25))], [reused])
    line = metrics_line(state, "a")
    assert (line["pass_rate"], line["model_calls"], line["reused"], line["cost_usd"]) == (0.5, 2, 1, 0.25)
    assert state.cost_usd == 0.25


def test_a_session_that_does_not_count_its_calls_has_one_and_those_of_a_bench_none() -> None:
    state = bench(plan(["t1"]), [(key("t1"), result("error")), (key("t1"), result("pass"))])
    assert metrics_line(state, "a")["model_calls"] == 2
    nop = plan(["t1"]).model_copy(update={"arms": (ArmPlan(name="a", profile="nop"),)})
    assert metrics_line(bench(nop, [(key("t1"), result("fail"))]), "a")["model_calls"] == 0


@pytest.mark.parametrize("text", ["[]", "{", '{"a": "b"}', '{"a": true}'])
def test_scores_that_are_none_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "cases.json").write_text(text)
    with pytest.raises(AutoloopError, match=r"cases\.json"):
        scores_of(tmp_path / "cases.json")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Three tasks, and a solver that does what its prompt says."""
    tasks = [
        {
            "id": name,
            "description": f"write {name}",
            "verification": {"type": "command", "command": f"grep -q {name} answer"},
        }
        for name in ("one", "two", "three")
    ]
    (tmp_path / "suite.json").write_text(json.dumps({"name": "s", "tasks": tasks}))
    (tmp_path / "autoloop.toml").write_text(
        '[profiles.solver]\nagent = "command"\nprompt = "prompt.md"\ncommand = "cp $AUTOLOOP_PACKET answer"\n'
    )
    (tmp_path / "prompt.md").write_text("one $instruction")
    return tmp_path


def run_bench(shop: Path, *more: str) -> dict[str, Any]:
    words = ["-C", str(shop), "bench", "suite.json", "-i", "1", "--reuse", "stored", "--json", "--min-free-gb", "0"]
    done = CliRunner().invoke(app, [*words, "--workers", "1", *more])
    assert done.exit_code == 0, done.stderr
    assert f"{json.loads(done.stdout)['model_calls']} model call" in done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_a_trial_is_not_taken_twice_and_another_prompt_takes_it_anew(shop: Path) -> None:
    first = run_bench(shop)
    again = run_bench(shop)
    assert (first["model_calls"], first["reused"]) == (3, 0)
    assert (again["model_calls"], again["reused"], again["cases"]) == (0, 3, first["cases"])
    (shop / "prompt.md").write_text("another: $instruction")
    assert run_bench(shop, "-t", "one")["reused"] == 0


def test_a_minibatch_begins_with_what_failed(shop: Path) -> None:
    (shop / "scores.json").write_text('{"cases": {"one": 1, "two": 0.5, "three": 1}}')
    batch = run_bench(shop, "--failing-first", "scores.json", "--limit", "1", "-o", "small")
    assert list(batch["cases"]) == ["two"]
    assert scores_of(shop / "small") == {"two": 1.0}


def test_a_file_that_results_depend_on_makes_another_key(shop: Path) -> None:
    (shop / "notes").write_text("a")
    of = order().model_copy(update={"profile": "solver"})

    def reuse() -> Reuse:
        return Reuse(SharedResults(shop / "stored"), shop, {}, (shop / "notes",))

    ended = TrialEnded(at=1.0, key=of.key, result=result("pass"))
    reuse().keep(ended, lambda key: of)
    assert reuse().find(of) is not None
    (shop / "notes").write_text("b")
    assert reuse().find(of) is None
    (shop / "notes").unlink()
    with pytest.raises(AutoloopError, match="notes, which is not there"):
        reuse().find(of)
