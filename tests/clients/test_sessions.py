"""One session of each client in every case: it ends in time, for the right reason, and leaves nothing running."""

import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from autoloop.agents.prices import Price
from autoloop.core.run.program import Limits
from autoloop.core.session import SessionFailure
from autoloop.ports import Left
from tests.clients.cases import CLIENTS, Client, Workshop, playing
from tests.http_script import Reply
from tests.outcomes import FOLLOWS, Note, noting
from tests.standins import anthropic, openai
from tests.standins.server import Turn

pytestmark = pytest.mark.clients
Failure = SessionFailure


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> Client:
    return CLIENTS[request.param]


@pytest.fixture
def note(request: pytest.FixtureRequest, client: Client) -> Note:
    return noting(request, client.name)


@pytest.mark.parametrize("tier", ["landlock", "none"])
def test_every_tier_lets_it_work(workshop: Workshop, client: Client, note: Note, tier: str) -> None:
    with playing(client) as service:
        session = workshop.session(client, service.url, tier=tier)
    note(f"works, {tier}", session)
    assert session.failure is None and workshop.code == "x = 1\n"


@pytest.mark.parametrize("tier", ["auto", "landlock", "none"])
def test_a_folder_without_git_will_do(workshop: Workshop, client: Client, note: Note, tier: str) -> None:
    shutil.rmtree(workshop.tree / ".git")
    with playing(client) as service:
        session = workshop.session(client, service.url, tier=tier)
    note(f"without git, {tier}", session)
    assert session.failure is None and workshop.code == "x = 1\n"
    assert [path.name for path in workshop.tree.iterdir()] == ["code.py"]


def test_a_long_packet_is_read_from_its_file(workshop: Workshop, client: Client, note: Note) -> None:
    lines = "".join(f"line {number} of the packet\n" for number in range(6000))
    read = Turn("I read.", 'wc -l < "$AUTOLOOP_PACKET" > code.py')
    with playing(client, [read, Turn("Done.")]) as service:
        session = workshop.session(client, service.url, text=lines)
        asked = str(service.requests)
    note("a long packet", session)
    assert session.failure is None and workshop.code.strip() == "6000"
    assert "/packet.md to its end" in asked and "line 5999 of" not in asked


def works(workshop: Workshop) -> bool:
    """Whether its command has begun."""
    return (workshop.tree / "begun").exists()


def test_a_person_ends_it(workshop: Workshop, client: Client, note: Note) -> None:
    with playing(client, [Turn("I look.", "touch begun; sleep 100")]) as service:
        session = workshop.session(client, service.url, cancelled=lambda: works(workshop))
    note("cut short", session)
    assert session.failure is Failure.CANCELLED and session.seconds < client.slow + 15
    if client.name != "opencode":  # it tells the tokens of a step at its end
        assert session.tokens == 1350


def test_a_change_is_made_and_counted(workshop: Workshop, client: Client, note: Note) -> None:
    with playing(client) as service:
        session = workshop.session(client, service.url)
    note("works", session)
    assert (session.failure, session.turns) == (None, 3)
    assert workshop.code == "x = 1\n"
    assert '"less"' in session.text
    used = anthropic.USED if client.name == "claude" else openai.USED
    assert session.usage is not None and session.usage.output == 3 * used["output_tokens"]
    assert session.tokens == 3 * 1350
    price = {"claude": 3 * (100 * 3 + 50 * 15 + 1000 * 0.3 + 200 * 3.75) / 1e6, "codex": None}
    expected = price.get(client.name, 3 * (300 * 3 + 50 * 15 + 1000 * 0.3) / 1e6)
    assert session.cost_usd == (expected if expected is None else pytest.approx(expected))
    assert any("cat code.py" in sign.text for sign in workshop.seen)


Fails = Callable[[Client], Reply]
PAGE = b"<!doctype html><html><body><h1>Sign in to the network</h1></body></html>"


@dataclass(frozen=True)
class Bad:
    """A fault, and what it is called."""

    reply: Fails
    failure: SessionFailure
    idle: bool = False
    """Whether the session waits until it is ended for its silence."""


def failing(status: int, said: str, openai_says: str = "", code: str | None = None, **headers: str) -> Fails:
    """The same fault in the words of each service."""

    def reply(client: Client) -> Reply:
        if client.name == "claude":
            return anthropic.failing(status, said, **headers)
        return openai.failing(status, openai_says or said, code, **headers)

    return reply


def quota(client: Client) -> Reply:
    if client.name == "claude":
        return anthropic.failing(400, "Your credit balance is too low to access the Anthropic API.")
    said = "You exceeded your current quota, please check your plan and billing details."
    return openai.failing(429, said, "insufficient_quota")


LONG = "prompt is too long: 300000 tokens > 200000 maximum"
LONG_AT_OPENAI = "Your input exceeds the context window of this model. Please adjust your input and try again."
FAULTS = {
    "401": Bad(
        failing(401, "invalid x-api-key", "Incorrect API key provided: sk-x.", "invalid_api_key"), Failure.NOT_SIGNED_IN
    ),
    "403": Bad(failing(403, "Your key has no permission for this model."), Failure.NOT_SIGNED_IN),
    "unknown model": Bad(
        failing(
            404,
            "model: no-such-model",
            "The model `fake-model` does not exist or you do not have access to it.",
            "model_not_found",
        ),
        Failure.UNREACHABLE,
    ),
    "quota": Bad(quota, Failure.OUT_OF_QUOTA),
    "429": Bad(failing(429, "rate limit", code="rate_limit_exceeded", **{"retry-after": "3600"}), Failure.RATE_LIMITED),
    "500": Bad(failing(500, "Internal server error"), Failure.OVERLOADED),
    "503": Bad(failing(503, "Service Unavailable"), Failure.OVERLOADED),
    "529": Bad(failing(529, "Overloaded"), Failure.OVERLOADED),
    "too long": Bad(failing(400, LONG, LONG_AT_OPENAI, "context_length_exceeded"), Failure.CONTEXT_TOO_LONG),
    "hang": Bad(lambda client: Reply(hang_before=True), Failure.IDLE, idle=True),
    "hang in the middle": Bad(lambda client: client.stalled, Failure.IDLE, idle=True),
    "malformed": Bad(lambda client: Reply([b"data: {nonsense\n\n"]), Failure.MALFORMED),
    "a web page": Bad(lambda client: Reply([PAGE], headers={"content-type": "text/html"}), Failure.MALFORMED),
    "cut off": Bad(lambda client: Reply(client.stalled.parts), Failure.MALFORMED),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_ends_the_session_in_time_with_its_reason(
    workshop: Workshop, client: Client, note: Note, case: str
) -> None:
    bad = FAULTS[case]
    idle = client.slow + (6.0 if bad.idle else 100.0)
    began = time.monotonic()
    with playing(client, fault=lambda step: bad.reply(client)) as service:
        limits = Limits(agent_timeout=150_000, agent_idle_timeout=int(1000 * idle))
        session = workshop.session(client, service.url, limits=limits)
    follows = note(case, session)
    assert time.monotonic() - began < idle + 60
    assert session.failure is bad.failure, session.detail
    assert follows == FOLLOWS.get(bad.failure, "goes on")


def test_nobody_there(workshop: Workshop, client: Client, note: Note) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    limits = Limits(agent_timeout=150_000, agent_idle_timeout=int(1000 * (client.slow + 15)))
    session = workshop.session(client, f"http://127.0.0.1:{port}", limits=limits)
    note("connection refused", session)
    assert session.failure in (Failure.UNREACHABLE, Failure.IDLE), session.detail


LOOKS = [Turn("Again.", "cat code.py")] * 20


def think(step: int) -> None:
    """A model takes its time for an answer; without it a client on its way out gets several more."""
    time.sleep(0.7)


LATE = {"opencode": 4}
"""Answers that it gets beyond a limit, at the most: it may go on until SIGTERM, two seconds after it was asked."""


def test_turns_run_out(workshop: Workshop, client: Client, note: Note) -> None:
    with playing(client, LOOKS, think) as service:
        session = workshop.session(client, service.url, limits=Limits(max_turns=3, agent_timeout=120_000))
    note("turn limit", session)
    assert session.failure is Failure.TURNS and 3 <= (session.turns or 0) <= 3 + LATE.get(client.name, 1)


PRICES = {"fake-model": Price(input=3.0, output=15.0, cache_read=0.3)}


def test_the_budget_runs_out(workshop: Workshop, client: Client, note: Note) -> None:
    with playing(client, LOOKS, think) as service:
        session = workshop.session(client, service.url, left=Left(cost_usd=0.01), prices=PRICES)
    note("budget limit", session)
    assert session.failure is Failure.BUDGET and session.usage is not None
    cost = session.cost_usd if client.name != "codex" else PRICES["fake-model"].of(session.usage)
    assert cost is not None and 0.01 <= cost < 0.02 + 0.002 * LATE.get(client.name, 0)


def test_the_tokens_run_out(workshop: Workshop, client: Client, note: Note) -> None:
    with playing(client, LOOKS, think) as service:
        session = workshop.session(client, service.url, left=Left(tokens=4000))
    note("token limit", session)
    assert session.failure is Failure.BUDGET and 4000 <= (session.tokens or 0) <= 1350 * (3 + LATE.get(client.name, 1))


def test_it_only_talks(workshop: Workshop, client: Client, note: Note) -> None:
    with playing(client, [Turn("I would lower x.")]) as service:
        session = workshop.session(client, service.url)
    note("only talks", session)
    assert session.failure is None and workshop.code == "x = 100\n"


def test_it_commits(workshop: Workshop, client: Client, note: Note) -> None:
    command = "echo 'x = 2' > code.py; git add code.py; git -c user.name=a -c user.email=a@b commit -qm mine"
    with playing(client, [Turn("I commit.", command), Turn("Done.")]) as service:
        session = workshop.session(client, service.url)
    note("commits", session)
    assert session.failure is None and workshop.code == "x = 2\n"


def test_it_leaves_processes_behind(workshop: Workshop, client: Client, note: Note) -> None:
    command = "echo 'x = 3' > code.py; setsid sleep 600 >/dev/null 2>&1 & nohup sleep 601 >/dev/null 2>&1 &"
    with playing(client, [Turn("I leave something.", command), Turn("Done.")]) as service:
        session = workshop.session(client, service.url)
    note("background processes", session)
    assert session.failure is None and workshop.code == "x = 3\n"


def test_it_is_not_installed(workshop: Workshop, client: Client, note: Note, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    session = workshop.session(client, "http://127.0.0.1:1")
    note("not installed", session)
    assert session.failure is Failure.NOT_INSTALLED and "npm install -g" in session.detail
