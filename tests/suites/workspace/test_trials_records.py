"""What stays of a trial."""

import errno
import json
from pathlib import Path

import pytest

from autoloop.agents.trajectory import Call, Trajectory
from autoloop.core.session import Session, Usage
from autoloop.core.suite.tasks import Outcome, Step
from autoloop.ports import OnProgress, Task
from tests.atif import Document
from tests.suites.proving import Proving, plain, task


class Talker:
    """An agent that writes a trajectory of its own, as those with a model do."""

    def run(self, task: Task, on_progress: OnProgress) -> Session:
        with Trajectory(task, "talker", version="1") as trajectory:
            trajectory.user(task.packet)
            usage = Usage(input=10, output=5, cache_read=3)
            calls = [Call("c1", "shell", {"command": "ls"})]
            trajectory.agent("I look first.", model="m-1", calls=calls, usage=usage, cost_usd=0.5)
            trajectory.observe("c1", "nothing")
            trajectory.agent("Done.", message_id="2", usage=usage, cost_usd=0.25)
        (task.tree / "out.txt").write_text("hello\n")
        return Session(seconds=0.1, cost_usd=0.75, tokens=36, turns=2, model="m-1")


class Own:
    """An agent that writes its trajectory by itself."""

    def __init__(self, document: str) -> None:
        self.document = document

    def run(self, task: Task, on_progress: OnProgress) -> Session:
        task.transcript.with_name("trajectory.json").write_text(self.document)
        (task.tree / "out.txt").write_text("hello\n")
        return Session(seconds=0.1, cost_usd=0.75, tokens=36, turns=2)


class Failing:
    """An agent with a bug, or on a machine without room."""

    def __init__(self, full: bool = False) -> None:
        self.full = full

    def run(self, task: Task, on_progress: OnProgress) -> Session:
        raise OSError(errno.ENOSPC, "No space left on device") if self.full else KeyError("oops")


def own_agent(here: Proving, name: str, options: str = "") -> str:
    with (here.root / "autoloop.toml").open("a") as file:
        file.write(f'[profiles.{name}]\nagent = "tests.suites.workspace.test_trials_records:{name}"\n{options}')
    return name


def documents(here: Proving) -> tuple[Document, dict[str, object], list[bytes]]:
    """The trajectory, its index and its steps as lines."""
    (index,) = here.directory.glob("atif/*/*.index.json")
    lines = index.with_name(index.name.replace(".index.json", ".atif.jsonl"))
    whole = Document.model_validate_json((here.directory / "trajectory.json").read_bytes())
    return whole, json.loads(index.read_text()), lines.read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize("profile", ["command", "oracle", "nop"])
def test_each_agent_ends_with_a_trajectory(anywhere: Proving, profile: str) -> None:
    given = task(plain(), solution={"commands": ["echo solving; echo hello > out.txt"]})
    anywhere.run("echo I am at it; echo hello > out.txt" if profile == "command" else profile, given)
    whole, index, lines = documents(anywhere)
    assert [step.source for step in whole.steps] == (["user"] if profile == "nop" else ["user", "agent"])
    assert whole.steps[0].message == "Write hello into out.txt."
    assert whole.final_metrics is not None and whole.final_metrics.total_prompt_tokens is None, "nobody knows"
    assert [json.loads(line)["step_id"] for line in lines] == list(range(1, len(whole.steps) + 1))
    assert (index["steps"], index["session_id"]) == (len(lines), whole.session_id)


def test_what_an_agent_records_itself_is_kept_and_counted(anywhere: Proving) -> None:
    steps = tuple(Step(name=name, instruction=f"{name}!", verification=plain()) for name in ("one", "two"))
    result = anywhere.take(anywhere.order(own_agent(anywhere, "Talker"), task(steps=steps)))
    assert result.passed and (result.actions, result.turns, result.cost_usd, result.tokens) == (2, 4, 1.5, 72)
    assert result.model == "m-1"
    whole, index, lines = documents(anywhere)
    assert [step.message for step in whole.steps] == [
        told for name in ("one!", "two!") for told in (name, "I look first.", "Done.")
    ]
    assert whole.final_metrics is not None and whole.final_metrics.total_cost_usd == 1.5
    assert whole.final_metrics.total_prompt_tokens == 52 and whole.final_metrics.total_steps == 6
    offsets = index["offsets"]
    assert isinstance(offsets, list) and offsets[2] == len(lines[0]) + len(lines[1])
    assert anywhere.record("output.txt").startswith('I look first.\n> shell {"command": "ls"}\nnothing\nDone.\n')


WHOLE = {
    "schema_version": "ATIF-v1.7", "session_id": "own", "agent": {"name": "own", "version": "2"},
    "steps": [{"step_id": 1, "source": "agent", "message": "Hi."}],
    "final_metrics": {"total_steps": 1, "total_cost_usd": None, "extra": {"mine": True}},
}  # fmt: skip


@pytest.mark.parametrize(
    "told",
    [
        {}, [], "text", {**WHOLE, "steps": []}, {**WHOLE, "steps": 3}, {**WHOLE, "steps": ["x"]},
        {**WHOLE, "steps": [{"step_id": 1}]}, {**WHOLE, "steps": [{"source": "agent", "message": "", "tool_calls": 3}]},
        {**WHOLE, "final_metrics": {"total_steps": "one"}},
    ],
)  # fmt: skip
def test_a_trajectory_that_is_none_takes_nothing_from_the_trial(tmp_path: Path, told: object) -> None:
    here = Proving(tmp_path)
    profile = own_agent(here, "Own", f"options = {{ document = {json.dumps(json.dumps(told))} }}\n")
    result = here.take(here.order(profile, task(plain())))
    assert result.passed and result.turns == 2
    whole, _, _ = documents(here)
    assert [step.message for step in whole.steps] == ["Write hello into out.txt."], "one is made in its place"


def test_what_an_agent_adds_to_its_trajectory_is_kept(tmp_path: Path) -> None:
    here = Proving(tmp_path)
    steps = tuple(Step(name=name, instruction=f"{name}!", verification=plain()) for name in ("one", "two"))
    profile = own_agent(here, "Own", f"options = {{ document = {json.dumps(json.dumps(WHOLE))} }}\n")
    assert here.take(here.order(profile, task(steps=steps))).passed
    whole, _, _ = documents(here)
    assert whole.agent.name == "own" and [step.step_id for step in whole.steps] == [1, 2]
    assert whole.final_metrics is not None and whole.final_metrics.total_steps == 2
    assert whole.final_metrics.extra == {"mine": True}


def test_an_agent_with_a_bug_is_an_error_with_its_traceback(anywhere: Proving) -> None:
    result = anywhere.take(anywhere.order(own_agent(anywhere, "Failing"), task(plain())))
    assert (result.outcome, result.failure_mode, result.reward) == (Outcome.ERROR, "fault", None)
    assert "KeyError: 'oops'" in result.detail and "Traceback" in anywhere.record("error.txt")


def test_a_full_disk_is_an_error(anywhere: Proving) -> None:
    profile = own_agent(anywhere, "Failing", "options = { full = true }\n")
    result = anywhere.take(anywhere.order(profile, task(plain())))
    assert (result.outcome, result.failure_mode) == (Outcome.ERROR, "disk_full")
    assert "No space left" in result.detail


@pytest.mark.parametrize(("keep", "kept"), [("failed", (False, True)), ("all", (True, True)), ("none", (False, False))])
def test_workspaces_are_kept_as_the_order_says(tmp_path: Path, keep: str, kept: tuple[bool, bool]) -> None:
    here = Proving(tmp_path)
    for command, stays in zip(("echo hello > out.txt", "echo bye > out.txt"), kept, strict=True):
        result = here.run(command, task(plain()), keep=keep)
        assert (here.directory / "workspace/out.txt").exists() is stays
        assert result.workspace == ("iterations/001/hello/workspace" if stays else "")
        assert not (here.directory / ".work").exists()
    assert not (here.directory / "error.txt").exists()


def test_what_is_said_at_length_is_bounded(tmp_path: Path) -> None:
    here = Proving(tmp_path)
    much = "head -c 1300000 /dev/zero | tr '\\0' x | fold -w 1000"
    here.run(much, task(plain(f"{much}; false")))
    for name in ("output.txt", "verification.txt"):
        assert 200_000 < len(here.record(name)) < 1_100_000 and "left out" in here.record(name)
    documents(here)


def test_a_profiles_prompt_is_what_its_agent_is_told(tmp_path: Path) -> None:
    here = Proving(tmp_path)
    (here.root / "prompt.md").write_text("Think twice. $instruction Costs $$5.\n")
    (here.root / "wrong.md").write_text("Think of $nothing.\n")
    profile = here.profile('cat "$AUTOLOOP_PACKET"', prompt="prompt.md")
    here.take(here.order(profile, task(plain())))
    assert here.record("output.txt") == "Think twice. Write hello into out.txt. Costs $5.\n"
    wrong = here.take(here.order(here.profile("true", "w", prompt="wrong.md"), task(plain())))
    assert wrong.outcome is Outcome.ERROR and "$instruction" in here.record("error.txt")
