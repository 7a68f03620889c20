"""Whole benches in containers: one image for all workers, and nothing left behind by those that were killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from autoloop.core.suite.tasks import Container
from autoloop.suites.containers.container import Box
from autoloop.suites.containers.engine import BuiltImage, Engine
from tests.real_git import write
from tests.suites.containers.cases import DOCKERFILE, SOLVE, TEST, containers_of

pytestmark = pytest.mark.containers
SLOW = "sleep 2; echo hello > out.txt"


class Night:
    """A suite of so many equal tasks, and the bench that tries it."""

    def __init__(self, folder: Path, tasks: int) -> None:
        self.root, self.results = folder, folder / "results"
        for number in range(tasks):
            task = {
                "task.toml": "version = '1.0'\n",
                "instruction.md": "Write hello into out.txt.\n",
                "environment/Dockerfile": f"{DOCKERFILE}# {folder.name}\n",
                "environment/start.txt": "start\n",
                "tests/test.sh": TEST,
                "solution/solve.sh": SOLVE,
            }
            write(folder, {f"suite/task-{number}/{name}": text for name, text in task.items()})
        write(folder, {"autoloop.toml": f'[profiles.slow]\nagent = "command"\ncommand = "{SLOW}"\n'})

    def begin(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-P", "-m", "autoloop", "bench", *words, "--json", "--min-free-gb", "0"]
        environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.root, env=environ, stdout=pipe, stderr=pipe, text=True)

    def ended(self, process: subprocess.Popen[str]) -> tuple[dict[str, Any], str]:
        out, errors = process.communicate(timeout=200)
        assert process.returncode == 0, errors
        line: dict[str, Any] = json.loads(out.splitlines()[-1])
        return line, errors


def test_what_was_killed_leaves_no_container_and_the_same_results(base: str, engine: Engine, tmp_path: Path) -> None:
    night = Night(tmp_path, tasks=4)
    words = ("suite", "-m", "slow", "-i", "1", "--workers", "2", "-o", str(night.results))
    process = night.begin(*words)
    until = time.monotonic() + 60
    while not (night.results / "config.json").exists() or not containers_of(engine, night.results):
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    line, said = night.ended(night.begin("--resume", str(night.results)))
    assert (line["passed"], line["error"], line["unsupported"]) == (4, 0, 0), said
    assert "4 of 4 tasks need a container: made by docker" in said
    assert containers_of(engine, night.results) == []
    assert {json.loads(file.read_text())["sandbox"] for file in (night.results / "runs").iterdir()} == {"container"}


def test_the_same_directory_is_built_once(base: str, engine: Engine, tmp_path: Path) -> None:
    night = Night(tmp_path, tasks=3)
    words = ("suite", "-m", "oracle", "-i", "1", "--workers", "3", "-o", str(night.results))
    line, _ = night.ended(night.begin(*words))
    assert line["passed"] == 3
    label = f"label=autoloop.suite={tmp_path / 'suite'}"
    assert len(set(engine.run("images", "--quiet", "--filter", label).stdout.split())) == 1


def test_the_network_comes_and_goes_with_what_a_command_needs(base: str, engine: Engine) -> None:
    name = f"autoloop-test-{os.getpid()}"
    box = Box(engine, BuiltImage(base, "", ""), name, name, Container(image=base), "/tmp", lasts=60)

    def networks() -> list[str]:
        return engine.do("look", "exec", name, "ls", "/sys/class/net").split()

    try:
        box.ready((), online=True)
        assert "eth0" in networks()
        box.ready((), online=False)
        assert "eth0" not in networks()
        box.halt()
        box.ready((), online=True)
        assert "eth0" in networks()
        box.remove()
        box.ready((), online=False)
        assert "eth0" not in networks()
        box.ready((), online=True)
        assert "eth0" in networks(), "also where the first command had none"
    finally:
        box.remove()
    assert containers_of(engine, Path(name)) == []
