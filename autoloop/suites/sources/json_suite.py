"""Suites in one JSON file, as `tbench-iterate` has them, with a few fields of our own.

What a task is made of stands in the file; files that it names lie beside it.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from autoloop.config.fields import did_you_mean, quoted, read_values, validated
from autoloop.core.model import Frozen
from autoloop.core.suite.tasks import Expectation, Placed, Solution, Step, SuiteTask, TaskVerification
from autoloop.errors import AutoloopError
from autoloop.ports import Suite
from autoloop.suites.sources.assemble import assemble, make_task
from autoloop.suites.sources.contents import digest, inside, refuse_escapes

FILE = "suite.json"
Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Text = Annotated[str, Field(min_length=1)]


class _File(Frozen):
    source: Text
    target: Text


class _Verification(Frozen):
    type: Literal["command", "expectations", "outputs"]
    command: str = ""
    expected: tuple[Expectation, ...] = ()
    files: tuple[_File, ...] = ()
    env: dict[str, str] = {}
    timeout_seconds: Seconds = 600.0

    @model_validator(mode="after")
    def _says_how(self) -> "_Verification":
        if self.type == "command" and (not self.command.strip() or self.expected):
            raise ValueError('type "command" needs "command", a line for bash, and no "expected"')
        if self.type != "command" and (not self.expected or self.command):
            raise ValueError(f'type "{self.type}" needs "expected" with {{path, contains, matches}}, no "command"')
        for expectation in self.expected:
            _refuse_bad(expectation)
        return self


class _Task(Frozen):
    id: Text
    name: str = ""
    category: str = ""
    level: str = ""
    difficulty: str = ""
    tags: tuple[str, ...] = ()
    description: Text
    setup: tuple[str, ...] = ()
    files: tuple[_File, ...] = ()
    env: dict[str, str] = {}
    network: bool = True
    verification: _Verification
    solution: tuple[Text, ...] = ()
    timeout_seconds: Seconds | None = None
    max_turns: Count | None = None
    repetitions: Count | None = None


class _Level(Frozen):
    repetitions: Count | None = None
    hours: Seconds | None = None


class _Suite(Frozen):
    name: Text = Field(description="text that is not empty")
    version: str = Field("", description='text such as "1.0"')
    description: str = Field("", description="text")
    levels: dict[str, _Level] = Field({}, description='a table such as {"L1": {"repetitions": 10, "hours": 2}}')
    tasks: tuple[_Task, ...] = Field(description="a list of tasks, each with id, description and verification")


class JsonSuites:
    """A JSON file, or a directory that has it as `suite.json`."""

    def claims(self, path: Path) -> bool:
        """By the file's name; a directory of tasks in another format may have JSON files of its own."""
        return _file(path).is_file() and _file(path).suffix == ".json"

    def load(self, path: Path) -> Suite:
        """Read the file strictly: a field that is unknown or of a wrong type is an error that names it."""
        file = _file(path)
        source = str(file)
        read = validated(_Suite, read_values(file, source), source)
        tasks = [_made(task, read, file.parent, f"{source}: tasks[{number}]") for number, task in enumerate(read.tasks)]
        hours = {name: level.hours for name, level in read.levels.items() if level.hours is not None}
        return replace(assemble(read.name, read.version, file.parent, tasks, source), hours=hours)


def _file(path: Path) -> Path:
    return path / FILE if path.is_dir() else path


def _made(task: _Task, suite: _Suite, root: Path, source: str) -> SuiteTask:
    if suite.levels and task.level and task.level not in suite.levels:
        raise AutoloopError(
            f"{source}.level is {quoted(task.level)}, which is none of the suite's levels"
            f"{did_you_mean(task.level, suite.levels)}",
            f"The levels are {', '.join(suite.levels)}.",
        )
    level = suite.levels.get(task.level)
    files = _placed(task.files, root, source)
    judging = _placed(task.verification.files, root, source)
    return make_task(
        source,
        id=task.id,
        name=task.name,
        group=task.level or task.category,
        difficulty=task.difficulty,
        tags=(*task.tags, *([task.category] if task.level and task.category else [])),
        steps=(Step(instruction=task.description, verification=_verification(task.verification, judging)),),
        files=files,
        setup=task.setup,
        env=task.env,
        network=task.network,
        timeout=task.timeout_seconds,
        max_turns=task.max_turns,
        repetitions=task.repetitions or (level.repetitions if level else None),
        solution=Solution(commands=(_all_of(task.solution),)) if task.solution else None,
        digest=digest(task.model_dump(), [root / placed.source for placed in (*files, *judging)]),
    )


def _verification(given: _Verification, files: tuple[Placed, ...]) -> TaskVerification:
    return TaskVerification(
        reward="exit_code" if given.type == "command" else "expectations",
        files=files,
        command=given.command,
        expectations=given.expected,
        env=given.env,
        timeout=given.timeout_seconds,
    )


def _all_of(lines: tuple[str, ...]) -> str:
    """Several lines as one, which stops at the first that fails."""
    return " && ".join(f"{{ {line}\n}}" for line in lines)


def _placed(files: tuple[_File, ...], root: Path, source: str) -> tuple[Placed, ...]:
    placed = []
    for file in files:
        refuse_escapes(root, inside(root, root, file.source, source))
        placed.append(Placed(source=file.source, target=file.target))
    return tuple(placed)


def _refuse_bad(expectation: Expectation) -> None:
    path = Path(expectation.path)
    if not expectation.path or path.is_absolute() or ".." in path.parts:
        raise ValueError(f"the path {quoted(expectation.path)} is no glob below the workspace")
    try:
        re.compile(expectation.matches)
    except re.error as error:
        raise ValueError(f"{quoted(expectation.matches)} is no regular expression: {error}") from error
