"""Suites by path: task directories of Harbor and Terminal-Bench, JSON suites, exercism's exercises.

A class of the user's own is `package.module:Class@PATH`, where `PATH` may be left out. Formats are imported when a
suite is read.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from autoloop.config.classes import load_class
from autoloop.config.fields import quoted
from autoloop.errors import AutoloopError
from autoloop.ports import Suite, TaskSource

SOURCES = {
    "json": "autoloop.suites.sources.json_suite:JsonSuites",
    "harbor": "autoloop.suites.sources.harbor:HarborTasks",
    "exercism": "autoloop.suites.sources.exercism:ExercismExercises",
}
"""The formats, in the order in which they are tried."""
DOTTED = "package.module:Class@PATH"
_OF_THE_USER = re.compile(r"([\w.]+:\w+)(?:@(.+))?")
LOOKED_FOR = (
    "a JSON file with tasks, or a directory with a suite.json",
    "a directory with a task.toml, or of directories with one (Harbor, Terminal-Bench)",
    "an exercism track with exercises/practice, a directory of its exercises, or one with .meta or .docs",
)


def load_suite(path: Path, environ: Mapping[str, str] = os.environ) -> Suite:
    """The suite at a path, in whichever format; `environ` is what `${VAR}` in a task stands for."""
    if not path.exists() and (named := _OF_THE_USER.fullmatch(str(path))):
        return _of_the_user(named[1], Path(named[2] or "."))
    if not path.exists():
        raise AutoloopError(f"there is no suite at {path}", f"Name a file or a directory, or a class as {DOTTED}.")
    path = path.resolve()
    for name in SOURCES:
        source = _built_in(name, environ)
        if source.claims(path):
            return source.load(path)
    raise AutoloopError(f"{path} is no suite that can be read", _hint(path))


def source_class(name: str) -> type[TaskSource]:
    """The class behind a format's name or a dotted path `package.module:Class`."""
    return load_class(name, SOURCES, kind="the source of tasks", signature="load(path)", written=DOTTED)


def _built_in(name: str, environ: Mapping[str, str]) -> TaskSource:
    kind = source_class(name)
    return kind(environ) if name == "harbor" else kind()  # type: ignore[call-arg]


def _of_the_user(name: str, path: Path) -> Suite:
    suite = source_class(name)().load(path.resolve())
    if not isinstance(suite, Suite):
        raise AutoloopError(f"the source of tasks {quoted(name)} returned no autoloop.ports.Suite from load(path)")
    return suite


def _hint(path: Path) -> str:
    if path.is_dir() and (any(path.glob("task.yaml")) or any(path.glob("*/task.yaml"))):
        return "It has task.yaml, the earlier format of Terminal-Bench; only the one with task.toml can be read."
    return "Looked for: " + "; ".join(LOOKED_FOR) + "."
