"""Starting a command so that nothing it starts can outlive it.

A process group holds only what stays in it; the tools of agents open sessions of their own and fork
twice. So this process becomes a *subreaper* (PR_SET_CHILD_SUBREAPER in prctl(2), Linux 3.4): whatever
loses its parent becomes our child instead of init's, where it is seen, killed and waited for. Other
systems have to do with the group, and with the descendants that are found while the command still lives.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import IO
from weakref import WeakSet

from autoloop.process import proctable
from autoloop.process.proctable import Process

CALL = "AUTOLOOP_CALL"
"""The variable that names the call a process descends from; calls within calls are joined by `/`."""
RUN = "AUTOLOOP_RUN"
"""The variable that names the run a process belongs to."""
PATIENCE = 10.0
"""Seconds that a killed process may take to go: one stuck in the kernel must not end a night."""

_lock = threading.Lock()
_live: set["Child"] = set()
_started: WeakSet[subprocess.Popen[bytes]] = WeakSet()
"""Processes that their starters end: no command's strays, for as long as they run."""
_detached: list[subprocess.Popen[bytes]] = []
"""Processes that shall outlive this one; nobody else waits for them."""


class Child:
    """A running command, with everything that descends from it. Whoever makes one calls `end`."""

    since: int
    """When the commands that overlap began, this one or an earlier, in clock ticks."""
    pid = -1
    exit_fd: int | None = None
    """A pidfd (pidfd_open(2), Linux 5.3), readable once the command is over; None where there is none."""

    def __init__(self, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], wrappers: int = 0) -> None:
        self.wrappers = wrappers
        self.call = os.urandom(8).hex()
        self.loose: set[int] = set()
        self.adopts = _become_subreaper(os.getpid())
        outer = env.get(CALL) or os.environ.get(CALL)
        try:
            self._enlist()
            self.popen = subprocess.Popen(
                argv,
                cwd=cwd,
                env={**env, CALL: f"{outer}/{self.call}" if outer else self.call},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
            self.pid = self.popen.pid
            proctable.spare_us_for(self.pid)
            self.exit_fd = proctable.pidfd(self.pid)
        except BaseException:
            self.end()
            raise

    def _enlist(self) -> None:
        """From here on, no other call takes an unmarked process for its own."""
        with _lock:
            self.since = min((other.since for other in _live), default=proctable.ticks())
            _live.add(self)

    def exited(self) -> bool:
        """Whether the command itself is over. It stays a zombie, which keeps its pid and group ours."""
        return _exited(self.pid) if hasattr(os, "waitid") else self.popen.poll() is not None

    def signal(self, number: signal.Signals) -> None:
        """Signal the command's process group, as a terminal would; a sandbox around it dies of SIGKILL alone."""
        if not self.adopts and not self.exited():  # once it is gone, nothing tells what it had started
            self.loose |= proctable.descendants(self.pid)
        if self.wrappers and number != signal.SIGKILL:
            for pid in proctable.below(self.pid, self.wrappers):
                _signal(pid, number)
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def tidy(self) -> None:
        """Reap the orphans that ended meanwhile, so that a long command does not pile up zombies."""
        for stray in self._strays():
            if stray.state == "Z":
                _reap(stray.pid, until=0.0)

    def end(self) -> int:
        """Kill and reap whatever is left, however often it forks; how many that took besides the command."""
        give_up = time.monotonic() + PATIENCE
        try:
            if self.pid > 0:
                self._end_command(give_up)
            return self._end_strays(give_up)
        finally:
            with _lock:
                _live.discard(self)
            if self.exit_fd is not None:
                os.close(self.exit_fd)
                self.exit_fd = None

    def _end_command(self, give_up: float) -> None:
        self.signal(signal.SIGKILL)
        for pid in self.loose:
            _signal(pid, signal.SIGKILL)
        if self.exited() or proctable.await_exit(self.pid, give_up, self.exited):
            self.popen.wait()

    def _end_strays(self, give_up: float) -> int:
        """Whatever a killed process had started becomes our child in turn, so the last pass finds none."""
        killed = 0
        beyond: set[int] = set()
        while strays := [stray for stray in self._strays() if stray.pid not in beyond]:
            beyond |= {stray.pid for stray in strays if not _kill(stray)}
            killed += sum(_reap(stray.pid, give_up) for stray in strays if stray.pid not in beyond)
            if time.monotonic() > give_up:
                break
        return killed

    def _strays(self) -> list[Process]:
        """Those of our children that this command has left to us."""
        if not self.adopts:
            return []
        with _lock:
            known = {child.pid for child in _live} | {job.pid for job in _detached if job.poll() is None}
            known |= {job.pid for job in _started if job.returncode is None}
            orphans = [orphan for pid in proctable.children() if pid not in known and (orphan := proctable.look(pid))]
            return [orphan for orphan in orphans if self._owns(orphan)]

    def _owns(self, orphan: Process) -> bool:
        """By its session, else by its mark, else because no other command can have left it.

        Daemons overwrite their environment and cheats empty it. What is unmarked and shares our own
        session was started by another part of this program, and is left alone.
        """
        if self.pid in (orphan.session, orphan.group) or self.call.encode() in proctable.environ(orphan.pid):
            return True
        alone = _live == {self}
        return alone and orphan.session != os.getsid(0) and orphan.started >= self.since


def start(
    argv: Sequence[str | os.PathLike[str]],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.DEVNULL,
    stderr: int | IO[bytes] = subprocess.DEVNULL,
    own_session: bool = True,
) -> subprocess.Popen[bytes]:
    """Start a process that the caller ends and waits for, and that no command takes for its stray.

    A Ctrl-C reaches this program alone: the process has a session of its own, or else a process group.
    """
    with _lock:  # held until the process is known: a command that ends meanwhile would kill it
        job = subprocess.Popen(
            argv,
            cwd=cwd,
            env=env,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=own_session,
            process_group=None if own_session else 0,
        )
        _started.add(job)
    return job


def start_detached(argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str], output: IO[bytes]) -> int:
    """Start what shall outlive this process and is no command's stray, in a session of its own; its pid."""
    job = start(argv, cwd=cwd, env=env, stdout=output, stderr=subprocess.STDOUT)
    _detached.append(job)
    return job.pid


def sweep_run(run_id: str) -> int:
    """Kill what an earlier loop of this run, itself killed, has left running; how many that were.

    For the start of a resume: commands of this process that carry the run's id are not spared.
    """
    spared = proctable.ancestors(os.getpid())
    doomed: set[int] = set()
    while new := proctable.marked(f"{RUN}={run_id}", spared) - doomed:
        for pid in new:  # what stands still starts nothing while the rest is found
            _signal(pid, signal.SIGSTOP)
        doomed |= new
    killed = [pid for pid in doomed if _signal(pid, signal.SIGKILL)]
    give_up = time.monotonic() + PATIENCE
    for pid in killed:
        proctable.await_exit(pid, give_up, partial(proctable.over, pid))
    return len(killed)


def _kill(stray: Process) -> bool:
    """Kill it with its group: a fork bomb dies in one blow. False when it is beyond our rights."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(stray.group, signal.SIGKILL)
    try:
        os.kill(stray.pid, signal.SIGKILL)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return True


def _signal(pid: int, number: int) -> bool:
    """False when it is gone, or not ours to signal."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _reap(pid: int, until: float) -> bool:
    """Wait for a child that was killed or is a zombie. True when SIGKILL was what ended it."""
    try:
        proctable.await_exit(pid, until, partial(_exited, pid))
        reaped, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return False
    return reaped == pid and os.waitstatus_to_exitcode(status) == -signal.SIGKILL


def _exited(pid: int) -> bool:
    # WNOWAIT leaves the zombie (waitid(2)): until it is reaped, its pid and group cannot become another process's.
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


@cache
def _become_subreaper(pid: int) -> bool:
    """True when orphans come to us from now on. Asked once a process: a fork does not inherit it (prctl(2))."""
    # Without the list of children in /proc (CONFIG_PROC_CHILDREN, proc_pid_task(5)) they could not be found again.
    if sys.platform != "linux" or not Path(f"/proc/self/task/{pid}/children").exists():
        return False

    set_child_subreaper = 36
    return bool(ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0) == 0)


def _start_afresh() -> None:
    """A forked worker has none of its parent's commands, and must not inherit a held lock."""
    global _lock
    _lock = threading.Lock()
    _live.clear()
    _started.clear()
    _detached.clear()


os.register_at_fork(after_in_child=_start_afresh)
