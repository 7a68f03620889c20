"""Commands of a trial in its container: the tier `container`."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from autoloop.containers import inside
from autoloop.containers.box import Box
from autoloop.ports import Cell, Mount, Room, Tier

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
            prefix=(sys.executable, "-I", inside.__file__, json.dumps(settings)),
            cwd=cell.tree,
            env={
                f"{inside.ENGINE}{name}": value
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
