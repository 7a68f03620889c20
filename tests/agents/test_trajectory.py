"""Trajectories: what a session did, step by step, in a form that others can read, without secrets."""

import json
import resource
from pathlib import Path

import pytest
from pydantic import ValidationError

from autoloop.agents.redaction import HIDDEN, secrets_of
from autoloop.agents.trajectory import LONGEST, STEPS, WHOLE, Call, Trajectory
from autoloop.core.run.program import Direction, Limits
from autoloop.core.session import Usage
from autoloop.ports import Cell, Goal, Task
from autoloop.sandbox.none import NoSandbox
from tests.atif import Document


@pytest.fixture
def task(tmp_path: Path) -> Task:
    return Task(
        packet="the packet",
        packet_path=tmp_path / "packet.md",
        tree=tmp_path,
        run_id="run-1",
        goal=Goal("p", Direction.LOWER),
        experiment=7,
        seed=1,
        limits=Limits(),
        history=lambda: [],
        transcript=tmp_path / "experiments/0007/session.jsonl",
        cancelled=lambda: False,
        sandbox=NoSandbox(),
        cell=Cell(tree=tmp_path, home=tmp_path / "home"),
    )


def document(task: Task) -> Document:
    return Document.model_validate_json((task.transcript.parent / WHOLE).read_bytes())


def test_a_session_is_told_step_by_step(task: Task) -> None:
    with Trajectory(task, "claude", "2.1", ["hunter2-hunter2"]) as trajectory:
        trajectory.user("make it faster")
        trajectory.agent("I look.", message_id="m1", model="some-model", reasoning="where is the loop")
        trajectory.agent(
            message_id="m1", calls=[Call("c1", "Bash", {"command": "cat hunter2-hunter2", "deep": [1, "x"]})]
        )
        trajectory.observe("c1", "it says hunter2-hunter2")
        trajectory.agent("Done.", message_id="m2", usage=Usage(input=5, output=7, cache_read=3), cost_usd=0.25)
    found = document(task)
    assert [step.source for step in found.steps] == ["user", "agent", "agent"]
    look, done = found.steps[1:]
    assert look.tool_calls and look.observation
    assert look.message == "I look." and look.model_name == "some-model"
    assert look.tool_calls[0].arguments == {"command": f"cat {HIDDEN}", "deep": [1, "x"]}
    assert look.observation.results[0].content == f"it says {HIDDEN}"
    assert done.metrics and (done.metrics.prompt_tokens, done.metrics.cached_tokens) == (8, 3)
    assert found.final_metrics and found.final_metrics.total_cost_usd == 0.25
    assert (found.agent.name, found.agent.version, found.agent.model_name) == ("claude", "2.1", "some-model")


def test_what_the_agent_says_of_its_costs_counts(task: Task) -> None:
    with Trajectory(task, "codex") as trajectory:
        trajectory.agent("x", usage=Usage(input=1, output=1))
        trajectory.finish(Usage(input=10, output=20, cache_read=30), 1.5)
    totals = document(task).final_metrics
    assert totals and (totals.total_prompt_tokens, totals.total_completion_tokens) == (40, 20)
    assert (totals.total_cached_tokens, totals.total_cost_usd, totals.total_steps) == (30, 1.5, 1)


def test_keys_are_hidden_wherever_they_stand(task: Task) -> None:
    key = "sk-ant-" + "a" * 30
    block = "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----"
    with Trajectory(task, "claude") as trajectory:
        trajectory.agent(f"the key is {key}", calls=[Call("c", "Write", {"text": f"see {block}!"})])
        trajectory.observe("c", f"AKIA{'B' * 16} and ghp_{'c' * 36}")
    text = (task.transcript.parent / WHOLE).read_text()
    assert not (task.transcript.parent / STEPS).exists()
    assert not [word for word in (key, "OPENSSH", "AKIA", "ghp_") if word in text]
    assert text.count(HIDDEN) == 4
    assert secrets_of({"MY_API_KEY": "1", "GH_TOKEN": "2", "MONKEY_ISLAND": "3"}) == ("1", "2")


def test_a_session_that_never_began_is_still_a_trajectory(task: Task) -> None:
    with Trajectory(task, "claude"):
        pass
    assert len(document(task).steps) == 1


def test_long_texts_keep_their_ends_and_odd_characters_survive(task: Task) -> None:
    with Trajectory(task, "claude") as trajectory:
        trajectory.agent("\x00\ud800begin" + "x" * 3 * LONGEST + "end", calls=[Call("c", "B", {})])
        trajectory.observe("other", "result of a call that nobody made")
    step = document(task).steps[0]
    assert len(step.message) < LONGEST + 100 and step.message.endswith("end")
    assert step.observation and step.observation.results[0].source_call_id is None


def test_what_is_unknown_is_not_zero_and_what_is_no_number_is_told_in_words(task: Task) -> None:
    with Trajectory(task, "codex") as trajectory:
        trajectory.agent("x", calls=[Call("c", "set", {"learning_rate": float("nan"), "deep": [float("inf")]})])
    text = (task.transcript.parent / WHOLE).read_text()
    assert json.loads(text, parse_constant=pytest.fail)["steps"][0]["tool_calls"][0]["arguments"]["deep"] == ["inf"]
    totals = document(task).final_metrics
    assert totals and (totals.total_prompt_tokens, totals.total_completion_tokens) == (None, None)


def test_no_session_ends_for_want_of_its_record(task: Task) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Trajectory(task, "claude") as trajectory:
        trajectory.user("one")
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1500, before[1]))
            for _ in range(3):
                trajectory.agent("x" * 1000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    found = document(task)
    assert [step.source for step in found.steps] == ["user", "agent"] and "left out" in (found.notes or "")
    try:
        with Trajectory(task, "claude") as trajectory:
            trajectory.user("one" * 400)
            trajectory.agent("two")
            resource.setrlimit(resource.RLIMIT_FSIZE, (1500, before[1]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    left = sorted(path.name for path in task.transcript.parent.iterdir())
    assert left == [STEPS], "where the whole cannot be written the steps stay, and nothing of the session before"


def test_a_killed_session_leaves_its_finished_steps(task: Task) -> None:
    trajectory = Trajectory(task, "claude")
    trajectory.user("one")
    trajectory.agent("two")
    trajectory.agent("three")
    lines = (task.transcript.parent / STEPS).read_text().splitlines()
    assert [json.loads(line)["step_id"] for line in lines] == [1, 2]


def test_the_reader_is_strict() -> None:
    good = {"schema_version": "ATIF-v1.7", "session_id": "s", "agent": {"name": "a", "version": "1"}}
    step = {"step_id": 1, "source": "user", "message": "hi"}
    Document.model_validate({**good, "steps": [step]})
    for bad in (
        {**good, "steps": []},
        {**good, "steps": [{**step, "step_id": 2}]},
        {**good, "steps": [{**step, "model_name": "m"}]},
        {**good, "steps": [{**step, "observation": {"results": [{"source_call_id": "x"}]}}]},
        {**good, "steps": [step], "more": 1},
    ):
        with pytest.raises(ValidationError):
            Document.model_validate(bad)
