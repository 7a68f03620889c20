"""The built-in agents against servers that speak as the services do, well and badly."""

import json
from pathlib import Path
from typing import Any

import pytest

from autoloop.agents.chat.configured import OPENAI, AnthropicAgent, endpoint
from autoloop.agents.make import bare_agent, make_agent
from autoloop.agents.profiles import Profile
from autoloop.agents.wrappers import Retrying
from autoloop.core.session import SessionFailure
from autoloop.errors import AutoloopError
from autoloop.ports import Task
from tests.atif import Document
from tests.http_script import Reply, Scripted, error, serving
from tests.real_git import write
from tests.real_run import Checkout, toml
from tests.services import KINDS, WRITE, Kind, of_openai, session, sse, task_in


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def task(tmp_path: Path) -> Task:
    return task_in(tmp_path)


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


def test_an_error_within_a_stream_is_what_it_says(task: Task) -> None:
    late = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    reply = KINDS["anthropic"].cut
    with serving(Reply([*reply.parts, *sse(late, named=True)])) as server:
        assert session(KINDS["anthropic"], task, server.url).failure is SessionFailure.OVERLOADED
    with serving(Reply([b'data: {"error": {"message": "slow down", "code": 429}}\n\n'])) as server:
        assert session(KINDS["openai"], task, server.url).failure is SessionFailure.RATE_LIMITED


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
