"""Trials of a suite with a real client: it finds `/app`, its work is verified, its session is recorded."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.atif import Document
from tests.clients.cases import CLIENTS, Client, Workshop, playing
from tests.outcomes import left_running
from tests.real_git import write
from tests.real_run import toml
from tests.standins.server import Turn

pytestmark = pytest.mark.clients
WORK = (
    Turn("I look.", "pwd; ls /tests /solution; cat code.py"),
    Turn("I write.", "echo 'x = 1' > /app/code.py"),
    Turn("Done."),
)
TEST = "if grep -q 'x = 1$' /app/code.py; then echo 1; else echo 0; fi > /logs/verifier/reward.txt\n"


class Night:
    """A bench of so many equal tasks with one client."""

    def __init__(self, workshop: Workshop, client: Client, url: str, tasks: int = 1, **limits: int) -> None:
        self.root = workshop.root
        self.results = workshop.place / "results"
        for number in range(1, tasks + 1):
            name = f"suite/task-{number}"
            write(
                self.root,
                {
                    f"{name}/task.toml": 'schema_version = "1.0"\n',
                    f"{name}/instruction.md": "Make x in code.py one.\n",
                    f"{name}/environment/Dockerfile": "FROM ubuntu:24.04\nWORKDIR /app\nCOPY code.py .\n",
                    f"{name}/environment/code.py": "x = 100\n",
                    f"{name}/tests/test.sh": TEST,
                },
            )
        fields, extra = client.profile(url)
        profile = {"agent": client.name, "model": client.model, **fields}
        lines = "".join(f"{name} = {toml(value)}\n" for name, value in profile.items())
        write(self.root, {"autoloop.toml": f'sandbox = "auto"\n[profiles.c]\n{lines}'})
        self.environ = {**os.environ, **extra, "PYTHONPATH": str(Path(__file__).parent.parent.parent)}
        self.words = [f"--{name.replace('_', '-')}={value}" for name, value in limits.items()]

    def begin(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "autoloop", "bench", *words, "--min-free-gb", "0", "--json"]
        return subprocess.Popen(
            command, cwd=self.root, env=self.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )

    def taken(self) -> dict[str, Any]:
        process = self.begin("suite", "-m", "c", "-i", "1", "-o", str(self.results), *self.words)
        return self.ended(process)

    def ended(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        out, _ = process.communicate(timeout=300)
        assert process.returncode == 0, out
        line: dict[str, Any] = json.loads(out.splitlines()[-1])
        return line

    @property
    def trials(self) -> list[dict[str, Any]]:
        return [json.loads(file.read_text()) for file in sorted((self.results / "runs").glob("*.json"))]


@pytest.mark.parametrize("name", CLIENTS)
def test_a_trial_passes_and_its_session_is_recorded(workshop: Workshop, name: str) -> None:
    client = CLIENTS[name]
    with playing(client, WORK) as service:
        night = Night(workshop, client, service.url)
        line = night.taken()
        said = json.dumps(service.requests)
    assert (line["pass_rate"], line["cases"]) == (1.0, {"task-1": 1.0})
    assert "Make x in code.py one." in said and "x = 100" in said
    [trial] = night.trials
    assert trial["rounds"] == len(WORK) and trial["sandbox"] == "bwrap"
    folder = night.results / "iterations/001/task-1"
    told = (folder / "trajectory.json").read_text()
    Document.model_validate_json(told)
    assert "/app" in told and told.count("No such file or directory") >= 2, "tests and solution are not there yet"


@pytest.mark.parametrize("name", CLIENTS)
def test_a_session_that_takes_too_long_is_a_timeout(workshop: Workshop, name: str) -> None:
    client = CLIENTS[name]
    with playing(client, [Turn("I wait.", "sleep 200")] * 9) as service:
        night = Night(workshop, client, service.url, timeout=30)
        line = night.taken()
    assert (line["pass_rate"], line["timeout"], line["error"]) == (0.0, 1, 0)
    [trial] = night.trials
    assert trial["success"] is False and trial["failure_mode"] == "timeout"


@pytest.mark.parametrize("name", CLIENTS)
def test_a_bench_that_is_killed_in_a_session_goes_on(workshop: Workshop, name: str) -> None:
    client = CLIENTS[name]
    with playing(client, WORK) as service:
        night = Night(workshop, client, service.url, tasks=3, workers=2)
        process = night.begin("suite", "-m", "c", "-i", "1", "-o", str(night.results), *night.words)
        until = time.monotonic() + 60
        while not service.requests and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        line = night.ended(night.begin("--resume", str(night.results)))
    assert (line["passed"], line["error"]) == (3, 0)
    bench_id = json.loads((night.results / "config.json").read_text())["bench_id"]
    assert left_running(bench_id) == []
