"""The system's table of processes: who they are, who started them, when they are over.

Linux answers from /proc in microseconds. Elsewhere psutil does, which is imported only there.
It looks and waits; killing is the reaper's.
"""

import contextlib
import importlib
import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

_GOES_FIRST = 500
"""Of 1000: the share of all memory that a process seems to use in addition, when the kernel looks for a victim."""
Row = tuple[int, int, list[bytes]]
"""Pid, parent and environment of a process that is not a zombie."""


@dataclass(frozen=True)
class Process:
    """One row of the system's table of processes."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    started: int
    """In clock ticks since boot."""


def look(pid: int) -> Process | None:
    """A process as /proc shows it; None when it is gone, or when the numbers there are not ours."""
    if not _is_ours(os.getpid()):
        return None
    try:
        line = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    state, *field = line[line.rindex(")") + 2 :].split()  # the name before it may hold blanks and brackets
    parent, group, session = (int(number) for number in field[:3])
    return Process(pid, state, parent, group, session, int(field[18]))


@cache
def _is_ours(pid: int) -> bool:
    """Whether /proc has our numbers. In some sandboxes it is that of the outside, and a number means somebody else."""
    try:
        return os.readlink("/proc/self") == str(pid)
    except OSError:
        return False


def children() -> list[int]:
    """Our children. Orphans come to the main thread; those of other threads were started there."""
    pid = os.getpid()
    return [int(child) for child in Path(f"/proc/self/task/{pid}/children").read_text().split()]


def environ(pid: int) -> bytes:
    """The environment a process was started with; empty for a zombie and for what is not ours to read."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def ticks() -> int:
    """Now, in the unit of `Process.started`."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return int(time.clock_gettime(clock) * os.sysconf("SC_CLK_TCK"))


def pidfd(pid: int) -> int | None:
    """Readable once the process is over. None before Linux 5.3, elsewhere, and in some builds of Python."""
    try:
        return os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
    except OSError:
        return None


def spare_us_for(pid: int) -> None:
    """Have the kernel end a process before this one when memory runs out; what it starts inherits that."""
    if _goes_late():
        with contextlib.suppress(OSError):
            Path(f"/proc/{pid}/oom_score_adj").write_text(f"{_GOES_FIRST}\n")


@cache
def _goes_late() -> bool:
    try:
        return int(Path("/proc/self/oom_score_adj").read_text()) < _GOES_FIRST
    except OSError:
        return False


def await_exit(pid: int, until: float, gone: Callable[[], bool]) -> bool:
    """Sleep until a process is over, or until that moment of the monotonic clock; never reaps it."""
    fd = pidfd(pid)
    if fd is None:
        while not gone() and time.monotonic() < until:
            time.sleep(0.002)
        return gone()
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(max(0.0, until - time.monotonic()) * 1000))
    finally:
        os.close(fd)


def over(pid: int) -> bool:
    """Whether a process is gone, or a zombie that its parent has not asked after."""
    if sys.platform == "linux":
        row = look(pid)
        return row is None or row.state in "ZX"
    psutil = _psutil()
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return True


def marked(entry: str, spared: set[int]) -> set[int]:
    """The processes with this `NAME=value` in their environment, and what descends from them."""
    rows = [row for row in _everyone() if row[0] not in spared]
    found = {pid for pid, _, variables in rows if entry.encode() in variables}
    return found | _below(found, rows)


def ancestors(pid: int) -> set[int]:
    """A process and those that it descends from."""
    parents = {row: parent for row, parent, _ in _everyone()}
    line = {pid}
    while (pid := parents.get(pid, 0)) > 0 and pid not in line:
        line.add(pid)
    return line


def descendants(pid: int) -> set[int]:
    """The processes that descend from one, as long as all between are alive."""
    return _below({pid}, list(_everyone()))


def below(pid: int, levels: int) -> set[int]:
    """The members of a process's group that descend from it by at least so many generations."""
    rows = list(_everyone())
    upper = {pid}
    for _ in range(levels - 1):
        upper |= {row for row, parent, _ in rows if parent in upper}
    return {row for row in _below({pid}, rows) - upper if (about := look(row)) and about.group == pid}


def _below(roots: set[int], rows: list[Row]) -> set[int]:
    found = set(roots)
    while grown := {pid for pid, parent, _ in rows if parent in found} - found:
        found |= grown
    return found - roots


def _everyone() -> Iterator[Row]:
    if sys.platform != "linux":
        yield from _everyone_elsewhere()
        return
    for name in os.listdir("/proc"):
        row = look(int(name)) if name.isdigit() else None
        if row and row.state not in "ZX":
            yield row.pid, row.parent, environ(row.pid).split(b"\0")


def _everyone_elsewhere() -> Iterator[Row]:
    psutil = _psutil()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            parent, variables = process.ppid(), {}
            with contextlib.suppress(psutil.Error, OSError):
                variables = process.environ()
            yield process.pid, parent, [f"{name}={value}".encode() for name, value in variables.items()]


def _psutil() -> ModuleType:
    return importlib.import_module("psutil")  # takes 29 ms, and is untyped
