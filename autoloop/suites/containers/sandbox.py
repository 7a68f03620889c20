"""The tier `container`: from the order of a trial to its container, and how commands are run in it."""

import hashlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from autoloop.core.suite.tasks import Container, TrialOrder
from autoloop.errors import AutoloopError
from autoloop.ports import Cell, Mount, Room, Tier
from autoloop.suites.containers import exec
from autoloop.suites.containers.container import Box
from autoloop.suites.containers.engine import BuiltImage, Engine, ready_image
from autoloop.suites.containers.workspace import ContainedWorkspace
from autoloop.suites.workspace.workspace import BESIDE

_OF_THE_ENGINE = ("HOME", "PATH", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "SSH_AUTH_SOCK")
_KINDS = ("DOCKER_", "CONTAINER_", "BUILDKIT_")
"""Variables by which an engine's program finds its settings and its service."""


@dataclass(frozen=True)
class ContainerSandbox:
    """Runs commands in one container. A command sees its image, its workspace and what its cell names, nothing else."""

    box: Box
    homes: Path
    """The directory of private homes."""
    packets: Path
    """The directory of what sessions are told."""
    agents_home: Path
    """The home that stands in the place of the image's; all other commands have the image's own."""
    tier: Tier = "container"

    def enter(self, cell: Cell) -> Room:
        """How to start one command; the container runs by then."""
        at = cell.at or Path(self.box.workdir)
        self.box.ready(self._mounts(cell, at), online=cell.network == "on")
        home = {"HOME": str(cell.home)} if cell.home == self.agents_home else {}
        known = self.box.engine.environ
        settings = {
            "program": self.box.engine.program,
            "name": self.box.name,
            "workdir": str(at),
            "user": cell.user,
            "env": home,
            "notes": str(self.homes),
        }
        return Room(
            prefix=(sys.executable, "-I", exec.__file__, json.dumps(settings)),
            cwd=cell.tree,
            env={
                f"{exec.ENGINE}{name}": value
                for name, value in known.items()
                if name in _OF_THE_ENGINE or name.startswith(_KINDS)
            },
            still=self.box.still,
            seen=lambda path: at / path.relative_to(cell.tree) if path.is_relative_to(cell.tree) else path,
        )

    def _mounts(self, cell: Cell, at: Path) -> list[Mount]:
        own = [Mount(cell.tree, at, True), Mount(self.homes, self.homes, True), Mount(self.packets, self.packets)]
        shown = [path for path in (*cell.shows, *cell.reads) if path.exists() and not path.is_relative_to(self.packets)]
        return [
            *own,
            *cell.mounts,
            *(Mount(path, path) for path in shown),
            *(Mount(path, path, True) for path in (*cell.kept, *cell.writes) if path.exists()),
        ]


WORKDIR = "/app"
"""The workdir where neither the task nor its image names one."""
_PLACES = (Path("/tests"), Path("/solution"), *BESIDE)
"""Where a task's judging and solving files stand, and what an agent leaves for its verifier."""


@dataclass(frozen=True)
class Contained:
    """A trial that is tried in a container."""

    order: TrialOrder
    """Without what the image holds already."""
    workspace: ContainedWorkspace
    sandbox: ContainerSandbox


def contained(order: TrialOrder, engine: Engine, bench: Path, say: Callable[[str], None]) -> Contained:
    """Have the image, and the rest ready to begin; AutoloopError where the image cannot be had."""
    task, wanted = order.task, order.task.container
    assert wanted is not None, "who has none is not asked"
    image = ready_image(engine, wanted, Path(order.suite), bench / ".images", task.setup_timeout, say)
    workdir = _workdir(wanted, image)
    directory = Path(order.directory).resolve()
    box = Box(engine, image, _name(directory), str(bench), wanted, workdir, lasts=order.longest)
    outside = {place: directory / ".work/outside" / place.name for place in _PLACES}
    workspace = ContainedWorkspace(directory, Path(workdir), Path(order.suite), True, outside, box=box)
    sandbox = ContainerSandbox(box, workspace.homes, workspace.packets, workspace.homes / "agent")
    bare = task.model_copy(update={"workdir": workdir, "files": (), "setup": (), "env": {}})
    return Contained(order.model_copy(update={"task": bare}), workspace, sandbox)


def _workdir(wanted: Container, image: BuiltImage) -> str:
    found = os.path.normpath(wanted.workdir or image.workdir or WORKDIR)
    if found == "/" and not wanted.workdir:
        return WORKDIR
    if found == "/":
        raise AutoloopError("its workdir is / itself, which cannot be a workspace")
    return found


def _name(directory: Path) -> str:
    """The name of a trial's container: the same for each try."""
    return f"autoloop-{hashlib.sha256(bytes(directory)).hexdigest()[:20]}"
