"""A suite in small, a checkout with profiles, and trials of it with real processes."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from autoloop.core.suite.tasks import (
    Expectation,
    Placed,
    Solution,
    Step,
    SuiteTask,
    TaskVerification,
    TrialKey,
    TrialOrder,
    TrialResult,
)
from autoloop.errors import AutoloopError
from autoloop.sandbox.choose import choose
from autoloop.sandbox.places import survey
from autoloop.suites.trial import Trials
from tests.real_git import write

GRADER = """
if grep -qs hello out.txt; then reward=1; else reward=0; fi
echo $reward > /logs/verifier/reward.txt
"""
"""Of a task that names absolute places."""
CHECK = "grep -q hello out.txt"
"""Of a task that needs none."""
HELLO = TaskVerification(
    reward="file", files=(Placed(source="hello/tests", target="/tests"),), command="bash /tests/test.sh", timeout=20
)
SOLVED = Solution(commands=("bash /solution/solve.sh",), files=(Placed(source="hello/solution", target="/solution"),))


def task(verification: TaskVerification = HELLO, **fields: Any) -> SuiteTask:
    """A task of one step: `out.txt` is to hold a word."""
    step = Step(instruction="Write hello into out.txt.", verification=verification)
    return SuiteTask(**{"id": "hello", "steps": (step,), "solution": SOLVED, **fields})


def plain(command: str = CHECK, **fields: Any) -> TaskVerification:
    """A verifier that works without paths of its own."""
    return TaskVerification(**{"reward": "exit_code", "command": command, "timeout": 20.0, **fields})


def expecting(*expectations: Expectation) -> TaskVerification:
    return TaskVerification(reward="expectations", expectations=expectations, timeout=5.0)


class Proving:
    """A bench's directory, a checkout and a suite, all below one folder."""

    def __init__(self, folder: Path, tier: str = "none") -> None:
        self.folder, self.root, self.suite, self.bench = folder, folder / "repo", folder / "suite", folder / "results"
        self.tier = tier
        write(self.suite, {"hello/tests/test.sh": GRADER, "hello/solution/solve.sh": "echo hello > out.txt\n"})
        write(
            self.root, {"README.md": "a checkout\n", ".autoloop/runs/secret": "of a run\n", ".env": "KEY=of-the-user\n"}
        )
        self.environ = {**os.environ, "AUTOLOOP_SANDBOX": tier}
        self.environ["PATH"] = f"{Path(sys.executable).parent}:{self.environ['PATH']}"

    def profile(self, command: str, name: str = "mine", **fields: object) -> str:
        """Add a profile that runs a command line."""
        more = "".join(f"{field} = {json.dumps(value)}\n" for field, value in fields.items())
        with (self.root / "autoloop.toml").open("a") as file:
            file.write(f'[profiles.{name}]\nagent = "command"\ncommand = {json.dumps(command)}\n{more}')
        return name

    def order(self, profile: str, task: SuiteTask, **fields: Any) -> TrialOrder:
        key = fields.pop("key", TrialKey(arm="a", iteration=1, task=task.id))
        directory = self.bench / "iterations/001" / task.id
        given: Mapping[str, Any] = {
            "key": key,
            "task": task,
            "suite": str(self.suite),
            "profile": profile,
            "bench_id": f"bench-{os.getpid()}",
            "directory": str(directory if key.attempt == 1 else directory / f"attempt-{key.attempt}"),
            "seed": 1,
            "timeout": 20.0,
            "idle_timeout": 0.0,
            "max_turns": 10,
        }
        return TrialOrder(**{**given, **fields})

    def run(self, command: str, task: SuiteTask, *, cancelled: Any = lambda: False, **fields: Any) -> TrialResult:
        """A trial of a command line, or of `oracle` or `nop`."""
        profile = command if command in ("oracle", "nop") else self.profile(command, f"p{len(self.profiles())}")
        return self.take(self.order(profile, task, **fields), cancelled=cancelled)

    def take(self, order: TrialOrder, *, cancelled: Any = lambda: False) -> TrialResult:
        return Trials(self.bench, self.root, self.environ).run(order, cancelled=cancelled)

    def profiles(self) -> list[str]:
        file = self.root / "autoloop.toml"
        return [line for line in file.read_text().splitlines() if line.startswith("[")] if file.exists() else []

    def record(self, name: str, task_id: str = "hello") -> str:
        """A file of the trial's directory."""
        return (self.bench / "iterations/001" / task_id / name).read_text()

    @property
    def directory(self) -> Path:
        return self.bench / "iterations/001/hello"


def proving(folder: Path, tier: str) -> Proving:
    """Where the tier works; else the test is skipped, and says why."""
    here = Proving(folder, tier)
    try:
        choose(tier, survey(here.root, None, here.bench, here.environ), here.bench)
    except AutoloopError as error:
        pytest.skip(error.message)
    return here
