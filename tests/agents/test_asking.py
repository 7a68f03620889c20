"""Whether a model answers: one question to each service that the built-in agents know, and what may come of it."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from autoloop.agents.probe import AskedModel, ask
from autoloop.agents.profiles import Profile
from tests.http_script import Reply, Scripted, error, serving
from tests.services import KINDS, Kind

every = pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))


def asked(kind: Kind, *replies: Reply, patience: float = 10.0) -> tuple[AskedModel, Scripted]:
    with serving(*replies) as service:
        profile, environ = kind.profile(service.url)
        found = ask(profile, Path("/"), environ, patience)
    assert found is not None
    return found, service


@every
def test_a_model_that_answers_is_asked_once_and_for_little(kind: Kind) -> None:
    found, service = asked(kind, kind.text("Yes."))
    assert not found.problem and len(service.requests) == 1
    (body,) = service.bodies()
    assert len(body["messages"]) == 1 and len(str(body["messages"])) < 100 and "tools" not in body
    longest = {"anthropic": body.get("max_tokens"), "ollama": body.get("options", {}).get("num_predict"), "openai": 1}
    assert longest[kind.agent] == 1


def test_of_a_long_answer_one_token_is_waited_for() -> None:
    kind = KINDS["openai"]
    whole = kind.text("a long answer")
    found, _ = asked(kind, replace(whole, parts=whole.parts[:1], hang_after=True))
    assert not found.problem and found.seconds < 5


@every
def test_a_key_that_is_refused_is_said_with_where_it_stands(kind: Kind) -> None:
    found, _ = asked(kind, error(401, "invalid x-api-key: sk-test-key-1"))
    assert "HTTP 401" in found.problem and "sk-test-key-1" not in found.problem
    assert {"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY", "ollama": "Fix"}[kind.agent] in found.remedy


@every
def test_a_model_that_the_service_does_not_know_is_named_as_the_fault(kind: Kind) -> None:
    found, _ = asked(kind, error(404, "model 'some-model' not found"))
    assert "some-model" in found.problem and "model's name" in found.remedy and not found.passes


@every
@pytest.mark.parametrize("hangs", ["before", "after"])
def test_a_service_that_hangs_is_given_up(kind: Kind, hangs: str) -> None:
    began = time.monotonic()
    silent = Reply(hang_before=True) if hangs == "before" else Reply([b"\n"], hang_after=True)
    found, _ = asked(kind, silent, patience=0.5)
    assert found.problem == "no token came within 0.5 s" and "--no-preflight" in found.remedy
    assert time.monotonic() - began < 5


@every
@pytest.mark.parametrize("status", [429, 529])
def test_a_service_short_of_breath_is_there(kind: Kind, status: int) -> None:
    found, _ = asked(kind, error(status, "slow down"))
    assert found.passes and found.problem


@every
def test_what_is_no_answer_is_none(kind: Kind) -> None:
    found, _ = asked(kind, Reply([b"<html>a proxy</html>"], headers={"content-type": "text/html"}))
    assert found.problem and not found.passes


@every
def test_nobody_at_the_address_is_said(kind: Kind) -> None:
    profile, environ = kind.profile("http://127.0.0.1:9")
    found = ask(profile, Path("/"), environ, 5.0)
    assert found is not None and found.problem and "address" in found.remedy


def test_who_is_no_built_in_agent_is_not_asked(tmp_path: Path) -> None:
    profile = Profile(name="mine", agent="command", command="touch called")
    assert ask(profile, tmp_path, {"PATH": "/usr/bin:/bin"}, 1.0) is None
    assert not (tmp_path / "called").exists()
