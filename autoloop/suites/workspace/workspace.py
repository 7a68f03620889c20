"""The workspace of one trial: the directory that an agent works in, and what a task has at other absolute paths.

Each try begins with nothing of an earlier one. What lies outside of the workdir takes a sandbox that gives a command a
root of its own; without one, a task that needs that cannot be tried. Below `/logs` an agent finds directories, and what
it leaves there lasts; only where the reward is read nothing of it stays. No link of an agent's is followed.
"""

import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from autoloop.core.suite.tasks import Placed
from autoloop.errors import AutoloopError
from autoloop.git.walk import is_real_folder, make_real, open_up, remove
from autoloop.ports import Cell, Mount, Network
from autoloop.sandbox.none import emptied
from autoloop.suites.workspace import copy_files

WORKSPACE = "workspace"
_SCRATCH = ".work"
PLACES = (WORKSPACE, _SCRATCH)
"""What stays in a trial's directory of a workspace that is kept."""
LASTING = ("root", "outside")
"""What of it belongs to the workspace."""
STEPS = "steps"
"""Where it has what the workspace held at the end of each step."""
_OTHER_ATTEMPT = re.compile(r"attempt-\d+")


@dataclass
class Workspace:
    """The workspace of one trial, and its directories on this machine."""

    directory: Path
    """The directory of the trial's records."""
    workdir: Path
    """Where commands find the tree, when they have a root of their own."""
    suite: Path
    rooted: bool
    """Whether commands have a root of their own."""
    whole: ClassVar[bool] = True
    """Whether what is kept of it is all that a verifier could look at."""
    outside: dict[Path, Path] = field(default_factory=dict)
    """What stands at paths of this machine: the path, and where the files really are."""

    @property
    def tree(self) -> Path:
        """The directory that the agent works in."""
        return self.directory / WORKSPACE

    @property
    def scratch(self) -> Path:
        """The directory that goes with the trial: homes, logs, the record of sessions in progress."""
        return self.directory / _SCRATCH

    @property
    def rootfs(self) -> Path:
        """The root of the commands, as far as it is their own."""
        return self.scratch / LASTING[0]

    @property
    def logs(self) -> Path:
        """The directory of the verifier's reward."""
        return self.scratch / "logs"

    def begin(self) -> None:
        """Remove whatever an earlier try left; other attempts have directories of their own."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for entry in os.scandir(bytes(self.directory)):
            if not _OTHER_ATTEMPT.fullmatch(os.fsdecode(entry.name)):
                remove(entry.path)
        for folder in (self.tree, self.rootfs):
            folder.mkdir(parents=True)
        if not self.rooted:
            return
        make_logs(self.rootfs)
        if not _is_of_machine(self.workdir.parts[1]):
            make_real(bytes(self.rootfs), bytes(self.workdir.relative_to("/")))

    def resumed(self, files: tuple[Placed, ...]) -> bool:
        """Take up a workspace that was kept; whether there is one."""
        if not is_real_folder(bytes(self.tree)):
            return False
        self.rootfs.mkdir(parents=True, exist_ok=True)
        for file in files:
            self._where(file.target)
        if self.rooted:
            make_logs(self.rootfs)
        self.outside = {seen: real for seen, real in self.outside.items() if real.exists()}  # a later step's is not
        return True

    def close(self) -> None:
        """End the use of the workspace: no command runs in it any more."""

    def tidy(self) -> None:
        """Remove what goes with the trial, and not with what it left at its absolute paths."""
        for entry in os.scandir(bytes(self.scratch)) if self.scratch.is_dir() else ():
            if os.fsdecode(entry.name) not in (*LASTING, STEPS):
                remove(entry.path)
        remove_empty_logs(self.rootfs)
        steps = (self.scratch / STEPS).is_dir()
        if not self.outside and not steps and not any(map(os.listdir, self._made_at_root())):
            remove(bytes(self.scratch))

    def place(self, files: tuple[Placed, ...]) -> None:
        """Copy files of the suite; what stands in their place is replaced."""
        for file in files:
            source = copy_files.source_in(self.suite, file.source)
            base, below = self._where(file.target)
            copy_files.copy(source, base, below)
            if file.script:
                copy_files.let_run(base / below / file.script)

    def clear(self, files: tuple[Placed, ...], spared: tuple[Placed, ...] = ()) -> None:
        """Remove what is at the places of these files. A directory that is the agent's too keeps what else is in it."""
        shared = {self._seen(file.target) for file in spared}
        for file in files:
            seen, (base, below) = self._seen(file.target), self._where(file.target)
            source = copy_files.source_in(self.suite, file.source)
            if source.is_dir() and (seen.is_relative_to(self.workdir) or seen in shared):
                for inner in copy_files.files_in(source):
                    copy_files.unlink(base, below / inner)
            else:
                copy_files.unlink(base, below)

    def cell(self, home: str, *, network: Network, logs: bool = False, tracing: bool = True) -> Cell:
        """The cell of one command of the trial, with an empty home."""
        if not self.rooted:
            return Cell(tree=self.tree, home=self.home(home), network=network, tracing=tracing)
        mounts = [Mount(real, seen, writable=True) for seen, real in self.outside.items()]
        return Cell(
            tree=self.tree,
            home=self.home(home),
            network=network,
            tracing=tracing,
            at=self.workdir,
            rootfs=self.rootfs,
            mounts=(*mounts, *((Mount(self.logs, VERIFIER, writable=True),) if logs else ())),
        )

    def home(self, name: str) -> Path:
        """An empty private home for one command."""
        return emptied(self.scratch / "homes" / name)

    def fresh_logs(self) -> None:
        """Empty the place of the reward; what else lies below `/logs` stays."""
        clear_verifier(self.rootfs)
        remove(bytes(self.logs))
        self.logs.mkdir()

    def fingerprint(self) -> int:
        """A number that changes when files do; a closed folder is not looked into."""
        tops = (self.tree, *(self.outside.values()))
        seen = [entry for top in tops for entry in _listing(top)]
        if self.rooted:
            seen += (entry for top in self._made_at_root() for entry in _listing(top))
        return hash(tuple(sorted(seen)))

    def _made_at_root(self) -> list[Path]:
        """What a command made beside this machine's entries, and where the workdir is mounted."""
        return [top for top in self.rootfs.iterdir() if not _is_of_machine(top.name)] if self.rootfs.is_dir() else []

    def _seen(self, target: str) -> Path:
        return Path(os.path.normpath(self.workdir / target))

    def _where(self, target: str) -> tuple[Path, Path]:
        """A directory that is ours, and where below it a target lies."""
        seen = self._seen(target)
        if seen.is_relative_to(self.workdir):
            return self.tree, seen.relative_to(self.workdir)
        if not self.rooted:
            raise AutoloopError(f"the task has a file at {seen}, which takes bubblewrap")
        if not _is_of_machine(seen.parts[1]):
            return self.rootfs, seen.relative_to("/")
        for known, real in self.outside.items():
            if seen.is_relative_to(known) and real.is_dir():
                return real, seen.relative_to(known)
        outside = self.scratch / LASTING[1]
        outside.mkdir(parents=True, exist_ok=True)
        self.outside[seen] = outside / seen.relative_to("/")
        return outside, seen.relative_to("/")


def _is_of_machine(top: str) -> bool:
    """Whether this machine has an entry of that name in its root."""
    return os.path.lexists(f"/{top}")


def _listing(top: Path) -> list[tuple[str, int, int, int]]:
    """Every file and link with what tells a change of it; a folder may be where something is mounted."""
    found = []
    folders = [str(top)] if is_real_folder(bytes(top)) else []
    if not folders and os.path.lexists(top):
        found.append(_entry(str(top)))
    while folders:
        with suppress(PermissionError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    found.append(_entry(entry.path))
    return found


def _entry(path: str) -> tuple[str, int, int, int]:
    info = os.lstat(path)
    return path, info.st_mode, info.st_size, info.st_mtime_ns


VERIFIER = Path("/logs/verifier")
"""The directory of the reward."""
BESIDE = (VERIFIER.with_name("agent"), VERIFIER.with_name("artifacts"))
_TOP = VERIFIER.parent.relative_to("/")
_ALL = [path.relative_to("/") for path in (VERIFIER, *BESIDE)]


def make_logs(rootfs: Path) -> None:
    """Make the directories in a root, where they are not there."""
    for path in _ALL:
        make_real(bytes(rootfs), bytes(path))


def clear_verifier(rootfs: Path) -> None:
    """Remove what stands where a verifier leaves its reward."""
    make_real(bytes(rootfs), bytes(_TOP))
    open_up(bytes(rootfs / _TOP))
    remove(bytes(rootfs / VERIFIER.relative_to("/")))


def remove_empty_logs(rootfs: Path) -> None:
    """Remove the directories again, as far as nothing is in them."""
    if not is_real_folder(bytes(rootfs / _TOP)):
        return
    for path in (*_ALL, _TOP):
        with suppress(OSError):
            (rootfs / path).rmdir()
