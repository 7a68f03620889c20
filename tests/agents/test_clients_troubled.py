"""Clients whose service fails while they work: they end in time, for the right reason, and what was used is told."""

import json
import time
from pathlib import Path

import pytest

from autoloop.agents.codex import Rollout
from autoloop.agents.error_texts import failure_of
from autoloop.agents.prices import Price
from autoloop.core.run.program import Limits
from autoloop.core.session import SessionFailure, Usage
from autoloop.ports import Left
from tests.agents.test_clients import RECORDED, Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def log(said: str, *, small: bool = False) -> str:
    """A line of opencode's log."""
    about = f"session.id=s small={str(small).lower()} agent={'title' if small else 'build'} mode=primary"
    return f'level=ERROR run=r message="stream error" providerID=p modelID=m {about} error.error="{said}"'


def test_tokens_are_counted_answer_by_answer(place: Place) -> None:
    lines = (RECORDED / "claude-partial.jsonl").read_text().splitlines()
    (place.home / "events").write_text("\n".join(lines[:-1]) + "\n")
    place.install("claude", f"cat {place.home}/events; exit 143")
    session = place.session("claude")
    assert session.usage == Usage(input=200, output=100, cache_read=2000, cache_write=400)
    assert (session.turns, session.cost_usd) == (2, None)
    raw = (place.home / "experiments/0001/session.jsonl").read_text()
    assert "stream_event" not in raw and "tool_result" in raw


def test_a_client_without_a_limit_of_tokens_is_ended_at_ours(place: Place) -> None:
    place.install("claude", f"cat {RECORDED}/claude-partial.jsonl; sleep 60")
    session = place.session("claude", left=Left(tokens=1000))
    assert session.failure is SessionFailure.BUDGET and session.seconds < 20


def test_a_limit_of_the_plan_is_a_quota_with_its_end(place: Place) -> None:
    session = place.play("claude-limit", 1)
    assert (session.failure, session.retry_at) == (SessionFailure.OUT_OF_QUOTA, 4102444800.0)
    assert session.detail == "the five hour limit is reached"


def test_an_effort_that_is_not_known_is_no_other_one_in_silence(place: Place) -> None:
    warning = "Warning: Unknown --effort value 'bogus' — ignoring it and using the default effort."
    place.install("claude", f'echo "{warning}" >&2; cat {RECORDED}/claude-works.jsonl; sleep 60')
    session = place.session("claude")
    assert session.failure is SessionFailure.UNREACHABLE and "'bogus'" in session.detail


@pytest.mark.parametrize("name", ["claude", "codex", "opencode"])
def test_a_client_that_lacks_what_executes_it_is_not_there(place: Place, name: str) -> None:
    place.install(name, "echo \"/usr/bin/env: 'node': No such file or directory\" >&2; exit 127")
    session = place.session(name)
    assert session.failure is SessionFailure.NOT_INSTALLED and "cannot be started here: /usr/bin/env" in session.detail


def test_what_a_helper_says_is_not_the_agents_word(place: Place) -> None:
    said = {"id": "m1", "model": "m", "content": [{"type": "text", "text": '<notes>{"hypothesis": "its own"}</notes>'}]}
    event = {"type": "assistant", "message": said, "parent_tool_use_id": "toolu_1"}
    (place.home / "events").write_text(json.dumps(event) + "\n")
    place.install("claude", f"cat {place.home}/events")
    assert "its own" not in place.session("claude").text


@pytest.mark.parametrize(
    ("said", "failure"),
    [
        ("AI_APICallError: rate limit", SessionFailure.RATE_LIMITED),
        ("AI_APICallError: Service Unavailable", SessionFailure.OVERLOADED),
        ("AI_APICallError: Cannot connect to API: Unable to connect.", SessionFailure.UNREACHABLE),
    ],
)
def test_a_service_that_goes_on_failing_ends_the_session(place: Place, said: str, failure: SessionFailure) -> None:
    (place.home / "log").write_text(log(said) + "\n")
    place.install("opencode", f"cat {place.home}/log >&2; sleep 60")
    session = place.session("opencode", patience=0.5)
    assert session.failure is failure and said in session.detail and session.seconds < 8


def test_a_quota_is_not_waited_for_by_the_client(place: Place) -> None:
    (place.home / "log").write_text(log("AI_APICallError: You exceeded your current quota.") + "\n")
    place.install("opencode", f"cat {place.home}/log >&2; sleep 60")
    session = place.session("opencode")
    assert session.failure is SessionFailure.OUT_OF_QUOTA and session.seconds < 8


def test_a_service_that_answers_again_is_no_failure(place: Place) -> None:
    (place.home / "log").write_text(
        f"{log('AI_APICallError: Overloaded')}\n{log('AI_RetryError: quota', small=True)}\n"
    )
    place.install("opencode", f"cat {place.home}/log >&2; sleep 0.5; cat {RECORDED}/opencode-works.jsonl; sleep 3")
    assert place.session("opencode", patience=2.0).failure is None


def test_a_model_that_opencode_does_not_know_stops_it(place: Place) -> None:
    line = (
        'level=ERROR run=r message=failed ref=e error="ProviderModelNotFoundError: Model not found: p/nope." cause="x"'
    )
    (place.home / "log").write_text(f"{line}\n")
    event = '{"type": "error", "error": {"name": "UnknownError", "data": {"message": "Unexpected server error."}}}'
    place.install("opencode", f"cat {place.home}/log >&2; echo '{event}'; exit 1")
    session = place.session("opencode")
    assert (session.failure, session.detail) == (SessionFailure.UNREACHABLE, "Model not found: p/nope.")


def test_inside_of_a_client_its_marks_are_left_out(place: Place) -> None:
    place.environ |= {"CLAUDE_CODE_ENTRYPOINT": "cli", "CODEX_SANDBOX": "seatbelt"}
    place.play("claude-works")
    assert "CLAUDE_CODE_ENTRYPOINT" not in (place.home / "env").read_text()
    place.play("codex-works")
    assert "CODEX_SANDBOX" not in (place.home / "env").read_text()


def test_answers_without_an_end_are_malformed(place: Place) -> None:
    part = {"reason": "unknown", "tokens": {"input": 0, "output": 0}, "cost": 0}
    (place.home / "events").write_text((json.dumps({"type": "step_finish", "part": part}) + "\n") * 3)
    place.install("opencode", f"cat {place.home}/events; sleep 60")
    session = place.session("opencode")
    assert session.failure is SessionFailure.MALFORMED and session.seconds < 8


def test_a_network_that_does_not_come_back_is_not_waited_for(place: Place) -> None:
    event = {"type": "error", "message": "Reconnecting... waiting for network (Connection failed)"}
    (place.home / "events").write_text(json.dumps(event) + "\n")
    place.install("codex", f"while :; do cat {place.home}/events; sleep 0.1; done")
    session = place.session("codex", patience=0.5)
    assert session.failure is SessionFailure.UNREACHABLE and session.seconds < 8


def rollout_at(home: Path, thread: str) -> Path:
    folder = home / ".codex/sessions/2026/01/02"
    folder.mkdir(parents=True)
    path = folder / f"rollout-2026-01-02T00-00-00-{thread}.jsonl"
    path.write_bytes((RECORDED / "codex-rollout.jsonl").read_bytes())
    return path


def test_codex_is_counted_by_the_record_that_it_keeps(place: Place) -> None:
    rollout_at(place.home, "thread-1")
    started = json.dumps({"type": "thread.started", "thread_id": "thread-1"})
    place.install("codex", f"echo '{started}'; sleep 1; exit 1")
    session = place.session("codex")
    assert (session.usage, session.turns) == (Usage(input=600, output=100, cache_read=2000), 2)
    assert session.model == "fake-model"
    assert place.trajectory().agent.version == "0.169.0"


@pytest.mark.parametrize("left", [Left(tokens=2000), Left(cost_usd=0.001)])
def test_codex_is_ended_by_what_is_left(place: Place, left: Left) -> None:
    path = rollout_at(place.home, "thread-1")
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line for line in lines if "task_complete" not in line) + "\n")
    started = json.dumps({"type": "thread.started", "thread_id": "thread-1"})
    place.install("codex", f"echo '{started}'; sleep 60")
    prices = {"fake-model": Price(input=1.0, output=10.0)}
    session = place.session("codex", {"prices": prices}, left=left)
    assert session.failure is SessionFailure.BUDGET and session.seconds < 8


def test_a_record_that_is_a_pipe_or_nonsense_harms_nobody(tmp_path: Path) -> None:
    path = rollout_at(tmp_path, "t")
    rollout = Rollout(tmp_path / ".codex/sessions", "t")
    path.write_text('nonsense\n[]\n{"type": "token_usage_record", "payload": 3}\n{"type": "event_msg"}\n')
    assert rollout.read(at_once=True) and (rollout.used, rollout.answers) == ({}, 0)
    path.unlink()
    path.symlink_to("/dev/zero")
    assert rollout.read(at_once=True) and rollout.used == {}


def test_a_long_event_is_read_as_a_whole(place: Place) -> None:
    block = {"type": "tool_result", "tool_use_id": "toolu_0", "content": "x" * 200_000}
    events = [
        {"type": "user", "message": {"content": [block]}},
        {"type": "result", "subtype": "success", "total_cost_usd": 0.5, "result": "Done."},
    ]
    (place.home / "events").write_text("".join(json.dumps(event) + "\n" for event in events))
    place.install("claude", f"cat {place.home}/events")
    session = place.session("claude")
    assert session.cost_usd == 0.5 and "xxx" not in session.text


def test_commands_end_before_the_client_seems_idle(place: Place) -> None:
    place.play("claude-works", limits=Limits(agent_idle_timeout=100_000))
    assert "BASH_MAX_TIMEOUT_MS=90000" in (place.home / "env").read_text()


def test_an_hour_of_the_day_is_when_to_come_back() -> None:
    noon = time.mktime(time.strptime("2026-03-04 12:00", "%Y-%m-%d %H:%M"))
    said = "You’ve hit your usage limit. Visit the settings to purchase more credits or try again at"
    for words, hours in (
        (f"{said} 1:30 PM.", 1.5),
        (f"{said} 7:30 AM.", 19.5),
        (f"{said} Mar 6th, 2026 1:00 PM.", 49.0),
    ):
        known = failure_of(None, words, noon)
        assert known is not None and known[0] is SessionFailure.OUT_OF_QUOTA
        assert known[2] == noon + 3600 * hours, words
    assert failure_of(None, f"{said} 99:99 PM.", noon) == (SessionFailure.OUT_OF_QUOTA, f"{said} 99:99 PM.", None)
