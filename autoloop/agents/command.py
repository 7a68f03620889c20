"""Any command line as an agent: it finds the packet in its environment, edits files, and exits.

It is judged by the files it leaves, not by what it prints. A notes block on its standard output is used;
numbers `cost_usd` and `tokens` in that block's JSON are the session's cost, which is unknown otherwise.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from autoloop import process
from autoloop.agents.environment import agents_environment, kept_paths, session_room
from autoloop.agents.profiles import Profile
from autoloop.agents.redaction import secrets_of
from autoloop.agents.transcript import Transcript, reported
from autoloop.config.dotenv import variables
from autoloop.config.fields import quoted
from autoloop.core.run.notes import one_line
from autoloop.core.run.program import Limits
from autoloop.core.session import Session, SessionFailure
from autoloop.errors import AutoloopError
from autoloop.ports import OnProgress, Room, Task
from autoloop.process import Finished

_LONGEST_TEXT = 100_000
"""Bytes of the packet in the environment, where the system takes at most 128 KiB for one variable."""
_KEPT = 1 << 12
_NOT_STARTED = (126, 127)
_LONGEST_TICK = 50_000_000
"""Nanoseconds; a tree dated further ahead comes from another clock, and is not waited for."""


@dataclass(frozen=True)
class CommandAgent:
    """Runs a command line with the shell, in the agent's tree."""

    command: str
    env: Mapping[str, str] = field(repr=False)
    kept: tuple[Path, ...] = ()
    """Parts of the user's home that the command may write."""

    @classmethod
    def from_profile(cls, profile: Profile, root: Path, environ: Mapping[str, str]) -> Self:
        """What agents may see of the environment, and from it or `.env` the variables that the profile names."""
        if not profile.command.strip():
            raise AutoloopError(
                f'profile {quoted(profile.name)} has agent = "command" and no command',
                f'Add command = "sh agent.sh" under [profiles.{profile.name}], or set AUTOLOOP_COMMAND.',
            )
        known = variables(root, environ)
        if missing := [name for name in profile.env if name not in known]:
            raise AutoloopError(
                f"profile {quoted(profile.name)} needs the variable {missing[0]}, which is not set",
                "Set it in the environment, or in .env at the repository's root.",
            )
        own = {name: known[name] for name in profile.env}
        return cls(profile.command, {**agents_environment(environ), **own}, kept_paths(profile, environ))

    def run(self, task: Task, on_progress: OnProgress) -> Session:
        """Run the command until it exits or a limit ends it."""
        began = _tick_after(task.tree)
        room = session_room(task, self.kept)
        with Transcript(task, on_progress, secrets=secrets_of(self.env)) as transcript:
            done = process.run(
                [*room.prefix, "sh", "-c", self.command],
                cwd=room.cwd,
                env={**self._environment(task, room), **room.env},
                deadline=task.limits.agent_timeout / 1000 or None,
                idle=task.limits.agent_idle_timeout / 1000 or None,
                keep=_KEPT,
                on_stdout=transcript.stdout.feed,
                on_stderr=transcript.stderr.feed,
                cancelled=task.cancelled,
                first_signal=signal.SIGINT,
                wrappers=room.wrappers,
            )
        failure = _failure(done, task.tree, began)
        notes = transcript.closing.notes
        tokens = reported(notes, "tokens")
        return Session(
            seconds=done.seconds,
            failure=failure,
            detail=self._detail(failure, done, transcript, task.limits),
            cost_usd=reported(notes, "cost_usd"),
            tokens=None if tokens is None else int(tokens),
            text=transcript.closing.text(),
        )

    def _environment(self, task: Task, room: Room) -> dict[str, str]:
        return {
            **self.env,
            "AUTOLOOP_PACKET": str(room.seen(task.packet_path.absolute())),
            "AUTOLOOP_PACKET_TEXT": _fitting(task.packet),
            "AUTOLOOP_TREE": str(room.seen(task.tree)),
            "AUTOLOOP_RUN": task.run_id,
            "AUTOLOOP_EXPERIMENT": str(task.experiment),
            "AUTOLOOP_PROGRAM": task.goal.slug,
            "AUTOLOOP_SEED": str(task.seed),
        }

    def _detail(self, failure: SessionFailure | None, done: Finished, transcript: Transcript, limits: Limits) -> str:
        last = transcript.last["stderr"] or transcript.last["stdout"]
        said = f": {last}" if last else ""
        match failure:
            case None:
                return ""
            case SessionFailure.TIMEOUT:
                return f"still at work after {limits.agent_timeout / 1000:g} s (agent_timeout)"
            case SessionFailure.IDLE:
                silent = limits.agent_idle_timeout / 1000
                return f"no output for {silent:g} s; raise agent_idle_timeout for an agent that works in silence"
            case SessionFailure.CANCELLED:
                return "cut short"
            case SessionFailure.UNREACHABLE:
                return f"the command {one_line(self.command, 100)!r} cannot be run (exit code {done.exit_code}){said}"
            case _:
                return f"{_exit(done.exit_code)}{said}"


def _fitting(packet: str) -> str:
    """The packet as far as one variable takes it; a NUL ends a variable, so there is none."""
    whole = packet.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace")
    if len(whole) <= _LONGEST_TEXT:
        return whole.decode()
    return whole[:_LONGEST_TEXT].decode(errors="ignore") + "\n… cut; all of it is in the file AUTOLOOP_PACKET\n"


def _failure(done: Finished, tree: Path, began: int) -> SessionFailure | None:
    if done.cancelled:
        return SessionFailure.CANCELLED
    if done.timed_out:
        return SessionFailure.TIMEOUT
    if done.idle:
        return SessionFailure.IDLE
    if done.exit_code in _NOT_STARTED and not any(changed >= began for changed in _change_times(tree)):
        return SessionFailure.UNREACHABLE
    return SessionFailure.EXITED if done.exit_code else None


def _exit(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    names = {number.value: number.name for number in signal.Signals}
    return f"killed by {names.get(-code, f'signal {-code}')}"


def _tick_after(tree: Path) -> int:
    """The file clock once it has moved on from when the tree was placed, so that its files are older."""
    placed = max((info.st_ctime_ns for info in map(Path.lstat, [tree, *tree.glob(".git/*")])), default=0)
    while (now := _file_clock()) <= placed < now + _LONGEST_TICK:
        time.sleep(0.0005)
    return now


def _file_clock() -> int:
    """Now as files are dated, in nanoseconds. On Linux that clock moves in ticks of a few milliseconds."""
    realtime_coarse = 5  # of <time.h>; the time module has no name for it
    return time.clock_gettime_ns(realtime_coarse if sys.platform == "linux" else time.CLOCK_REALTIME)


def _change_times(tree: Path) -> Iterator[int]:
    """When each file and folder of the tree was last changed; `.git`, which is not the agent's work, aside."""
    for folder, folders, files in os.walk(tree):
        folders[:] = [name for name in folders if name != ".git"]
        for name in (*folders, *files):
            with contextlib.suppress(OSError):
                yield (Path(folder) / name).lstat().st_ctime_ns
