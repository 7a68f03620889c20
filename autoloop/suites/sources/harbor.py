"""Task directories of Harbor and Terminal-Bench: a dataset of them, or one.

What takes a container is said, with the reason: it is for others to have one, or not.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autoloop.config.fields import quoted, read_values
from autoloop.core.suite.tasks import Container, Healthcheck, SuiteTask
from autoloop.ports import Suite
from autoloop.suites.sources.assemble import Has, assemble, has_program, make_task
from autoloop.suites.sources.contents import digest, refuse_escapes, text_of
from autoloop.suites.sources.dockerfile.commands import without_it
from autoloop.suites.sources.dockerfile.image import WORKDIR, Image, read_image, why_no_place
from autoloop.suites.sources.dockerfile.parse import context_of, fill, missing
from autoloop.suites.sources.steps import StepReader
from autoloop.suites.sources.task_toml import needs, other_verifier, read_task_toml

FILE = "task.toml"
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
        tasks = [_TaskReader(path, directory, self).task() for directory in _directories(path)]
        return assemble(path.name, "", path, tasks, str(path))


def _directories(path: Path) -> list[Path]:
    if (path / FILE).is_file():
        return [path]
    return sorted(file.parent for file in path.glob(f"*/{FILE}") if not file.parent.name.startswith("."))


class _TaskReader:
    """One task directory on its way to a task."""

    def __init__(self, root: Path, directory: Path, source: HarborTasks) -> None:
        self.root = root
        self.directory = directory
        self.environ = source.environ
        self.has = source.has
        self.source = str(directory / FILE)
        refuse_escapes(root, directory)
        self.table = read_task_toml(read_values(directory / FILE, self.source), self.source)
        self.steps = StepReader(root, directory, self.table, self.environ, self.source)

    def task(self) -> SuiteTask:
        """The task that its files make, all parts together."""
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
            steps=self.steps.steps(),
            counts=table.multi_step_reward_strategy,
            workdir=workdir,
            files=tuple(image.files),
            setup=tuple(image.setup),
            setup_timeout=table.environment.build_timeout_sec,
            env=self._filled(environment),
            needs_paths=True,
            network=table.network,
            bounds=table.environment.bounds,
            timeout=self.steps.seconds(),
            solution=self.steps.solution(),
            unsupported=self._unsupported(workdir),
            container=self._container(),
            contained=self._contained(image, workdir),
            digest=digest((), [self.directory]),
        )

    def _image(self) -> Image:
        directory = self.directory / "environment"
        file = directory / "Dockerfile"
        if not file.is_file():
            named = self.table.environment.docker_image
            return Image(contained=without_it(named, self.has) if named else "")
        context = context_of(self.root, directory)
        return read_image(text_of(file, self.root), context, self.environ, self.has, str(file))

    def _container(self) -> Container | None:
        """The task's container; None where nothing is said of an image."""
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
        """What the task needs that not even a container would give."""
        compose = next((name for name in _COMPOSE if (self.directory / "environment" / name).is_file()), "")
        return (
            needs(self.table)
            or ("its environment is a compose file: several containers are not supported" if compose else "")
            or ("" if workdir.startswith("/") else f"its workdir {quoted(workdir)} is not absolute")
            or ("its workdir is / itself" if workdir == "/" else "")
            or self.steps.unsupported()
            or self._missing()
        )

    def _contained(self, image: Image, workdir: str) -> str:
        """Why the task's files and lines of setup alone will not do."""
        return (
            image.contained
            or why_no_place(workdir, "its workdir")
            or self._installing()
            or ("it has a healthcheck" if self.table.environment.healthcheck else "")
            or other_verifier(self.table)
        )

    def _installing(self) -> str:
        places = ("tests/test.sh", "steps/*/tests/test.sh", "steps/*/workdir/setup.sh")
        scripts = [script for place in places for script in self.directory.glob(place)]
        installs = ((script.name, _INSTALLS.search(text_of(script, self.root))) for script in scripts)
        found = next(((name, match[1]) for name, match in installs if match), None)
        return f"its {found[0]} installs packages ({found[1]})" if found else ""

    def _missing(self) -> str:
        tables = [self.table.environment.env, *(table.env for table in self.steps.verifiers())]
        names = missing([text for table in tables for text in table.values()], self.environ)
        return f"it needs the environment variable {', '.join(names)}" if names else ""

    def _tags(self) -> tuple[str, ...]:
        tags = self.table.metadata.get("tags", [])
        return (*self.table.task.keywords, *map(str, tags if isinstance(tags, list) else [tags]))

    def _filled(self, env: Mapping[str, str]) -> dict[str, str]:
        return {name: fill(text, self.environ) for name, text in env.items()}


def _text(table: Mapping[str, Any], name: str) -> str:
    value = table.get(name, "")
    return value if isinstance(value, str) else str(value)
