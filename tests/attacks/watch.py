"""Looks on while a run goes: what is left running, and what happens to the files that only the loop may write."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from autoloop.ports import Progress
from autoloop.process import proctable
from tests.attacks.world import TOKEN, World


class Watch:
    """Is told of each step of a run, before the step begins."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.broken: dict[str, None] = {}
        """What was found, each once."""
        self.run: Path | None = None
        self.record = b""
        self.journal = b""
        self.waiting = 0
        """Lines of the journal when the session began."""
        self.seen: list[Progress] = []

    def __call__(self, sign: Progress) -> None:
        """Look, unless an agent is at work, whose words these are."""
        self.seen.append(sign)
        if sign.phase == "agent" and sign.text:
            return
        if self.run is None:
            self._begin()
        if self.run is None:
            return
        for what in survivors(self.world):
            self.broken[f"after {self.phase}: {what} is still alive"] = None
        self._look_at_journal(sign)
        self.phase = f"{sign.phase} {sign.text}".strip()

    phase = "the start"

    def _begin(self) -> None:
        found = sorted((self.world.root / ".autoloop/runs/p").glob("[0-9]*"))
        if not found:
            return
        self.run = found[-1]
        self.record = (self.run / "run.json").read_bytes()
        (self.run / "private.txt").write_text(f"{TOKEN}-run\n")

    def _look_at_journal(self, sign: Progress) -> None:
        assert self.run is not None
        try:
            found = (self.run / "journal.jsonl").read_bytes()
        except OSError as error:
            self.broken[f"the journal cannot be read: {error.strerror}"] = None
            return
        if not found.startswith(self.journal):
            self.broken["a line of the journal was changed"] = None
        if sign.phase == "agent":
            self.waiting = found.count(b"\n")
        if sign.phase == "capture" and found.count(b"\n") != self.waiting + 1:
            self.broken["the journal has lines that the loop did not write"] = None
        self.journal = found


def survivors(world: World) -> Iterator[str]:
    """Children of this process, to which orphans come, and whoever has to do with the world."""
    own = {os.getpid(), os.getppid()}
    for pid in {*proctable.children(), *_related(str(world.folder))} - own:
        row = proctable.look(pid)
        if row is not None:
            yield f"{_words(pid)} ({row.state})"


def _related(folder: str) -> Iterator[int]:
    """Processes that have the folder in their environment, or work in it."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        if folder.encode() in _read(name, "environ") or any(link.startswith(folder) for link in _links(name)):
            yield int(name)


def _read(pid: str, what: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes()
    except OSError:
        return b""


def _links(pid: str) -> Iterator[str]:
    for path in (f"/proc/{pid}/cwd", f"/proc/{pid}/root"):
        try:
            yield os.readlink(path)
        except OSError:
            continue


def _words(pid: int) -> str:
    said = _read(str(pid), "cmdline").replace(b"\0", b" ").decode(errors="replace").strip()
    return f"process {pid}, {said[:80] or 'without a name'}"


def kind_of(path: Path) -> str:
    """What lies at a path."""
    return stat.filemode(path.lstat().st_mode)
