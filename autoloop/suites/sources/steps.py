"""The steps of a task of Harbor or Terminal-Bench: what each asks, brings, is judged by, and is solved with.

A task that names no steps is one step without a name, whose parts lie in the task's own directory.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from unicodedata import normalize

from autoloop.config.fields import quoted
from autoloop.core.suite.tasks import Placed, Solution, Step, TaskVerification
from autoloop.errors import AutoloopError
from autoloop.suites.sources.contents import text_of
from autoloop.suites.sources.dockerfile.parse import fill, missing
from autoloop.suites.sources.task_toml import StepTable, TaskToml, VerifierTable

TEST, _SOLVE = "/tests/test.sh", "/solution/solve.sh"
"""Their first lines say what runs them, and with which options; bash does where there is none."""
_CONVERSATION = "trajectory.json"
_MARKS = re.compile(r"(?:[^\S\n]*(?:<!--.*canary.*-->|#.*canary.*)[^\S\n]*\n)*(?:[^\S\n]*\n)*", re.IGNORECASE)
"""Marks of a data set at the top of an instruction, which are for those who collect texts, and not for agents."""

_NO_DIRECTORY = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]|[. ]$|^\s*$')
"""What some system would not have as a name."""
_LONGEST_NAME = 255


@dataclass(frozen=True)
class StepReader:
    """The steps of one task directory on their way."""

    root: Path
    """The root directory of the suite."""
    directory: Path
    table: TaskToml
    environ: Mapping[str, str]
    source: str
    """The file, for messages."""

    @cached_property
    def named(self) -> list[StepTable]:
        """Those that have a directory of their own: in the order of the table, else of their names."""
        if self.table.steps or (self.directory / "instruction.md").is_file():
            self._refuse_bad_names()
            return list(self.table.steps)
        return [StepTable(name=file.parent.name) for file in sorted(self.directory.glob("steps/*/instruction.md"))]

    def steps(self) -> tuple[Step, ...]:
        """The steps of the task, each with its files and its verification."""
        return tuple(self._step(step) for step in self.named) or (
            Step(
                instruction=self._instruction(self.directory), verification=self._verification(self.table.verifier, [])
            ),
        )

    def verifiers(self) -> list[VerifierTable]:
        """The verifier's table of each step."""
        return [self.table.of_step(step) for step in self.named] or [self.table.verifier]

    def seconds(self) -> float | None:
        """Seconds for the agent, all steps together; None when one of them has none."""
        if not self.named:
            return self.table.agent.timeout_sec
        each = [step.agent.timeout_sec or self.table.agent.timeout_sec for step in self.named]
        return None if None in each else sum(seconds for seconds in each if seconds)

    def solution(self) -> Solution | None:
        """The reference solution; None where a part of it, or a variable that it needs, is missing."""
        shared = self.directory / "solution"
        own = [self._of(step) / "solution" for step in self.named]
        parts = [part if part.is_dir() else shared for part in own] or [shared]
        env = self.table.solution.env
        if not all((part / "solve.sh").is_file() for part in parts) or missing(env.values(), self.environ):
            return None
        return Solution(
            commands=(_SOLVE,) * len(parts),
            files=tuple(self._placed(part, "/solution", "solve.sh") for part in parts),
            by_step=len(parts) > 1,
            env=self._filled(env),
        )

    def unsupported(self) -> str:
        """What the steps need that no agent here could begin with; empty when nothing."""
        places = [self._of(step) for step in self.named[:1]] or [self.directory]
        found = any((place / _CONVERSATION).is_file() for place in places)
        return f"it begins in the middle of a conversation ({_CONVERSATION}), which no agent takes up" if found else ""

    def _step(self, step: StepTable) -> Step:
        directory = self._of(step)
        brought = directory / "workdir"
        return Step(
            name=step.name,
            instruction=self._instruction(directory),
            files=(self._placed(brought, "."),) if brought.is_dir() else (),
            setup=('bash "$PWD/setup.sh"',) if (brought / "setup.sh").is_file() else (),
            verification=self._verification(self.table.of_step(step), [directory]),
            min_reward=step.min_reward,
        )

    def _refuse_bad_names(self) -> None:
        seen: set[str] = set()
        for name in (step.name for step in self.table.steps):
            if _NO_DIRECTORY.search(name) or len(name.encode()) > _LONGEST_NAME:
                raise AutoloopError(f"{self.source}: steps: {quoted(name)} is no name for a directory")
            if (key := normalize("NFC", name).casefold()) in seen:
                raise AutoloopError(
                    f"{self.source}: steps: the name {quoted(name)} stands twice", "Rename one of them."
                )
            seen.add(key)

    def _of(self, step: StepTable) -> Path:
        return self.directory / "steps" / step.name

    def _instruction(self, directory: Path) -> str:
        text = _MARKS.sub("", text_of(directory / "instruction.md", self.root), count=1)
        if not text.strip():
            raise AutoloopError(f"{directory / 'instruction.md'} is empty")
        return text

    def _verification(self, table: VerifierTable, steps: list[Path]) -> TaskVerification:
        """The task's tests, and over them those of the step."""
        tests = [path / "tests" for path in [self.directory, *steps] if (path / "tests").is_dir()]
        if not any((path / "test.sh").is_file() for path in tests):
            wanted = " or ".join(str(path / "tests" / "test.sh") for path in [*steps, self.directory])
            raise AutoloopError(f"there is no {wanted}", "A task needs a script that judges it.")
        return TaskVerification(
            reward="file",
            files=tuple(self._placed(path, "/tests", "test.sh") for path in tests),
            command=TEST,
            env=self._filled(table.env),
            timeout=table.timeout_sec,
            user=str(table.user),
        )

    def _filled(self, env: Mapping[str, str]) -> dict[str, str]:
        return {name: fill(text, self.environ) for name, text in env.items()}

    def _placed(self, path: Path, target: str, script: str = "") -> Placed:
        """A directory, and the file behind the name of its script, which may be a link."""
        file, place = (path / script).resolve(), path.resolve()
        runs = file.relative_to(place).as_posix() if script and file.is_file() and file.is_relative_to(place) else ""
        return Placed(source=path.relative_to(self.root).as_posix(), target=target, script=runs)
