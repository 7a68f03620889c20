"""One session of each built-in agent in every case: it ends in time, with its reason, and leaves nothing running."""

import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from autoloop.agents.prices import Price
from autoloop.core.run.program import Limits
from autoloop.core.session import Session, SessionFailure
from autoloop.ports import Left, Task
from tests.atif import Document
from tests.http_script import Reply, error, serving
from tests.outcomes import FOLLOWS, Note, left_running, noting
from tests.real_git import git
from tests.services import KINDS, WRITE, Kind, session, task_in

Failure = SessionFailure


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def task(tmp_path: Path) -> Task:
    return task_in(tmp_path)


@pytest.fixture
def note(request: pytest.FixtureRequest, kind: Kind) -> Note:
    return noting(request, kind.agent)


def played(kind: Kind, task: Task, *replies: Reply, prices: Mapping[str, Price] | None = None, **more: Any) -> Session:
    """A session with a service that says this; nothing is left running, and the record can be read."""
    with serving(*replies) as server:
        done = session(kind, replace(task, **more), server.url, prices=prices)
    assert left_running(task.run_id) == []
    Document.model_validate_json((task.transcript.parent / "trajectory.json").read_bytes())
    assert done.failure is None or done.detail
    return done


def code(task: Task) -> str:
    return (task.tree / "code.py").read_text()


def test_it_works(kind: Kind, task: Task, note: Note) -> None:
    done = played(kind, task, kind.tool("write", WRITE), kind.text("Done."))
    assert note("works", done) == "goes on"
    assert (done.failure, code(task), done.turns, done.usage) == (None, "x = 1\n", 2, kind.usage + kind.usage)


@dataclass(frozen=True)
class Bad:
    """A fault, and what it is called."""

    reply: Callable[[Kind], Reply]
    failure: SessionFailure


def fails(status: int, said: str, failure: SessionFailure, **headers: str) -> Bad:
    return Bad(lambda kind: error(status, said, **headers), failure)


def hanging(kind: Kind) -> Reply:
    return Reply(kind.cut.parts[:2], headers=kind.cut.headers, hang_after=True)


LONG = "prompt is too long: 300000 tokens > 200000 maximum"
PAGE = Reply([b"<html>hi</html>"], headers={"content-type": "text/html"})
AN_HOUR = {"retry-after": "3600"}
FAULTS = {
    "401": fails(401, "invalid key", Failure.NOT_SIGNED_IN),
    "403": fails(403, "Your key has no permission for this model.", Failure.NOT_SIGNED_IN),
    "unknown model": fails(404, "model not found", Failure.UNREACHABLE),
    "quota": fails(429, "You exceeded your current quota (insufficient_quota)", Failure.OUT_OF_QUOTA),
    "429": fails(429, "slow down", Failure.RATE_LIMITED, **{"retry-after": "30"}),
    "429 for an hour": fails(429, "slow down", Failure.RATE_LIMITED, **AN_HOUR),
    "500": fails(500, "Internal server error", Failure.OVERLOADED),
    "503": fails(503, "busy", Failure.OVERLOADED),
    "529": fails(529, "Overloaded", Failure.OVERLOADED),
    "too long": fails(400, LONG, Failure.CONTEXT_TOO_LONG),
    "hang": Bad(lambda kind: Reply(hang_before=True), Failure.IDLE),
    "hang in the middle": Bad(hanging, Failure.IDLE),
    "malformed": Bad(lambda kind: Reply([b"data: {nonsense\n\n", b"{nonsense\n"]), Failure.MALFORMED),
    "a web page": Bad(lambda kind: PAGE, Failure.MALFORMED),
    "nothing": Bad(lambda kind: Reply([]), Failure.MALFORMED),
    "cut off": Bad(lambda kind: kind.cut, Failure.MALFORMED),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_ends_the_session_in_time_with_its_reason(kind: Kind, task: Task, note: Note, case: str) -> None:
    bad = FAULTS[case]
    began = time.monotonic()
    limits = task.limits.model_copy(update={"agent_idle_timeout": 1_000})
    done = played(kind, task, bad.reply(kind), limits=limits)
    assert done.failure is bad.failure and time.monotonic() - began < 30, done.detail
    assert note(case, done) == FOLLOWS.get(bad.failure, "goes on")
    if case == "429":
        assert done.retry_at is not None and 20 < done.retry_at - time.time() < 31


def test_nobody_there_is_said_with_the_address(kind: Kind, task: Task, note: Note) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    done = session(kind, task, f"http://127.0.0.1:{port}")
    assert note("connection refused", done) == "stops"
    assert done.failure is Failure.UNREACHABLE and str(port) in done.detail


LIMITS: Mapping[str, tuple[dict[str, Any], SessionFailure, int]] = {
    "turn limit": ({"limits": Limits(max_turns=3)}, Failure.TURNS, 3),
    "budget limit": ({"left": Left(cost_usd=0.000_2)}, Failure.BUDGET, 3),
    "token limit": ({"left": Left(tokens=100)}, Failure.BUDGET, 2),
}
PRICES = {"some-model": Price(input=1.0, output=2.0, cache_read=1.0, cache_write=1.0)}
"""With the tokens of an answer, 60 to 75 millionths of a dollar for each."""


@pytest.mark.parametrize("case", LIMITS)
def test_a_limit_ends_it_before_the_next_call(kind: Kind, task: Task, note: Note, case: str) -> None:
    fields, failure, turns = LIMITS[case]
    done = played(kind, task, *[kind.tool("bash", {"command": "cat code.py"})] * 9, prices=PRICES, **fields)
    assert note(case, done) == "goes on"
    assert (done.failure, done.turns) == (failure, turns)
    assert done.cost_usd is not None and done.tokens == turns * kind.usage.total


def test_a_person_and_the_deadline_end_a_command(kind: Kind, task: Task, note: Note) -> None:
    sleeps = kind.tool("bash", {"command": "touch begun; sleep 100"})
    cut = played(kind, task, sleeps, cancelled=lambda: (task.tree / "begun").exists())
    late = played(kind, task, sleeps, limits=Limits(agent_timeout=500))
    assert (note("cut short", cut), note("time limit", late)) == ("goes on", "goes on")
    assert (cut.failure, late.failure) == (Failure.CANCELLED, Failure.TIMEOUT)
    assert max(cut.seconds, late.seconds) < 20


def test_it_only_talks(kind: Kind, task: Task, note: Note) -> None:
    done = played(kind, task, kind.text("I would lower x."))
    assert note("only talks", done) == "goes on"
    assert (done.failure, code(task)) == (None, "x = 100\n")


def test_it_commits(kind: Kind, task: Task, note: Note) -> None:
    git(task.tree, "init", "--quiet")
    command = "echo 'x = 2' > code.py; git add code.py; git -c user.name=a -c user.email=a@b commit -qm mine"
    done = played(kind, task, kind.tool("bash", {"command": command}), kind.text("Done."))
    assert note("commits", done) == "goes on"
    assert (done.failure, code(task), git(task.tree, "log", "--format=%s")) == (None, "x = 2\n", "mine")


def test_it_leaves_processes_behind(kind: Kind, task: Task, note: Note) -> None:
    command = "echo 'x = 3' > code.py; setsid sleep 600 >/dev/null 2>&1 & nohup sleep 601 >/dev/null 2>&1 &"
    done = played(kind, task, kind.tool("bash", {"command": command}), kind.text("Done."))
    assert note("background processes", done) == "goes on"
    assert (done.failure, code(task)) == (None, "x = 3\n")
