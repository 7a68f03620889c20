"""Clients as autoloop sees them: recorded event streams, played by programs of the clients' names."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autoloop.agents.claude import ClaudeAgent
from autoloop.agents.client import ClientAgent
from autoloop.agents.client_programs import CLIENTS
from autoloop.agents.codex import CodexAgent
from autoloop.agents.error_texts import failure_of
from autoloop.agents.make import bare_agent
from autoloop.agents.opencode import OpencodeAgent
from autoloop.agents.probe import probe
from autoloop.agents.profiles import Profile
from autoloop.core.run.program import Direction, Limits
from autoloop.core.session import Session, SessionFailure, Usage
from autoloop.errors import AutoloopError
from autoloop.ports import Cell, Goal, Left, Progress, Task
from autoloop.sandbox.none import NoSandbox
from tests.atif import Document

RECORDED = Path(__file__).parent.parent / "data/clients"
"""Standard output of the real clients, cut to what is read; stand-ins answered them."""


class Place:
    """A tree, and programs of the clients' names in PATH."""

    def __init__(self, home: Path) -> None:
        self.home, self.tree, self.bin = home, home / "tree", home / "bin"
        self.tree.mkdir()
        self.bin.mkdir()
        self.seen: list[Progress] = []
        self.environ = {"PATH": f"{self.bin}:/usr/bin:/bin", "HOME": str(home), "ANTHROPIC_API_KEY": "sk-ant-secret-1"}

    def install(self, name: str, script: str) -> None:
        program = self.bin / name
        program.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" > {self.home}/words\nenv > {self.home}/env\n{script}\n")
        program.chmod(0o755)

    def play(self, recording: str, code: int = 0, **fields: Any) -> Session:
        name = recording.partition("-")[0]
        self.install(name, f"cat {RECORDED / recording}.jsonl; exit {code}")
        return self.session(name, **fields)

    def session(
        self, name: str, profile: dict[str, Any] | None = None, *, patience: float = 60.0, **fields: Any
    ) -> Session:
        task = Task(
            packet="Lower x.",
            packet_path=self.home / "packet.md",
            tree=self.tree,
            run_id="run-1",
            goal=Goal("p", Direction.LOWER),
            experiment=1,
            seed=1,
            limits=Limits(max_turns=9, agent_timeout=20_000, agent_idle_timeout=10_000),
            history=lambda: [],
            transcript=self.home / "experiments/0001/session.jsonl",
            cancelled=lambda: False,
            sandbox=NoSandbox(),
            cell=Cell(tree=self.tree, home=self.home / "private"),
        )
        chosen = Profile(name="p", agent=name, **(profile or {}))
        agent = bare_agent(chosen, self.tree, self.environ)
        assert isinstance(agent, ClientAgent)
        return replace(agent, patience=patience).run(replace(task, **fields), self.seen.append)

    def trajectory(self) -> Document:
        return Document.model_validate_json((self.home / "experiments/0001/trajectory.json").read_bytes())

    def words(self) -> list[str]:
        return (self.home / "words").read_text().splitlines()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    folder = tmp_path / "place"
    folder.mkdir()
    return Place(folder)


@pytest.mark.parametrize("recording", ["claude-partial", "opencode-works"])
def test_calls_that_a_client_makes_are_told_while_it_works(place: Place, recording: str) -> None:
    told: list[int] = []
    name, lines = recording.partition("-")[0], RECORDED / f"{recording}.jsonl"
    half = len(lines.read_text().splitlines()) // 2
    place.install(name, f"head -n {half} {lines}; sleep 1; tail -n +{half + 1} {lines}")
    session = place.session(name, calls_made=told.append)
    assert told == sorted(told) and session.turns is not None
    assert any(0 < calls < session.turns for calls in told), "before its end"


@pytest.mark.parametrize(
    ("client", "usage", "cost", "model"),
    [
        ("claude", Usage(input=300, output=150, cache_read=3000, cache_write=600), 0.0063, "claude-sonnet-4-5"),
        ("codex", Usage(input=900, output=150, cache_read=3000), None, ""),
        ("opencode", Usage(input=900, output=150, cache_read=3000), 0.00585, ""),
    ],
)
def test_a_session_is_read_from_its_events(
    place: Place, client: str, usage: Usage, cost: float | None, model: str
) -> None:
    session = place.play(f"{client}-works")
    assert (session.failure, session.detail, session.turns, session.model) == (None, "", 3, model)
    assert (session.usage, session.tokens) == (usage, 4050)
    assert session.cost_usd == (cost if cost is None else pytest.approx(cost))
    assert session.text.startswith("I look.\n") and '<notes>{"hypothesis": "less"}</notes>' in session.text
    shown = [sign.text for sign in place.seen]
    assert any(text.startswith("$ ") and "cat code.py" in text for text in shown)
    steps = place.trajectory().steps
    calls = [call.arguments["command"] for step in steps for call in step.tool_calls or ()]
    seen = [result.content for step in steps if step.observation for result in step.observation.results]
    assert len(calls) == 2 and "cat code.py" in calls[0] and "echo 'x = 1' > code.py" in calls[1]
    assert any(content and "x = 100" in content for content in seen)
    raw = [json.loads(line)["text"] for line in (place.home / "experiments/0001/session.jsonl").open()]
    assert raw == (RECORDED / f"{client}-works.jsonl").read_text().splitlines()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_rejected_key_is_told_whatever_the_exit_code(place: Place, client: str) -> None:
    for code in (0, 1):
        session = place.play(f"{client}-401", code)
        assert session.failure is SessionFailure.NOT_SIGNED_IN and "Invalid API key" in session.detail


@pytest.mark.parametrize("client", CLIENTS)
def test_turns_that_run_out_are_told(place: Place, client: str) -> None:
    session = place.play(f"{client}-turns", 1, limits=Limits(max_turns=2))
    assert session.failure is SessionFailure.TURNS and "max_turns" in session.detail


def test_a_client_that_counts_nothing_is_ended_at_its_limit(place: Place) -> None:
    lines = (RECORDED / "codex-works.jsonl").read_text().splitlines()
    used = [line for line in lines if "command_execution" in line and "completed" in line]
    (place.home / "events").write_text("\n".join(used * 9) + "\n")
    place.install("codex", f"cat {place.home}/events; sleep 60")
    began = time.monotonic()
    session = place.session("codex", limits=Limits(max_turns=3))
    assert session.failure is SessionFailure.TURNS and time.monotonic() - began < 20


def test_what_is_no_event_or_an_unknown_one_does_no_harm(place: Place) -> None:
    odd = [
        "plain words",
        "{broken",
        "[1, 2]",
        '{"type": "assistant"}',
        '{"type": "result", "total_cost_usd": 0.5}',
        "\x00",
    ]
    (place.home / "events").write_text("\n".join(odd) + "\n")
    place.install("claude", f"cat {place.home}/events")
    session = place.session("claude")
    assert (session.failure, session.cost_usd) == (None, 0.5)
    assert "plain words" in session.text


def test_a_client_that_dies_is_told_by_its_last_words(place: Place) -> None:
    place.install("claude", "echo 'Not logged in. Please run /login' >&2; exit 1")
    assert place.session("claude").failure is SessionFailure.NOT_SIGNED_IN
    place.install("claude", "echo 'unknown option --frob' >&2; exit 1")
    session = place.session("claude")
    assert session.failure is SessionFailure.EXITED and "--frob" in session.detail
    assert place.session("codex").failure is SessionFailure.NOT_INSTALLED


@pytest.mark.parametrize("client", CLIENTS)
def test_what_the_model_spoke_of_is_not_what_went_wrong(place: Place, client: str) -> None:
    said = "I fixed the unauthorized billing requests; the rate limit timed out."
    events = (RECORDED / f"{client}-works.jsonl").read_text().replace("I write.", said).splitlines()
    last = next(number for number, line in enumerate(events) if said in line)
    (place.home / "events").write_text("\n".join(events[: last + 1]) + "\n")
    place.install(client, f"cat {place.home}/events; echo 'invalid api key in the test of the billing' >&2; kill -9 $$")
    session = place.session(client)
    assert session.failure is SessionFailure.EXITED and "invalid api key in the test" in session.detail


def test_a_client_that_never_began_is_told_by_its_last_line(place: Place) -> None:
    place.install("codex", "echo 'starting' >&2; echo 'Error: not logged in' >&2; exit 1")
    session = place.session("codex")
    assert (session.failure, session.detail) == (SessionFailure.NOT_SIGNED_IN, "Error: not logged in")


def test_a_key_in_an_error_is_not_repeated(place: Place) -> None:
    place.install("codex", "echo 'Incorrect API key provided: sk-ant-secret-1' >&2; exit 1")
    session = place.session("codex")
    assert session.failure is SessionFailure.NOT_SIGNED_IN and "sk-ant-secret-1" not in session.detail
    said = {"type": "turn.failed", "error": {"message": "401: the key sk-ant-secret-1 is not valid"}}
    place.install("codex", f"echo '{json.dumps(said)}'; exit 1")
    assert place.session("codex").detail == "401: the key [redacted] is not valid"


def test_a_silent_client_is_asked_to_end_first(place: Place) -> None:
    place.install("claude", f"trap 'echo asked > {place.home}/asked; exit 1' INT; while :; do sleep 0.1; done")
    session = place.session("claude", limits=Limits(agent_idle_timeout=500))
    assert session.failure is SessionFailure.IDLE and "agent_idle_timeout" in session.detail
    assert (place.home / "asked").read_text() == "asked\n"


def test_a_client_that_waits_for_its_service_is_not_called_idle(place: Place) -> None:
    retry = {
        "type": "system",
        "subtype": "api_retry",
        "error_status": 429,
        "error": "rate_limit",
        "retry_delay_ms": 9e6,
    }
    (place.home / "events").write_text(json.dumps(retry) + "\n")
    place.install("claude", f"cat {place.home}/events; sleep 60")
    session = place.session("claude", limits=Limits(agent_idle_timeout=500))
    assert session.failure is SessionFailure.RATE_LIMITED
    assert session.retry_at is not None and 8900 < session.retry_at - time.time() < 9001


@pytest.mark.parametrize("limit", ["agent_timeout", "agent_idle_timeout"])
def test_a_client_that_still_waits_at_its_end_failed_for_its_service(place: Place, limit: str) -> None:
    retry = {"type": "system", "subtype": "api_retry", "error_status": 529, "error": "x", "retry_delay_ms": 1000}
    place.install("claude", f"echo '{json.dumps(retry)}'; sleep 60")
    session = place.session("claude", limits=Limits.model_validate({limit: 700}))
    assert session.failure is SessionFailure.OVERLOADED and session.seconds < 20


def test_limits_model_and_effort_reach_the_client(place: Place) -> None:
    profile = {"model": "opus", "effort": "high", "options": {"args": ["--extra", "word"]}}
    place.play("claude-works")
    place.session("claude", profile, left=Left(cost_usd=1.5))
    words = " ".join(place.words())
    for wanted in ("--max-turns 9", "--model opus", "--effort high", "--max-budget-usd 1.5000", "--extra word"):
        assert wanted in words
    assert place.words()[-1] == "Lower x." and "dangerously" not in words
    place.play("codex-works")
    place.session("codex", profile)
    assert '-m opus -c model_reasoning_effort="high" --extra word' in " ".join(place.words())
    place.play("opencode-works")
    place.session("opencode", profile)
    assert "-m opus --variant high --extra word" in " ".join(place.words())


def test_a_long_packet_is_read_from_its_file(place: Place) -> None:
    place.play("claude-works", packet="x" * 200_000)
    assert place.words()[-1] == f"Read the file {place.home}/packet.md to its end, and do what it says."


def test_the_variables_of_clients_reach_them_and_others_do_not(place: Place) -> None:
    place.environ |= {"CLAUDE_CODE_X": "1", "OPENAI_X": "2", "GITHUB_TOKEN": "no", "MINE": "3", "HTTPS_PROXY": "p"}
    place.play("claude-works")
    place.session("claude", {"env": ("MINE",)})
    found = dict(line.split("=", 1) for line in (place.home / "env").read_text().splitlines() if "=" in line)
    assert {"CLAUDE_CODE_X", "OPENAI_X", "MINE", "HTTPS_PROXY", "ANTHROPIC_API_KEY", "AUTOLOOP_RUN"} <= found.keys()
    assert "GITHUB_TOKEN" not in found
    place.install("claude", "env")
    session = place.session("claude")
    left = [(place.home / "experiments/0001" / name).read_text() for name in ("trajectory.json", "session.jsonl")]
    assert "sk-ant-secret-1" not in "".join([*left, session.text, *(sign.text for sign in place.seen)])
    assert "ANTHROPIC_API_KEY=[redacted]" in session.text


def made(place: Place, name: str, **fields: Any) -> ClientAgent:
    agent = bare_agent(Profile(name="p", agent=name, **fields), place.tree, place.environ)
    assert isinstance(agent, ClientAgent)
    return agent


def test_a_sign_in_at_home_is_lent_when_no_key_does_instead(place: Place) -> None:
    store = place.home / ".claude/.credentials.json"
    store.parent.mkdir()
    store.write_text('{"claudeAiOauth": {"accessToken": "a-long-access-token-of-mine"}}')
    assert made(place, "claude").store is None
    del place.environ["ANTHROPIC_API_KEY"]
    agent = made(place, "claude", home=("~/.npm",))
    assert (agent.store, agent.kept) == (store, (place.home / ".npm",))
    assert "a-long-access-token-of-mine" in agent.secrets
    place.environ["CLAUDE_CONFIG_DIR"] = str(place.home / "elsewhere")
    assert made(place, "claude").store is None
    assert (ClaudeAgent.remote, CodexAgent.remote, OpencodeAgent.remote) == (True, True, True)


def test_wrong_options_are_one_clear_line(place: Place) -> None:
    with pytest.raises(AutoloopError, match='unknown option "speed"'):
        made(place, "claude", options={"speed": 1})
    with pytest.raises(AutoloopError, match="a list of texts"):
        made(place, "codex", options={"args": "-c x"})


def test_what_is_found_of_a_client_is_told_with_a_remedy(place: Place) -> None:
    def found(name: str) -> tuple[str, str, str, str]:
        one = probe(Profile(name=name, agent=name), place.tree, place.environ)
        return one.problem, one.remedy, one.version, one.signed_in

    assert found("codex")[:2] == ("codex is not installed", "npm install -g @openai/codex")
    place.install("codex", "echo codex-cli 0.169.0")
    problem, remedy, version, _ = found("codex")
    assert (problem, version) == ("not signed in", "0.169.0") and "codex login" in remedy
    (place.home / ".codex").mkdir()
    (place.home / ".codex/auth.json").write_text("{}")
    assert found("codex") == ("", "", "0.169.0", "~/.codex/auth.json")
    place.install("claude", "echo '2.1.329 (Claude Code)'")
    assert found("claude") == ("", "", "2.1.329", "ANTHROPIC_API_KEY")
    service = Profile(name="p", agent="codex", options={"args": ["-c", "model_provider=mine"]})
    (place.home / ".codex/auth.json").unlink()
    assert probe(service, place.tree, place.environ).usable


def test_opencode_may_be_signed_in_by_the_key_of_any_service_or_know_one_that_needs_none(place: Place) -> None:
    del place.environ["ANTHROPIC_API_KEY"]
    place.install("opencode", "echo 1.18.33")
    profile = Profile(name="opencode", agent="opencode")
    assert probe(profile, place.tree, place.environ).problem == "not signed in"
    keyed = probe(profile, place.tree, {**place.environ, "OPENROUTER_API_KEY": "sk-or-1"})
    assert (keyed.problem, keyed.signed_in) == ("", "OPENROUTER_API_KEY")
    settings = place.home / ".config/opencode/opencode.jsonc"
    settings.parent.mkdir(parents=True)
    settings.write_text("{}")
    assert probe(profile, place.tree, place.environ).signed_in == "~/.config/opencode/opencode.jsonc"


@pytest.mark.parametrize(
    ("status", "said", "failure"),
    [
        (None, "Quota exceeded. Check your plan and billing details.", SessionFailure.OUT_OF_QUOTA),
        (400, "Credit balance is too low", SessionFailure.OUT_OF_QUOTA),
        (429, "Claude AI usage limit reached|1790000000", SessionFailure.OUT_OF_QUOTA),
        (None, "unexpected status 401 Unauthorized: Invalid API key", SessionFailure.NOT_SIGNED_IN),
        (None, "exceeded retry limit, last status: 429 Too Many Requests", SessionFailure.RATE_LIMITED),
        (None, "We're currently experiencing high demand", SessionFailure.OVERLOADED),
        (529, "", SessionFailure.OVERLOADED),
        (None, "Unable to connect to API (ConnectionRefused)", SessionFailure.UNREACHABLE),
        (None, "Reconnecting... waiting for network", SessionFailure.UNREACHABLE),
        (404, "model: no-such-model", SessionFailure.UNREACHABLE),
        (None, "Prompt is too long", SessionFailure.CONTEXT_TOO_LONG),
        (None, "Request timed out", SessionFailure.IDLE),
        (None, "timeout: the request took too long", SessionFailure.IDLE),
        (None, "API returned an empty or malformed response (HTTP 200)", SessionFailure.MALFORMED),
    ],
)
def test_words_and_statuses_are_understood(status: int | None, said: str, failure: SessionFailure) -> None:
    found = failure_of(status, said)
    assert found is not None and found[0] is failure


def test_when_a_limit_is_over_is_read_from_the_words() -> None:
    assert failure_of(429, "usage limit reached|1790000000", 0.0) == (
        SessionFailure.OUT_OF_QUOTA, "usage limit reached|1790000000", 1790000000.0,
    )  # fmt: skip
    known = failure_of(None, "Rate limit reached. Please try again in 20s.", 100.0)
    assert known is not None and known[2] == 120.0
    assert failure_of(None, "something else altogether") is None
