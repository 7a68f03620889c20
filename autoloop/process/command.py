"""Run a command: a deadline, its whole tree of processes, bounded output.

The command is over when its main process is: what it leaves behind is killed, never waited for.
How it ended is a value; what raises is a caller's callback, a full disk under the log, or a bug.
Output is passed on as it comes, and remembered in bounded memory.
"""

import fcntl
import os
import selectors
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, BinaryIO

from autoloop.process.reaper import Child

_ASK = 0.1
"""Seconds between two looks at `cancelled`."""
_SIGNALLED = 128
"""What is added to a signal's number where an exit code has to tell of it."""
_TIDY = 5.0
"""Seconds between two rounds for orphans that ended while the command runs."""
_LOOK = 0.5
"""Seconds between two looks at the clock: a longer sleep would not show how long we were stopped."""
_LATE = 1.0
"""Seconds beyond which a look that comes late is one that could not come."""
_WITHOUT_PIDFD = 0.01
"""Seconds between two looks at the command where the system cannot wake us."""


@dataclass(frozen=True)
class Finished:
    """The end of a command: its exit code, its output, and what it took."""

    exit_code: int
    """Negative for a signal; 127 when there is no such executable, 126 when it may not be run."""
    seconds: float
    stdout: str
    stderr: str
    timed_out: bool
    idle: bool
    cancelled: bool
    strays: int
    """Processes that it left behind and that had to be killed."""

    @property
    def ok(self) -> bool:
        """Whether the command ended by itself, with exit code 0."""
        return self.exit_code == 0 and not (self.timed_out or self.idle or self.cancelled)


def run(
    argv: Sequence[str | os.PathLike[str]],
    *,
    cwd: Path,
    env: Mapping[str, str],
    deadline: float | None = None,
    idle: float | None = None,
    keep: int = 1 << 16,
    on_stdout: Callable[[bytes], object] | None = None,
    on_stderr: Callable[[bytes], object] | None = None,
    cancelled: Callable[[], bool] | None = None,
    grace: float = 2.0,
    first_signal: signal.Signals = signal.SIGTERM,
    log: BinaryIO | None = None,
    wrappers: int = 0,
) -> Finished:
    """Run a command to its end, with nothing on its standard input.

    `deadline` is in seconds, `idle` in seconds without output; `keep` is bytes of each stream, half from
    its head and half from its tail. A command that has to end gets `first_signal`, SIGTERM and SIGKILL,
    `grace` seconds apart. `log` receives a copy of everything. `wrappers` is how many processes of a sandbox
    stand before the command's own. Whatever raises, the command's processes are gone first.
    """
    began = time.monotonic()
    command = [os.fspath(word) for word in argv]
    try:
        child = Child(command, cwd=cwd, env=env, wrappers=wrappers)
    except OSError as error:
        if error.filename != command[0]:  # the directory, or the system's limits: not the command's fault
            raise
        return _not_started(error, time.monotonic() - began)
    assert child.popen.stdout and child.popen.stderr
    with child.popen.stdout as stdout, child.popen.stderr as stderr:
        out, err = Stream(stdout, keep, on_stdout, log), Stream(stderr, keep, on_stderr, log)
        watch = _Watch(child, began, deadline, idle, cancelled, _escalation(first_signal), grace)
        try:
            watch.until_exit(out, err)
            seconds = time.monotonic() - watch.began
        finally:
            strays = child.end()
        out.drain()
        err.drain()
    code = child.popen.returncode
    if code is None:  # the kernel did not let go of it
        code = -signal.SIGKILL
    if wrappers and _SIGNALLED < code <= _SIGNALLED + signal.SIGRTMAX:  # as a shell has it: so do wrappers
        code = _SIGNALLED - code
    return _finished(code, seconds, out.text(), err.text(), watch.ending, strays)


def _not_started(error: OSError, seconds: float) -> Finished:
    """As the shell has it: 127 for what is not there, 126 for what cannot be executed."""
    code = 127 if isinstance(error, FileNotFoundError) else 126
    why = f"{error.filename}: {error.strerror}\n"
    return _finished(code, seconds, "", why, ending=None, strays=0)


def _finished(code: int, seconds: float, stdout: str, stderr: str, ending: "_Ending | None", strays: int) -> Finished:
    return Finished(
        exit_code=code,
        seconds=seconds,
        stdout=stdout,
        stderr=stderr,
        timed_out=ending is _Ending.TIMED_OUT,
        idle=ending is _Ending.IDLE,
        cancelled=ending is _Ending.CANCELLED,
        strays=strays,
    )


def _escalation(first: signal.Signals) -> list[signal.Signals]:
    """What is tried before SIGKILL."""
    return [first] if first in (signal.SIGTERM, signal.SIGKILL) else [first, signal.SIGTERM]


class _Ending(StrEnum):
    TIMED_OUT = "timed_out"
    IDLE = "idle"
    CANCELLED = "cancelled"


@dataclass
class _Watch:
    """Waits for a command, and decides when it has to end."""

    child: Child
    began: float
    deadline: float | None
    idle: float | None
    cancelled: Callable[[], bool] | None
    signals: list[signal.Signals]
    grace: float
    ending: _Ending | None = None

    def __post_init__(self) -> None:
        self.heard = self.asked = self.tidied = self.began
        self.next_signal = 0.0

    def until_exit(self, *streams: "Stream") -> None:
        """Return as soon as the command is over or has had its last warning; end of file does not matter."""
        with selectors.DefaultSelector() as selector:
            for stream in streams:
                selector.register(stream.fd, selectors.EVENT_READ, stream)
            if self.child.exit_fd is not None:
                selector.register(self.child.exit_fd, selectors.EVENT_READ)
            while not self.child.exited() and self._goes_on(now := time.monotonic()):
                ready = selector.select(pause := self._pause(now))
                self._forgive(time.monotonic() - now - pause)
                for key, _ in ready:
                    if key.data is None:
                        continue
                    self.heard = time.monotonic()
                    if not key.data.take(CHUNK):
                        selector.unregister(key.fd)

    def _forgive(self, late: float) -> None:
        """Time in which we could not look, because this process was stopped, counts for no limit."""
        if late > _LATE:
            self.began, self.heard, self.tidied = self.began + late, self.heard + late, self.tidied + late
            self.next_signal += late

    def _goes_on(self, now: float) -> bool:
        """False once nothing but SIGKILL is left to try."""
        if now - self.tidied >= _TIDY:
            self.tidied = now
            self.child.tidy()
        self.ending = self.ending or self._why_end(now)
        if self.ending is None or now < self.next_signal:
            return True
        if not self.signals:
            return False
        self.child.signal(self.signals.pop(0))
        self.next_signal = now + self.grace
        return True

    def _why_end(self, now: float) -> _Ending | None:
        if self.deadline is not None and now - self.began >= self.deadline:
            return _Ending.TIMED_OUT
        if self.idle is not None and now - self.heard >= self.idle:
            return _Ending.IDLE
        if self.cancelled and now - self.asked >= _ASK:
            self.asked = now
            return _Ending.CANCELLED if self.cancelled() else None
        return None

    def _pause(self, now: float) -> float:
        """Seconds until something other than output or the end can be due."""
        due = [now + _LOOK]
        if self.ending:
            due.append(self.next_signal)
        else:
            limits = (
                (self.deadline, self.began),
                (self.idle, self.heard),
                (self.cancelled and _ASK, self.asked),
            )
            due += [since + seconds for seconds, since in limits if seconds is not None]
        if self.child.exit_fd is None:
            due.append(now + _WITHOUT_PIDFD)
        return max(0.0, min(due) - now)


CHUNK = 1 << 16


class Stream:
    """One stream of a command: passed on as it arrives, its head and its tail remembered."""

    def __init__(
        self, pipe: IO[bytes], keep: int, on_chunk: Callable[[bytes], object] | None, log: BinaryIO | None
    ) -> None:
        self.fd = pipe.fileno()
        self.listeners = [listener for listener in (log and log.write, on_chunk) if listener]
        self.head, self.tail, self.total = bytearray(), bytearray(), 0
        self.tail_size = keep // 2
        self.head_size = keep - self.tail_size

    def take(self, size: int) -> bool:
        """Read once. False at the end of the stream."""
        chunk = os.read(self.fd, size)
        self._remember(chunk)
        for listener in self.listeners:
            if chunk:
                listener(chunk)
        return bool(chunk)

    def drain(self) -> None:
        """Read what is in the pipe, and no more: somebody beyond our rights may still be writing to it."""
        (left,) = struct.unpack("i", fcntl.ioctl(self.fd, termios.FIONREAD, b"\0\0\0\0"))
        while left > 0 and self.take(min(left, CHUNK)):
            left -= CHUNK

    def _remember(self, chunk: bytes) -> None:
        self.total += len(chunk)
        room = self.head_size - len(self.head)
        if room > 0:
            self.head += chunk[:room]
            chunk = chunk[room:]
        self.tail += chunk
        if len(self.tail) > self.tail_size + 4 * CHUNK:  # seldom, so that it costs little
            del self.tail[: len(self.tail) - self.tail_size]

    def text(self) -> str:
        """All of it when it fits; else both ends, and how much is missing between them."""
        left_out = self.total - len(self.head) - min(len(self.tail), self.tail_size)
        if left_out <= 0:
            return (self.head + self.tail).decode(errors="replace")
        cut = f"\n… {left_out} bytes left out …\n".encode()  # lines of its own: a cut line is not a line
        return (self.head + cut + self.tail[len(self.tail) - self.tail_size :]).decode(errors="replace")
