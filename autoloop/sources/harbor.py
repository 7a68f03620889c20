"""Task directories of Harbor and Terminal-Bench: a dataset of them, or one.

What takes a container is said, with the reason: it is for others to have one, or not.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autoloop.core.suite.task import Container, Healthcheck, Placed, Solution, Step, SuiteTask, Verification
from autoloop.errors import AutoloopError
from autoloop.fields import quoted, read_values
from autoloop.ports import Suite
from autoloop.sources.assembling import assemble, make_task
from autoloop.sources.containers.bases import without_it
from autoloop.sources.containers.context import context_of
from autoloop.sources.containers.image import WORKDIR, Image, read_image, why_no_place
from autoloop.sources.containers.variables import fill, missing
from autoloop.sources.contents import digest, refuse_escapes, text_of
from autoloop.sources.present import Has, has_program
from autoloop.sources.task_toml import StepTable, VerifierTable, needs, read_task_toml

FILE = "task.toml"
TEST = "bash /tests/test.sh"
_COMPOSE = ("docker-compose.yaml", "docker-compose.yml", "compose.yaml", "compose.yml")
_INSTALLS = re.compile(r"^[^#\n]*\b(apt-get|apt|apk|yum|dnf)\s+(?:-\S+\s+)*(?:install|add|update)\b", re.MULTILINE)


@dataclass(frozen=True)
class HarborTasks:
    """A directory with a `task.toml`, or a directory of such directories."""

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    """What `${VAR}` stands for."""
    has: Has = has_program

    def claims(self, path: Path) -> bool:
        """Whether there is a `task.toml`, here or one level below."""
        return path.is_dir() and bool(_directories(path))

    def load(self, path: Path) -> Suite:
        """Read every task; hidden directories and those without a `task.toml` are none."""
        tasks = [_Reading(path, directory, self).task() for directory in _directories(path)]
        return assemble(path.name, "", path, tasks, str(path))


def _directories(path: Path) -> list[Path]:
    if (path / FILE).is_file():
        return [path]
    return sorted(file.parent for file in path.glob(f"*/{FILE}") if not file.parent.name.startswith("."))


class _Reading:
    """One task directory on its way to a task."""

    def __init__(self, root: Path, directory: Path, source: HarborTasks) -> None:
        self.root = root
        self.directory = directory
        self.environ = source.environ
        self.has = source.has
        self.source = str(directory / FILE)
        refuse_escapes(root, directory)
        self.table = read_task_toml(read_values(directory / FILE, self.source), self.source)
        self.steps = list(self.table.steps) or self._steps_by_name()

    def task(self) -> SuiteTask:
        """Everything together."""
        table, image = self.table, self._image()
        environment = {**image.env, **table.environment.env}
        workdir = table.environment.workdir or image.workdir or WORKDIR
        return make_task(
            self.source,
            id=self.directory.name,
            name=table.task.name,
            group=_text(table.metadata, "category"),
            difficulty=_text(table.metadata, "difficulty"),
            tags=self._tags(),
            steps=tuple(self._step(step) for step in self.steps) or (self._step(None),),
            workdir=workdir,
            files=tuple(image.files),
            setup=tuple(image.setup),
            setup_timeout=table.environment.build_timeout_sec,
            env=self._filled(environment),
            needs_paths=True,
            network=table.network,
            timeout=self._timeout(),
            solution=self._solution(),
            unsupported=self._unsupported(workdir),
            container=self._container(),
            contained=self._contained(image, workdir),
            digest=digest((), [self.directory]),
        )

    def _steps_by_name(self) -> list[StepTable]:
        if (self.directory / "instruction.md").is_file():
            return []
        return [StepTable(name=file.parent.name) for file in sorted(self.directory.glob("steps/*/instruction.md"))]

    def _step(self, step: StepTable | None) -> Step:
        if step is None:
            return Step(
                instruction=self._instruction(self.directory), verification=self._verification(self.table.verifier, [])
            )
        directory = self._of(step)
        least = step.min_reward if isinstance(step.min_reward, float) else None
        verification = self._verification(self.table.of_step(step, self.source), [directory])
        return Step(
            name=step.name, instruction=self._instruction(directory), verification=verification, min_reward=least
        )

    def _of(self, step: StepTable) -> Path:
        if step.name.startswith(".") or "/" in step.name:
            raise AutoloopError(f"{self.source}: steps: {quoted(step.name)} is no name for a directory")
        return self.directory / "steps" / step.name

    def _instruction(self, directory: Path) -> str:
        text = text_of(directory / "instruction.md", self.root)
        if not text.strip():
            raise AutoloopError(f"{directory / 'instruction.md'} is empty")
        return text

    def _verification(self, table: VerifierTable, steps: list[Path]) -> Verification:
        """The task's tests, and over them those of the step."""
        tests = [path / "tests" for path in [self.directory, *steps] if (path / "tests").is_dir()]
        if not any((path / "test.sh").is_file() for path in tests):
            wanted = " or ".join(str(path / "tests" / "test.sh") for path in [*steps, self.directory])
            raise AutoloopError(f"there is no {wanted}", "A task needs a script that judges it.")
        return Verification(
            reward="file",
            files=tuple(self._placed(path, "/tests") for path in tests),
            command=TEST,
            env=self._filled(table.env),
            timeout=table.timeout_sec,
            user=str(table.user),
        )

    def _image(self) -> Image:
        directory = self.directory / "environment"
        file = directory / "Dockerfile"
        if not file.is_file():
            named = self.table.environment.docker_image
            return Image(contained=without_it(named, self.has) if named else "")
        context = context_of(self.root, directory)
        return read_image(text_of(file, self.root), context, self.environ, self.has, str(file))

    def _solution(self) -> Solution | None:
        """None where a part of it, or a variable that it needs, is not there."""
        own = [self._of(step) / "solution" for step in self.steps]
        shared = self.directory / "solution"
        parts = [part if (part / "solve.sh").is_file() else shared for part in own] or [shared]
        env = self.table.solution.env
        if not all((part / "solve.sh").is_file() for part in parts) or missing(env.values(), self.environ):
            return None
        places = {part: "/solution" if part == shared else f"/solution/steps/{part.parent.name}" for part in parts}
        return Solution(
            commands=tuple(f"bash {places[part]}/solve.sh" for part in parts),
            files=tuple(self._placed(part, place) for part, place in places.items()),
            env=self._filled(env),
        )

    def _container(self) -> Container | None:
        """None where nothing is said of an image."""
        environment, directory = self.table.environment, self.directory / "environment"
        built = (directory / "Dockerfile").is_file() and not environment.docker_image
        if not built and not environment.docker_image:
            return None
        check = environment.healthcheck
        return Container(
            image=environment.docker_image,
            context=directory.relative_to(self.root).as_posix() if built else "",
            digest=digest((), [directory]) if built else "",
            workdir=environment.workdir,
            env=self._filled(environment.env),
            cpus=environment.cpus,
            memory_mb=environment.megabytes,
            healthcheck=Healthcheck(**check.as_fields()) if check else None,
        )

    def _unsupported(self, workdir: str) -> str:
        """What not even a container would give."""
        compose = next((name for name in _COMPOSE if (self.directory / "environment" / name).is_file()), "")
        return (
            needs(self.table)
            or ("its environment is a compose file: several containers are not supported" if compose else "")
            or ("" if workdir.startswith("/") else f"its workdir {quoted(workdir)} is not absolute")
            or ("its workdir is / itself" if workdir == "/" else "")
            or self._hooks()
            or self._missing()
        )

    def _contained(self, image: Image, workdir: str) -> str:
        """Why its files and lines of setup alone will not do."""
        checked = self.table.environment.healthcheck is not None
        return (
            image.contained
            or why_no_place(workdir, "its workdir")
            or self._installing()
            or ("it has a healthcheck" if checked else "")
        )

    def _hooks(self) -> str:
        found = next((step.name for step in self.steps if (self._of(step) / "workdir").exists()), "")
        return f"its step {found} brings files or a setup of its own (steps/{found}/workdir)" if found else ""

    def _installing(self) -> str:
        scripts = [*self.directory.glob("tests/test.sh"), *self.directory.glob("steps/*/tests/test.sh")]
        found = next((match for script in scripts if (match := _INSTALLS.search(text_of(script, self.root)))), None)
        return f"its test.sh installs packages ({found[1]})" if found else ""

    def _missing(self) -> str:
        verifiers = [self.table.of_step(step, self.source) for step in self.steps] or [self.table.verifier]
        tables = [self.table.environment.env, *(table.env for table in verifiers)]
        names = missing([text for table in tables for text in table.values()], self.environ)
        return f"it needs the environment variable {', '.join(names)}" if names else ""

    def _timeout(self) -> float | None:
        """The seconds of all steps together; None when one of them has none."""
        if not self.steps:
            return self.table.agent.timeout_sec
        each = [step.agent.timeout_sec or self.table.agent.timeout_sec for step in self.steps]
        return None if None in each else sum(seconds for seconds in each if seconds)

    def _tags(self) -> tuple[str, ...]:
        tags = self.table.metadata.get("tags", [])
        return (*self.table.task.keywords, *map(str, tags if isinstance(tags, list) else [tags]))

    def _filled(self, env: Mapping[str, str]) -> dict[str, str]:
        return {name: fill(text, self.environ) for name, text in env.items()}

    def _placed(self, path: Path, target: str) -> Placed:
        return Placed(source=path.relative_to(self.root).as_posix(), target=target)


def _text(table: Mapping[str, Any], name: str) -> str:
    value = table.get(name, "")
    return value if isinstance(value, str) else str(value)
