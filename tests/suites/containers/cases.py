"""Tasks that need their container, and trials of them."""

import os
from pathlib import Path
from typing import Any

from autoloop.core.suite.tasks import SuiteTask, TrialResult
from autoloop.suites.containers.engine import Engine
from autoloop.suites.sources.registry import load_suite
from tests.real_git import write
from tests.suites.proving import Proving

BASE = f"autoloop-test-base:{os.getpid()}"
DOCKERFILE = f"FROM {BASE}\nRUN echo made > /etc/made\nWORKDIR /app\nCOPY start.txt .\n"
"""Its RUN changes the system, which nothing but a container allows."""
TEST = """
if grep -qs hello /app/out.txt && grep -qs made /etc/made; then reward=1; else reward=0; fi
echo $reward > /logs/verifier/reward.txt
"""
SOLVE = "cat start.txt > /dev/null && echo hello > out.txt\n"


class Trying(Proving):
    """A suite of one task in Harbor's format."""

    def __init__(self, folder: Path, tier: str = "auto") -> None:
        super().__init__(folder, tier)

    def task(self, toml: str = "", **files: str) -> SuiteTask:
        """The task; names of files have `__` for a slash and `_` for a dot."""
        usual = {
            "instruction_md": "Write hello into out.txt.\n",
            "environment__Dockerfile": DOCKERFILE,
            "environment__start_txt": "start\n",
            "tests__test_sh": TEST,
            "solution__solve_sh": SOLVE,
        }
        named = {name.replace("__", "/").replace("_", "."): text for name, text in {**usual, **files}.items() if text}
        suite = self.folder / "tasks"
        write(
            suite, {f"boxed/{name}": text for name, text in {**named, "task.toml": f"version = '1.0'\n{toml}"}.items()}
        )
        self.suite = suite
        return load_suite(suite).tasks[0]

    def tried(self, command: str, task: SuiteTask, **fields: Any) -> TrialResult:
        """A trial of a command line, or of `oracle` or `nop`."""
        return self.run(command, task, **{"timeout": 60.0, **fields})

    def file(self, name: str) -> str:
        return self.record(name, "boxed")


def containers_of(engine: Engine, bench: Path) -> list[str]:
    """Those that are there, in whatever state."""
    return engine.run("ps", "--all", "--quiet", "--filter", f"label=autoloop.bench={bench}").stdout.split()
