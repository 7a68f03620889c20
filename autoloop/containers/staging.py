"""From the order of a trial to its container: the image, the workspace, and how commands are run."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from autoloop.containers.box import Box
from autoloop.containers.engine import Engine
from autoloop.containers.images import Image, ready_image
from autoloop.containers.sandbox import ContainerSandbox
from autoloop.containers.workspace import ContainedWorkspace
from autoloop.core.suite.order import TrialOrder
from autoloop.core.suite.task import Container
from autoloop.errors import AutoloopError
from autoloop.workspaces.logs import BESIDE

WORKDIR = "/app"
"""Where neither the task nor its image says one."""
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


def _workdir(wanted: Container, image: Image) -> str:
    found = os.path.normpath(wanted.workdir or image.workdir or WORKDIR)
    if found == "/" and not wanted.workdir:
        return WORKDIR
    if found == "/":
        raise AutoloopError("its workdir is / itself, which cannot be a workspace")
    return found


def _name(directory: Path) -> str:
    """Of the container: the same for each try of a trial."""
    return f"autoloop-{hashlib.sha256(bytes(directory)).hexdigest()[:20]}"
