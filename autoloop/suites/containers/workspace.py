"""The workspace of a trial in a container: the workdir is a directory of ours, filled from the image.

The places of tests, solution and reward are directories of ours as well, and empty while an agent works. They change
only while the container stands still, when none of its processes can see or follow it.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from autoloop.core.suite.tasks import Placed
from autoloop.errors import AutoloopError
from autoloop.git.walk import is_real_folder, remove
from autoloop.ports import Cell, Mount, Network
from autoloop.suites.containers.container import Box
from autoloop.suites.workspace.workspace import BESIDE, VERIFIER, Workspace

_FOR_ALL = 0o777
"""Rights for everybody: the image's user may have any id."""


@dataclass
class ContainedWorkspace(Workspace):
    """A workspace whose commands run in a container."""

    whole: ClassVar[bool] = False
    box: Box = field(kw_only=True)

    def begin(self) -> None:
        """Remove what an earlier try left, and fill the workdir from the image."""
        self.box.remove()
        left = [folder for folder in (self.tree, self.scratch) if is_real_folder(bytes(folder))]
        if left and os.getuid():  # whoever made it was killed before it became ours
            self.box.give_back(*left)
        super().begin()
        for folder in (*self.outside.values(), self.homes, self.packets):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.homes, *(self.outside[place] for place in BESIDE)):
            folder.chmod(_FOR_ALL)
        self.fresh_logs()
        self.box.fill(self.tree)
        if os.getuid() and self.box.image.is_roots:  # who may write anything, whoever owns it
            self.box.give_back(self.tree, harmless=False)

    def resumed(self, files: tuple[Placed, ...]) -> bool:
        """Refused: the workdir was kept, and nothing else of the container."""
        raise AutoloopError("it was tried in a container, and what it changed outside of its workdir went with that")

    def place(self, files: tuple[Placed, ...]) -> None:
        """Copy files of the suite, unseen by any process of the container."""
        if files:
            self._still(files)
            super().place(files)

    def clear(self, files: tuple[Placed, ...], spared: tuple[Placed, ...] = ()) -> None:
        """Remove what is at the places of these files."""
        if files:
            self._still(files)
            super().clear(files, spared)

    def fresh_logs(self) -> None:
        """Empty the place of the reward, and end every process that could write one."""
        self._still()
        super().fresh_logs()
        self.logs.chmod(_FOR_ALL)

    def cell(self, home: str, *, network: Network, logs: bool = False, tracing: bool = True) -> Cell:
        """What one command of the trial may reach. The place of the reward is there from the start, read last."""
        mounts = [Mount(real, seen, writable=True) for seen, real in self.outside.items()]
        return Cell(
            tree=self.tree,
            home=self.home(home),
            network=network,
            tracing=tracing,
            at=self.workdir,
            mounts=(*mounts, Mount(self.logs, VERIFIER, writable=True)),
        )

    def home(self, name: str) -> Path:
        """An empty private home for one command."""
        found = super().home(name)
        found.chmod(_FOR_ALL)
        return found

    def tidy(self) -> None:
        """Remove everything but the workdir, which is all that can be kept of a container."""
        remove(bytes(self.scratch))

    def close(self) -> None:
        """Remove the container; what it left in directories of ours becomes ours."""
        left = [folder for folder in (self.tree, self.scratch) if is_real_folder(bytes(folder))]
        if left and (self.box.made or os.getuid()):  # the image's files are there before the container is
            self.box.give_back(*left)
        self.box.remove()

    def fingerprint(self) -> int:
        """A number that changes when files do, in the workdir and elsewhere in the container."""
        return hash((super().fingerprint(), self.box.changes()))

    @property
    def homes(self) -> Path:
        """The directory of private homes."""
        return self.scratch / "homes"

    @property
    def packets(self) -> Path:
        """The directory of what sessions are told."""
        return self.scratch / "sessions"

    def _still(self, files: tuple[Placed, ...] = ()) -> None:
        """Have no process in it, and what it left ours to change where these files come to lie."""
        ran = self.box.running
        self.box.halt()
        if os.getuid() == 0:
            return
        there = any(self._where(file.target)[0] == self.tree for file in files)
        if places := [*([self.scratch] if ran else []), *([self.tree] if there else [])]:
            self.box.give_back(*places, harmless=False)

    def _where(self, target: str) -> tuple[Path, Path]:
        seen = self._seen(target)
        if seen.is_relative_to(self.workdir):
            return self.tree, seen.relative_to(self.workdir)
        for place, real in self.outside.items():
            if seen.is_relative_to(place):
                real.mkdir(parents=True, exist_ok=True)
                return real, seen.relative_to(place)
        raise AutoloopError(f"the task has a file at {seen}, which has no place in its container")
