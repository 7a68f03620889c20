"""The built-in agents against servers that speak as the services do, well and badly."""

import json
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from autoloop.agents.chat.configured import OPENAI, AnthropicAgent, endpoint
from autoloop.agents.making import bare_agent, make_agent
from autoloop.agents.wrappers import Retrying
from autoloop.core.program import Limits
from autoloop.core.session import Session, SessionFailure
from autoloop.core.usage import Usage
from autoloop.errors import AutoloopError
from autoloop.ports import Cell, Task
from autoloop.profiles import Profile
from autoloop.sandbox.none import NoSandbox
from tests.atif import Document
from tests.fakes import program
from tests.http_script import Reply, Scripted, error, serving
from tests.real_git import write
from tests.real_run import Checkout, toml

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


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def task(tmp_path: Path) -> Task:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "code.py").write_text("x = 100\n")
    return Task(
        packet="lower x",
        packet_path=tmp_path / "packet.md",
        tree=tree,
        run_id="run-1",
        program=program(),
        experiment=1,
        seed=1,
        limits=Limits(max_turns=20, agent_timeout=60_000, agent_idle_timeout=2_000),
        history=lambda: [],
        transcript=tmp_path / "experiments/0001/session.jsonl",
        cancelled=lambda: False,
        sandbox=NoSandbox(),
        cell=Cell(tree=tree, home=tmp_path / "private"),
    )


def session(kind: Kind, task: Task, url: str, **options: Any) -> Session:
    profile, environ = kind.profile(url, **options)
    return bare_agent(profile, task.tree, environ).run(task, lambda sign: None)


def test_a_change_is_made_and_counted(kind: Kind, task: Task) -> None:
    with serving(kind.tool("write", WRITE), kind.text("Done.\n<notes>{}</notes>")) as server:
        done = session(kind, task, server.url)
    assert (done.failure, done.detail, done.turns) == (None, "", 2)
    assert (task.tree / "code.py").read_text() == "x = 1\n"
    assert done.usage == kind.usage + kind.usage
    assert done.model.startswith("some-model") and done.cost_usd is None
    assert "Done." in done.text
    first, second = server.bodies()
    assert "lower x" in json.dumps(first) and "code.py is written" in json.dumps(second)
    assert {"bash", "view", "edit", "write"} <= set(names_of(first["tools"]))


def names_of(tools: list[dict[str, Any]]) -> list[str]:
    return [tool.get("name") or tool["function"]["name"] for tool in tools]


def test_each_service_is_asked_as_it_wants_to_be(task: Task) -> None:
    asked: dict[str, Scripted] = {}
    for name, kind in KINDS.items():
        with serving(kind.text("ok")) as server:
            session(kind, task, server.url)
        asked[name] = server
    path, headers, body = asked["anthropic"].requests[0]
    assert path == "/v1/messages"
    assert "sk-test-key-1" in headers.get("x-api-key", "") + headers.get("authorization", "")
    assert body["system"][0]["cache_control"] == body["messages"][-1]["content"][-1]["cache_control"]
    path, headers, body = asked["openai"].requests[0]
    assert (path, headers["authorization"]) == ("/v1/chat/completions", "Bearer sk-test-key-1")
    assert body["stream"] and body["stream_options"] == {"include_usage": True}
    path, headers, body = asked["ollama"].requests[0]
    assert (path, body["options"]) == ("/api/chat", {"num_ctx": 32_768})


def test_effort_reaches_each_service_by_the_name_that_it_has_there(task: Task) -> None:
    where = {"anthropic": ("output_config", {"effort": "low"}), "openai": ("reasoning_effort", "low")}
    for name, (field, value) in {**where, "ollama": ("think", "low")}.items():
        with serving(KINDS[name].text("ok")) as server:
            profile, environ = KINDS[name].profile(server.url)
            bare_agent(profile.model_copy(update={"effort": "low"}), task.tree, environ).run(task, lambda sign: None)
        assert server.bodies()[0][field] == value
    wrong = refusal(task, {}, agent="ollama", model="m", effort="xhigh").message
    assert wrong == 'profile "p": effort is "xhigh"; Ollama knows on, off, low, medium, high'


def test_a_call_whose_arguments_are_no_json_is_told_so_and_can_be_sent_back(task: Task) -> None:
    kind = KINDS["openai"]
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "write", "arguments": '{"path": "a'}}
    with serving(of_openai([{"tool_calls": [call]}], "tool_calls"), kind.text("Done.")) as server:
        assert session(kind, task, server.url).failure is None
    *_, said, result = server.bodies()[1]["messages"]
    assert said["tool_calls"][0]["function"]["arguments"] == "{}" and "needs a text 'path'" in result["content"]


FAULTS: Mapping[str, tuple[Reply, SessionFailure]] = {
    "401": (error(401, "invalid key"), SessionFailure.NOT_SIGNED_IN),
    "quota": (error(429, "You exceeded your current quota (insufficient_quota)"), SessionFailure.OUT_OF_QUOTA),
    "429": (error(429, "slow down", **{"retry-after": "30"}), SessionFailure.RATE_LIMITED),
    "503": (error(503, "busy"), SessionFailure.OVERLOADED),
    "529": (error(529, "overloaded"), SessionFailure.OVERLOADED),
    "too long": (error(400, "prompt is too long: 300000 tokens > 200000 maximum"), SessionFailure.CONTEXT_TOO_LONG),
    "unknown model": (error(404, "model not found"), SessionFailure.UNREACHABLE),
    "hang": (Reply(hang_before=True), SessionFailure.IDLE),
    "hang in the middle": (Reply([b": ping\n\n"], hang_after=True), SessionFailure.IDLE),
    "web page": (Reply([b"<html>hi</html>"], headers={"content-type": "text/html"}), SessionFailure.MALFORMED),
    "nonsense": (Reply([b"data: {nonsense\n\n", b"{nonsense\n"]), SessionFailure.MALFORMED),
    "nothing": (Reply([]), SessionFailure.MALFORMED),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_ends_the_session_in_time_with_its_reason(kind: Kind, task: Task, fault: str) -> None:
    reply, failure = FAULTS[fault]
    if fault == "hang in the middle":
        reply = Reply(kind.cut.parts[:2], headers=kind.cut.headers, hang_after=True)
    began = time.monotonic()
    with serving(reply) as server:
        done = session(kind, task, server.url)
    assert done.failure is failure, done.detail
    assert done.detail and time.monotonic() - began < 30
    if fault == "429":
        assert done.retry_at is not None and 20 < done.retry_at - time.time() < 31


def test_a_stream_that_is_cut_is_no_answer(kind: Kind, task: Task) -> None:
    with serving(kind.cut) as server:
        assert session(kind, task, server.url).failure is SessionFailure.MALFORMED


def test_an_error_within_a_stream_is_what_it_says(task: Task) -> None:
    late = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    reply = KINDS["anthropic"].cut
    with serving(Reply([*reply.parts, *sse(late, named=True)])) as server:
        assert session(KINDS["anthropic"], task, server.url).failure is SessionFailure.OVERLOADED
    with serving(Reply([b'data: {"error": {"message": "slow down", "code": 429}}\n\n'])) as server:
        assert session(KINDS["openai"], task, server.url).failure is SessionFailure.RATE_LIMITED


def test_nobody_there_is_said_with_the_address(kind: Kind, task: Task) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    done = session(kind, task, f"http://127.0.0.1:{port}")
    assert done.failure is SessionFailure.UNREACHABLE and str(port) in done.detail


@pytest.mark.parametrize("name", ["openai", "ollama"])
def test_a_model_without_tools_is_asked_in_words(task: Task, name: str) -> None:
    kind = KINDS[name]
    block = "```tool\n" + json.dumps({"name": "write", "arguments": WRITE}) + "\n```"
    refusal = error(400, "some-model does not support tools")
    with serving(refusal, kind.text(block), kind.text("Done.")) as server:
        done = session(kind, task, server.url)
    assert done.failure is None and (task.tree / "code.py").read_text() == "x = 1\n"
    assert ["tools" in body for body in server.bodies()] == [True, False, False]


def test_a_conversation_that_fills_the_context_of_ollama_is_ended(task: Task) -> None:
    kind = KINDS["ollama"]
    with serving(kind.text("half of what was asked")) as server:
        assert session(kind, task, server.url, num_ctx=65).failure is SessionFailure.CONTEXT_TOO_LONG
    with serving() as server:
        assert session(kind, task, server.url, num_ctx=20).failure is SessionFailure.CONTEXT_TOO_LONG
        assert server.requests == []


def test_only_a_service_that_passes_on_errors_is_waited_for(task: Task) -> None:
    profile, environ = KINDS["openai"].profile("http://127.0.0.1:1")
    assert isinstance(make_agent(profile, task.tree, environ), Retrying)


def refusal(task: Task, environ: dict[str, str], **fields: Any) -> AutoloopError:
    with pytest.raises(AutoloopError) as refused:
        bare_agent(Profile(name="p", **fields), task.tree, environ)
    return refused.value


def test_what_is_missing_is_said_before_anything_starts(task: Task) -> None:
    assert "ANTHROPIC_API_KEY" in refusal(task, {}, agent="anthropic").message
    assert "OPENAI_API_KEY" in refusal(task, {}, agent="openai", model="m").message
    assert "which model" in refusal(task, {}, agent="ollama").message
    wrong = refusal(task, {}, agent="ollama", model="m", options={"num_ctxs": 5})
    assert 'did you mean "num_ctx"' in wrong.message
    assert "allowed: int" in refusal(task, {}, agent="ollama", model="m", options={"num_ctx": "5"}).message


def test_where_ollama_is_may_be_said_in_three_ways() -> None:
    assert endpoint({}) == "http://127.0.0.1:11434"
    assert endpoint({"OLLAMA_HOST": "box:1"}) == "http://box:1"
    assert endpoint({"OLLAMA_ENDPOINT": "https://a", "OLLAMA_HOST": "b"}) == "https://a"
    assert OPENAI.startswith("https://") and "base_url" in AnthropicAgent.options


def test_a_run_with_a_built_in_agent_keeps_what_is_better(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOLOOP_SANDBOX", "auto")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test-key-1")
    kind = KINDS["anthropic"]
    work = [kind.tool("write", WRITE), kind.text('Done. <notes>{"hypothesis": "less"}</notes>')]
    look = [kind.tool("bash", {"command": "env; cat ../../.ssh/id_rsa; ls -a ~"}), kind.text("Nothing to do.")]
    secret = Path.home() / ".ssh/id_rsa"
    secret.parent.mkdir()
    secret.write_text("very private")
    with serving(*work, *look) as server:
        profile = {"agent": "anthropic", "model": "claude-opus-5-5", "options": {"base_url": server.url}}
        settings = "".join(f"{name} = {toml(value)}\n" for name, value in profile.items())
        write(checkout.root, {"autoloop.toml": f'default_profile = "api"\n[profiles.api]\n{settings}'})
        checkout.run(limits={"max_experiments": 2})
    assert checkout.reasons == ["improved", "no_candidate"]
    assert checkout.row(1).cost_usd is None
    told = json.dumps(server.bodies()[-1])
    assert "AUTOLOOP_RUN=" in told
    assert "ANTHROPIC" not in told and "sk-test" not in told
    if checkout.status()["sandbox"] != "none":
        assert "very private" not in told
    whole = checkout.directory.experiment(1) / "trajectory.json"
    assert [step.source for step in Document.model_validate_json(whole.read_bytes()).steps][:2] == ["system", "user"]
