"""Where one trial is tried: in a directory under the sandbox, or in a container of its own."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from autoloop.containers import Found, contained, find_engine
from autoloop.core.suite import needs
from autoloop.core.suite.needs import Here
from autoloop.core.suite.order import TrialOrder
from autoloop.ports import Sandbox
from autoloop.sandbox.choosing import Choice
from autoloop.workspaces.workspace import Workspace


@dataclass(frozen=True)
class Ground:
    """What a trial stands on."""

    order: TrialOrder
    """Without what an image holds already."""
    workspace: Workspace
    sandbox: Sandbox


def there_is(order: TrialOrder, choice: Choice, environ: Mapping[str, str]) -> Here:
    """What this machine has for a task; an engine is looked for only where one could be used."""
    found = find_engine(environ) if order.task.container and order.containers != "never" else Found()
    rooted = choice.sandbox.tier == "bwrap"
    return Here(rooted, choice.warning, found.engine.name if found.engine else "", found.why)


def ground_of(
    order: TrialOrder, choice: Choice, here: Here, environ: Mapping[str, str], bench: Path, say: Callable[[str], None]
) -> Ground:
    """The ground of a trial that can be tried here; AutoloopError where its image cannot be had."""
    engine = find_engine(environ).engine if needs.in_container(order, here) else None
    if engine is not None:
        made = contained(order, engine, bench, say)
        return Ground(made.order, made.workspace, made.sandbox)
    workdir = Path(os.path.normpath(order.task.workdir))
    workspace = Workspace(Path(order.directory).resolve(), workdir, Path(order.suite), here.rooted)
    return Ground(order, workspace, choice.sandbox)
