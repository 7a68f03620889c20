"""Tasks put together: what every format must hold to, said once. Nothing here knows a format."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from autoloop.config.fields import quoted
from autoloop.core.suite.tasks import SuiteTask
from autoloop.errors import AutoloopError
from autoloop.ports import Suite
from autoloop.process.environment import executable
from autoloop.suites.sources.contents import digest

_TAKEN = frozenset({"results.json", "report.md", "delta.json"})
"""What stands beside the directories of tasks in an iteration's directory."""
_LONGEST_ID = 120


def make_task(source: str, **fields: Any) -> SuiteTask:
    """A task of these fields; an AutoloopError where they make none."""
    try:
        task = SuiteTask(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        said = first["ctx"]["error"] if first["type"] == "value_error" else f"{where}: {first['msg']}"
        raise AutoloopError(f"{source}: {said}") from error
    _refuse_bad_id(source, task.id)
    return task


def assemble(name: str, version: str, root: Path, tasks: Sequence[SuiteTask], source: str) -> Suite:
    """The suite of these tasks; an AutoloopError when there are none, when two share an id, or one shows its tests."""
    if not tasks:
        raise AutoloopError(f"{source}: the suite has no tasks")
    first: dict[str, int] = {}
    for number, task in enumerate(tasks):
        if task.id in first:
            places = f"tasks {first[task.id] + 1} and {number + 1}"
            raise AutoloopError(f"{source}: the id {quoted(task.id)} stands twice, in {places}", "Rename one of them.")
        first[task.id] = number
        _refuse_leaks(task, root, source)
    return Suite(name, version or digest([(task.id, task.digest) for task in tasks], ()), root, tuple(tasks))


def _refuse_bad_id(source: str, name: str) -> None:
    """Beyond what no task may be called: names that another file has, and those that a file system refuses."""
    if name in _TAKEN:
        raise AutoloopError(f"{source}: the id {quoted(name)} is the name of a file of results", "Rename the task.")
    if not name.isprintable() or "\\" in name or name != name.strip() or len(name.encode()) > _LONGEST_ID:
        raise AutoloopError(
            f"{source}: the id {quoted(name)} is no name for a directory",
            f"An id has up to {_LONGEST_ID} bytes, no line breaks, no slashes, and no spaces at its ends.",
        )


def _refuse_leaks(task: SuiteTask, root: Path, source: str) -> None:
    """What judges the work, and the solution, must not be among the files that the agent finds."""
    shown = [(root / placed.source).resolve() for placed in task.found]
    hidden = [placed for step in task.steps for placed in step.verification.files if not placed.again]
    hidden += task.solution.files if task.solution else ()
    for placed in hidden:
        secret = (root / placed.source).resolve()
        if any(secret.is_relative_to(path) or path.is_relative_to(secret) for path in shown):
            raise AutoloopError(
                f"{source}: task {quoted(task.id)} shows the agent {placed.source}, which judges or solves it",
                "Take it out of the files that the agent finds.",
            )


Has = Callable[[str], bool]
"""Whether a program is on this machine's search path."""


def has_program(name: str) -> bool:
    """Whether a program is on this machine's search path."""
    return executable(name) is not None
