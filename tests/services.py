"""Services as the built-in agents know them: how each speaks, and one session with it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoloop.agents.make import bare_agent
from autoloop.agents.prices import Price
from autoloop.agents.profiles import Profile
from autoloop.core.run.program import Limits
from autoloop.core.session import Session, Usage
from autoloop.ports import Cell, Goal, Task
from autoloop.sandbox.none import NoSandbox
from tests.fakes import program
from tests.http_script import Reply

WRITE = {"path": "code.py", "text": "x = 1\n"}


@dataclass(frozen=True)
class Kind:
    """One service: how its answers look, and how an agent is led to it."""

    agent: str
    text: Callable[[str], Reply]
    tool: Callable[[str, dict[str, Any]], Reply]
    cut: Reply
    """A stream that ends in the middle."""
    usage: Usage
    """Of each answer."""

    def profile(self, url: str, **options: Any) -> tuple[Profile, dict[str, str]]:
        base = f"{url}/v1" if self.agent == "openai" else url
        chosen = {"base_url": base, **options}
        environ = {"PATH": "/usr/bin:/bin", "ANTHROPIC_API_KEY": "sk-test-key-1", "OPENAI_API_KEY": "sk-test-key-1"}
        return Profile(name="p", agent=self.agent, model="some-model", options=chosen), environ


def sse(*events: dict[str, Any], named: bool = False) -> list[bytes]:
    lines = []
    for event in events:
        head = f"event: {event['type']}\n" if named else ""
        lines.append(f"{head}data: {json.dumps(event)}\n\n".encode())
    return lines


def of_anthropic(block: dict[str, Any], deltas: list[dict[str, Any]], stop: str | None) -> Reply:
    used = {
        "input_tokens": 10, "cache_read_input_tokens": 30, "cache_creation_input_tokens": 20, "output_tokens": 1,
    }  # fmt: skip
    message = {
        "id": "m1", "type": "message", "role": "assistant", "model": "some-model-20260101", "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": used,
    }  # fmt: skip
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
    ]
    if stop:
        ending = {"stop_reason": stop, "stop_sequence": None}
        events += [
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": ending, "usage": {"output_tokens": 5}},
            {"type": "message_stop"},
        ]
    return Reply(sse(*events, named=True))


def anthropic_text(text: str) -> Reply:
    return of_anthropic({"type": "text", "text": ""}, [{"type": "text_delta", "text": text}], "end_turn")


def anthropic_tool(name: str, arguments: dict[str, Any]) -> Reply:
    block = {"type": "tool_use", "id": "toolu_1", "name": name, "input": {}}
    whole = json.dumps(arguments)
    deltas = [{"type": "input_json_delta", "partial_json": part} for part in (whole[:9], whole[9:])]
    return of_anthropic(block, deltas, "tool_use")


def of_openai(deltas: list[dict[str, Any]], finish: str | None) -> Reply:
    chunks: list[dict[str, Any]] = [
        {"model": "some-model-2026-01-01", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        for delta in deltas
    ]
    if finish is None:
        return Reply(sse(*chunks))
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    used = {"prompt_tokens": 60, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 50}}
    return Reply([*sse(*chunks, {"choices": [], "usage": used}), b"data: [DONE]\n\n"])


def openai_text(text: str) -> Reply:
    return of_openai([{"role": "assistant", "content": text[:3]}, {"content": text[3:]}], "stop")


def openai_tool(name: str, arguments: dict[str, Any]) -> Reply:
    whole = json.dumps(arguments)
    first = {"index": 0, "id": "c1", "type": "function", "function": {"name": name, "arguments": whole[:7]}}
    rest = {"index": 0, "function": {"arguments": whole[7:]}}
    return of_openai([{"tool_calls": [first]}, {"tool_calls": [rest]}], "tool_calls")


def of_ollama(message: dict[str, Any], *, done: bool = True) -> Reply:
    lines: list[dict[str, Any]] = [{"model": "some-model", "message": {"role": "assistant", **message}, "done": False}]
    if done:
        last = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"}
        lines.append({"model": "some-model", **last, "prompt_eval_count": 60, "eval_count": 5})
    return Reply(
        [json.dumps(line).encode() + b"\n" for line in lines], headers={"content-type": "application/x-ndjson"}
    )


def ollama_tool(name: str, arguments: dict[str, Any]) -> Reply:
    return of_ollama({"content": "", "tool_calls": [{"function": {"name": name, "arguments": arguments}}]})


KINDS = {
    "anthropic": Kind(
        "anthropic",
        anthropic_text,
        anthropic_tool,
        of_anthropic({"type": "text", "text": ""}, [{"type": "text_delta", "text": "half"}], None),
        Usage(input=10, output=5, cache_read=30, cache_write=20),
    ),
    "openai": Kind(
        "openai",
        openai_text,
        openai_tool,
        of_openai([{"content": "half"}], None),
        Usage(input=10, output=5, cache_read=50),
    ),
    "ollama": Kind(
        "ollama",
        lambda text: of_ollama({"content": text}),
        ollama_tool,
        of_ollama({"content": "half"}, done=False),
        Usage(input=60, output=5),
    ),
}


def task_in(place: Path) -> Task:
    """A tree with one file, and what a session in it is given."""
    tree = place / "tree"
    tree.mkdir()
    (tree / "code.py").write_text("x = 100\n")
    return Task(
        packet="lower x",
        packet_path=place / "packet.md",
        tree=tree,
        run_id=place.name,
        goal=Goal.of(program()),
        experiment=1,
        seed=1,
        limits=Limits(max_turns=20, agent_timeout=60_000, agent_idle_timeout=2_000),
        history=lambda: [],
        transcript=place / "experiments/0001/session.jsonl",
        cancelled=lambda: False,
        sandbox=NoSandbox(),
        cell=Cell(tree=tree, home=place / "private"),
    )


def session(kind: Kind, task: Task, url: str, *, prices: Mapping[str, Price] | None = None, **options: Any) -> Session:
    """One session with the service at an address."""
    profile, environ = kind.profile(url, **options)
    profile = profile.model_copy(update={"prices": prices or {}})
    return bare_agent(profile, task.tree, environ).run(task, lambda sign: None)
