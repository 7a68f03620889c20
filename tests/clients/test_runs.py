"""Whole runs with a real client in the sandbox: kept, discarded, cut short, resumed, stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autoloop.core.patience import BACKOFF
from autoloop.core.run.events import Waited
from autoloop.core.run.reasons import StopReason
from autoloop.runs.find import all_runs
from tests.clients.cases import CLIENTS, WORK, Client, Workshop, playing
from tests.clients.test_sessions import FAULTS
from tests.http_script import Reply
from tests.outcomes import left_running
from tests.real_git import commit_all, git, write
from tests.real_run import Checkout, toml
from tests.standins import anthropic
from tests.standins.server import Answer, Turn, scripted, standing_in

pytestmark = pytest.mark.clients
PLAN = (
    "echo 'x = 90' > code.py",  # better
    "echo '# nothing' >> code.py",  # null
    "echo 'x = 120' > code.py",  # worse
    "sed -i 1s/90/80/ code.py; echo 'METRIC ms=1' > programs/p/measure.sh",  # a cheat
    "echo 'x = 70' > code.py; git add -A; git commit -qm mine",  # better, and committed
    "true",  # nothing
    "echo 'x = boom' > code.py",  # broken
    "echo 'x = 60' > code.py; nohup sleep 600 >/dev/null 2>&1 &",  # better, and something is left running
    "echo 'outside' > ../escape; echo 'x = 65' > code.py",  # worse than before, and tries to get out
    "echo 'x = 50' > code.py",  # better
)
REASONS = [
    "improved", "within_noise", "regressed", "lock_violation", "improved", "no_candidate", "measurement_failed",
    "improved", "regressed", "improved",
]  # fmt: skip


def campaign() -> Answer:
    """Each session has a turn of its own, by the number of the experiment in its packet."""

    def answer(path: str, body: Any, before: int) -> Reply | None:
        if not path.split("?")[0].endswith("/messages") or not body.get("tools"):
            return anthropic.answering([])(path, body, before)
        step = sum(message["role"] == "assistant" for message in body["messages"])
        turns = (Turn("I work.", PLAN[_experiment(body) - 1]), Turn('Done. <notes>{"hypothesis": "an idea"}</notes>'))
        return anthropic.message(scripted(turns, step), body, step)

    return answer


def _experiment(body: Any) -> int:
    """How many experiments the packet tells of, and one more."""
    told = json.dumps(body["messages"][0])
    numbers = [number for number in range(1, len(PLAN) + 1) if f"| {number} |" in told or f"\\n{number}. " in told]
    return max(numbers, default=0) + 1


def checkout_for(workshop: Workshop, client: Client, url: str, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    checkout = Checkout(workshop.place / "checkout", workshop.place / "cache")
    checkout.configure(max_experiments=10, agent_idle_timeout=60_000)
    checkout.script("measure.sh", 'read -r _ _ x < code.py\n[ "$x" -gt 0 ] || exit 3\necho "{\\"ms\\": $x}"\n')
    fields, extra = client.profile(url)
    profile = {"agent": client.name, "model": client.model, **fields}
    lines = "".join(f"{name} = {toml(value)}\n" for name, value in profile.items())
    write(checkout.root, {"autoloop.toml": f'default_profile = "c"\nsandbox = "auto"\n[profiles.c]\n{lines}'})
    commit_all(checkout.root)
    for name, value in extra.items():
        monkeypatch.setenv(name, value)
    return checkout


@pytest.mark.parametrize("name", CLIENTS)
def test_a_change_is_captured_measured_and_kept(workshop: Workshop, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    client = CLIENTS[name]
    with playing(client, WORK) as service:
        checkout = checkout_for(workshop, client, service.url, monkeypatch)
        before = checkout.snapshot()
        checkout.run(limits={"max_experiments": 1})
    row = checkout.row(1)
    assert (row.reason, row.metric, row.description) == ("improved", 1.0, "less")
    assert (row.cost_usd is None) == (name == "codex")
    assert git(checkout.root, "show", f"{checkout.head()}:code.py") == "x = 1"
    assert checkout.snapshot() == before
    assert (checkout.directory.experiment(1) / "trajectory.json").exists()


@pytest.mark.parametrize("name", CLIENTS)
def test_an_expired_key_stops_the_run_and_spends_nothing(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    client = CLIENTS[name]
    with playing(client, fault=lambda step: FAULTS["401"].reply(client)) as service:
        checkout = checkout_for(workshop, client, service.url, monkeypatch)
        summary = checkout.run().summary
    assert (summary.stop_reason, summary.experiments) == (StopReason.AGENT_UNAVAILABLE, 0)


@pytest.mark.parametrize("name", CLIENTS)
def test_a_rate_limit_is_waited_for_and_journaled(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    client = CLIENTS[name]

    def limited(step: int) -> Reply | None:
        return None if waits(checkout) else FAULTS["429"].reply(client)

    with playing(client, WORK, limited) as service:
        checkout = checkout_for(workshop, client, service.url, monkeypatch)
        checkout.run(limits={"max_experiments": 1})
    assert checkout.reasons == ["improved"]
    assert [(wait.seconds >= BACKOFF[0], "rate limited" in wait.why) for wait in waits(checkout)] == [(True, True)]


def waits(checkout: Checkout) -> list[Waited]:
    return [event for event in checkout.events if isinstance(event, Waited)]


@pytest.mark.parametrize("name", CLIENTS)
def test_a_session_that_runs_out_of_turns_is_an_experiment_like_any_other(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    client = CLIENTS[name]
    with playing(client, [Turn("Again.", "cat code.py")] * 20) as service:
        checkout = checkout_for(workshop, client, service.url, monkeypatch)
        checkout.configure(max_experiments=1, max_turns=3)
        checkout.run()
    assert checkout.reasons == ["agent_failed"]
    assert "max_turns" in checkout.row(1).why


def test_ten_experiments_with_claude_code_interrupted_and_resumed(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with standing_in(campaign()) as service:
        checkout = checkout_for(workshop, CLIENTS["claude"], service.url, monkeypatch)
        before = checkout.snapshot()
        deaths: tuple[tuple[int, Callable[[subprocess.Popen[bytes]], None]], ...] = (
            (2, lambda process: process.kill()),
            (5, lambda process: process.send_signal(signal.SIGINT)),
            (7, lambda process: process.kill()),
        )
        for rows, end in deaths:
            process = carried_on(checkout)
            wait_for_rows(checkout, rows, process)
            time.sleep(1.0)  # into a session
            end(process)
            process.wait(60)
        assert carried_on(checkout).wait(300) == 0
    assert checkout.reasons == REASONS
    assert len(all_runs(checkout.root)) == 1
    assert checkout.status()["gain"] == pytest.approx(0.5)
    assert checkout.snapshot() == before
    assert left_running(checkout.directory.run_id) == []
    assert not list(workshop.place.rglob("escape"))
    costs = [row.cost_usd for row in checkout.rows[1:]]
    assert all(cost is not None and cost > 0 for cost in costs)


def carried_on(checkout: Checkout) -> subprocess.Popen[bytes]:
    """A process that starts the run, or goes on with it."""
    resuming = ["--resume"] if all_runs(checkout.root) else []
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent)}
    return subprocess.Popen(
        [sys.executable, "-m", "autoloop", "run", "p", *resuming],
        cwd=checkout.root,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


def wait_for_rows(checkout: Checkout, count: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        if all_runs(checkout.root) and len(checkout.rows) > count:
            return
        time.sleep(0.2)
    assert process.poll() is None, "the run ended before it was to be cut short"
