"""What autoloop writes as ATIF is what the format's own validator takes, and our strict reader sides with it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from autoloop.agents.trajectory import WHOLE
from autoloop.core.suite.tasks import Step
from tests.agents.test_clients import RECORDED, Place
from tests.atif import Document
from tests.harbor.conftest import Authority
from tests.http_script import serving
from tests.real_git import write
from tests.real_run import Checkout, toml
from tests.services import KINDS, WRITE, session, task_in
from tests.standins.openai import answering
from tests.standins.server import Turn, standing_in
from tests.suites.proving import Proving, plain, proving, task
from tests.suites.workspace.test_trials_records import own_agent

pytestmark = pytest.mark.harbor
TURNS = [Turn("I look.", "ls -A"), Turn("I write.", "echo hello > out.txt"), Turn("Done.")]


def chatting(here: Proving, **fields: Any) -> None:
    with standing_in(answering(TURNS)) as service:
        here.environ |= {"OPENAI_BASE_URL": f"{service.url}/v1", "OPENAI_API_KEY": "sk-0123456789abcdef01234567"}
        here.take(here.order("openai:some-model", task(plain(), **fields)))


STEPS = tuple(Step(name=name, instruction=f"{name}!", verification=plain("true")) for name in ("one", "two", "three"))
SOLVED = {"commands": ["echo solving; echo hello > out.txt"] * 3}
TRIALS: dict[str, Callable[[Proving], Any]] = {
    "oracle": lambda here: here.run("oracle", task(plain(), solution=SOLVED)),
    "nop": lambda here: here.run("nop", task(plain())),
    "command": lambda here: here.run("echo at work; echo hello > out.txt", task(plain())),
    "silent command": lambda here: here.run("true", task(plain())),
    "odd characters": lambda here: here.run("printf 'a\\0b\\033[1m\\377\\n'; head -c 90000 /dev/zero", task(plain())),
    "failing command": lambda here: here.run("echo bye >&2; exit 3", task(plain("false"))),
    "timeout": lambda here: here.run("echo at it; sleep 20", task(plain("false")), timeout=0.5),
    "chat": chatting,
    "oracle in steps": lambda here: here.run("oracle", task(steps=STEPS, solution=SOLVED)),
    "nop in steps": lambda here: here.run("nop", task(steps=STEPS)),
    "command in steps": lambda here: here.run("echo hello | tee -a out.txt", task(steps=STEPS)),
    "own agent in steps": lambda here: here.take(here.order(own_agent(here, "Talker"), task(steps=STEPS))),
    "chat in steps": lambda here: chatting(here, steps=STEPS),
}


@pytest.mark.parametrize("kind", TRIALS)
def test_a_trial_of_every_kind_leaves_a_valid_trajectory(authority: Authority, tmp_path: Path, kind: str) -> None:
    here = Proving(tmp_path)
    TRIALS[kind](here)
    assert authority.refuses(here.directory / WHOLE) == ""
    told = json.loads((here.directory / WHOLE).read_bytes())
    Document.model_validate(told)
    packets = [step for step in told["steps"] if step["source"] == "user"]
    assert len(packets) >= (3 if "steps" in kind else 1)


def test_a_model_in_the_sandbox_leaves_a_valid_trajectory(authority: Authority, tmp_path: Path) -> None:
    here = proving(tmp_path, "bwrap")
    chatting(here)
    assert authority.refuses(here.directory / WHOLE) == ""


@pytest.mark.parametrize("name", KINDS)
def test_each_built_in_agent_leaves_a_valid_trajectory(authority: Authority, tmp_path: Path, name: str) -> None:
    kind, given = KINDS[name], task_in(tmp_path)
    with serving(
        kind.tool("write", WRITE), kind.tool("bash", {"command": "cat code.py"}), kind.text("Done.")
    ) as server:
        session(kind, given, server.url)
    assert authority.refuses(given.transcript.parent / WHOLE) == ""


@pytest.mark.parametrize("name", KINDS)
def test_a_session_whose_service_breaks_off_leaves_a_valid_trajectory(
    authority: Authority, tmp_path: Path, name: str
) -> None:
    kind, given = KINDS[name], task_in(tmp_path)
    with serving(*[kind.cut] * 9) as server:
        session(kind, given, server.url)
    assert authority.refuses(given.transcript.parent / WHOLE) == ""


SESSIONS = sorted(file.stem for file in RECORDED.glob("*.jsonl") if "rollout" not in file.stem)


@pytest.mark.parametrize("recording", SESSIONS)
def test_the_recorded_sessions_of_clients_become_valid_trajectories(
    authority: Authority, tmp_path: Path, recording: str
) -> None:
    (tmp_path / "place").mkdir()
    place = Place(tmp_path / "place")
    place.play(recording)
    assert authority.refuses(place.home / "experiments/0001" / WHOLE) == ""


def test_each_session_of_a_run_leaves_a_valid_trajectory(authority: Authority, checkout: Checkout) -> None:
    kind = KINDS["anthropic"]
    work = [kind.tool("write", WRITE), kind.text('Done. <notes>{"hypothesis": "less"}</notes>')]
    with serving(*work, kind.tool("bash", {"command": "cat code.py"}), kind.text("Nothing to do.")) as server:
        profile = {"agent": "anthropic", "model": "some-model", "options": {"base_url": server.url}}
        lines = "".join(f"{name} = {toml(value)}\n" for name, value in profile.items())
        write(checkout.root, {"autoloop.toml": f'default_profile = "api"\n[profiles.api]\n{lines}', ".env": ""})
        write(checkout.root, {".env": "ANTHROPIC_API_KEY=sk-test-key-1\n"})
        checkout.run(limits={"max_experiments": 2})
    assert checkout.reasons == ["improved", "no_candidate"]
    for number in (1, 2):
        assert authority.refuses(checkout.directory.experiment(number) / WHOLE) == ""


GOOD: dict[str, Any] = {
    "schema_version": "ATIF-v1.7",
    "session_id": "s",
    "agent": {"name": "a", "version": "1", "model_name": "m"},
    "steps": [
        {"step_id": 1, "source": "user", "message": "hi", "timestamp": "2026-01-02T03:04:05+00:00"},
        {
            "step_id": 2,
            "source": "agent",
            "message": "I look.",
            "model_name": "m",
            "reasoning_content": "where",
            "tool_calls": [{"tool_call_id": "c", "function_name": "bash", "arguments": {"command": "ls"}}],
            "observation": {"results": [{"source_call_id": "c", "content": "a"}, {"content": "b"}]},
            "metrics": {"prompt_tokens": 3, "completion_tokens": 1, "cached_tokens": 2, "cost_usd": 0.5},
        },
    ],
    "notes": "n",
    "final_metrics": {"total_prompt_tokens": 3, "total_cost_usd": 0.5, "total_steps": 2},
    "extra": {"made_of_output": True},
}


def put(*path: str | int, value: Any) -> dict[str, Any]:
    """The good one with something else at a place; without a value it is gone."""
    changed: Any = json.loads(json.dumps(GOOD))
    at = changed
    for name in path[:-1]:
        at = at[name]
    if value is None:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return changed  # type: ignore[no-any-return]


RESULTS = ("steps", 1, "observation", "results")
CALL = ("steps", 1, "tool_calls", 0)
BROKEN = {
    "an unknown schema": put("schema_version", value="ATIF-v9.9"),
    "no agent": put("agent", value=None),
    "an agent without a name": put("agent", "name", value=None),
    "an agent without a version": put("agent", "version", value=None),
    "no steps": put("steps", value=[]),
    "steps that are missing": put("steps", value=None),
    "a gap": put("steps", 1, "step_id", value=3),
    "steps from 0": put("steps", 0, "step_id", value=0),
    "a step without its number": put("steps", 0, "step_id", value=None),
    "an unknown source": put("steps", 0, "source", value="tool"),
    "a step without a message": put("steps", 0, "message", value=None),
    "a message that is a number": put("steps", 0, "message", value=7),
    "a time that is none": put("steps", 0, "timestamp", value="yesterday"),
    "a user with a model": put("steps", 0, "model_name", value="m"),
    "a user with tool calls": put("steps", 0, "tool_calls", value=[]),
    "a user with metrics": put("steps", 0, "metrics", value={"prompt_tokens": 1}),
    "a user who reasons": put("steps", 0, "reasoning_content", value="x"),
    "an unknown field": put("more", value=1),
    "an unknown field of a step": put("steps", 0, "more", value=1),
    "an unknown field of a call": put(*CALL, "more", value=1),
    "an unknown field of metrics": put("steps", 1, "metrics", "more", value=1),
    "an unknown field of the agent": put("agent", "more", value=1),
    "an unknown field of the totals": put("final_metrics", "more", value=1),
    "a result of another call": put(*RESULTS, 0, "source_call_id", value="other"),
    "a result of a step without calls": put("steps", 1, "tool_calls", value=None),
    "an observation without results": put(*RESULTS, value=None),
    "arguments that are text": put(*CALL, "arguments", value="ls"),
    "a call without an id": put(*CALL, "tool_call_id", value=None),
    "a call without a function": put(*CALL, "function_name", value=None),
    "tokens that are words": put("steps", 1, "metrics", "prompt_tokens", value="many"),
    "half a token": put("steps", 1, "metrics", "prompt_tokens", value=1.5),
    "fewer than no steps": put("final_metrics", "total_steps", value=-1),
    "extra that is a list": put("extra", value=[1]),
    "notes that are a list": put("notes", value=["n"]),
}
STRICTER = {
    "an older schema": put("schema_version", value="ATIF-v1.0"),
    "no session": put("session_id", value=None),
    "fewer than no tokens": put("steps", 1, "metrics", "prompt_tokens", value=-1),
    "a number as text": put("steps", 1, "step_id", value="2"),
    "calls of a model that are counted": put("steps", 1, "llm_call_count", value=1),
}
"""What the format allows, and autoloop never writes."""


def test_our_reader_takes_and_refuses_what_the_formats_own_does(authority: Authority) -> None:
    assert authority.says("trajectory", [GOOD]) == [[]]
    Document.model_validate(GOOD)
    found = authority.says("trajectory", list(BROKEN.values()))
    assert [name for name, errors in zip(BROKEN, found, strict=True) if not errors] == []
    for name, document in BROKEN.items():
        with pytest.raises(ValidationError):
            Document.model_validate(document)
            pytest.fail(f"our reader takes {name}")


def test_where_our_reader_is_stricter_is_known(authority: Authority) -> None:
    assert authority.says("trajectory", list(STRICTER.values())) == [[]] * len(STRICTER)
    for document in STRICTER.values():
        with pytest.raises(ValidationError):
            Document.model_validate(document)
