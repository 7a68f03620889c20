"""The demo's run, in processes of its own as a person would start them: followed, killed and resumed.

What the run does is read from its journal and from nothing else.
"""

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from autoloop import process
from autoloop.core.run.events import RUN_EVENTS, Event
from autoloop.errors import AutoloopError
from autoloop.journal.tail import Tail
from autoloop.runs.directory import RunDirectory
from autoloop.runs.find import all_runs

_LOOK = 0.05
"""Seconds between two looks at the journal."""
_PATIENCE = 10.0
"""Seconds that a process gets to end by itself."""
_LONGEST_LINE = 300
_KEPT_NOTHING = 3


@dataclass
class Carried:
    """A run of one program, and the process that works on it now."""

    root: Path
    slug: str
    environ: Mapping[str, str]

    _process: subprocess.Popen[bytes] | None = None
    _said: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    """What the processes print."""
    _tail: Tail[Event] | None = None
    """How far the journal was followed."""

    def start(self, *options: str) -> str:
        """Start the verb `run` with these options; what a person would have typed."""
        words = ["run", self.slug, *options]
        # In a session of its own: a Ctrl-C is this process's to hear; it ends the other one.
        self._process = process.start(
            [sys.executable, "-m", "autoloop", "-C", str(self.root), *words],
            cwd=self.root,
            env=dict(self.environ),
            stdout=self._said,
            stderr=self._said,
        )
        return " ".join(["autoloop", *words])

    def follow(self) -> Iterator[Event | None]:
        """Every new event, and None when there is none for a moment; until the process has ended."""
        assert self._process is not None
        while True:
            is_over = self._process.poll() is not None
            yield from self._new_events()
            if is_over:
                self._require_success()
                return
            yield None
            time.sleep(_LOOK)

    def kill(self) -> None:
        """SIGKILL to the process of the run; the processes that it started get no signal."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def end(self) -> None:
        """Let the process cut its work short and end; kill it when it does not."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()

    @property
    def directory(self) -> RunDirectory | None:
        """The directory of the run, once there is one."""
        runs = all_runs(self.root, self.slug)
        return runs[-1] if runs else None

    def journal(self) -> bytes:
        """Every whole line of the journal."""
        content = self.directory.journal.read_bytes() if self.directory else b""
        return content[: content.rfind(b"\n") + 1]

    def _new_events(self) -> Iterator[Event]:
        directory = self.directory
        if directory is None:
            return
        if self._tail is None:
            self._tail = Tail(directory.journal, RUN_EVENTS)
        yield from self._tail.new()

    def _require_success(self) -> None:
        code = self._process.returncode if self._process else 0
        if code in (0, _KEPT_NOTHING) or code < 0:
            return
        self._said.seek(0)
        lines = [line for line in self._said.read().decode(errors="replace").splitlines() if line.strip()]
        # A traceback's last line says more than what introduces it.
        told = [line for line in lines if line.startswith("autoloop: ") and code != 1]
        last = ([*lines, *told] or [""])[-1]
        said = last.removeprefix("autoloop: ")[:_LONGEST_LINE] or f"exit code {code}"
        raise AutoloopError(f"the run of the demo ended: {said}", f"Its repository stays: {self.root}.")
