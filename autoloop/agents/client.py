"""Coding agents with a command line of their own: started headless in the agent's tree, read while they work.

They are judged by the files they leave, never by their exit code: 0 says only that the model stopped.
"""

import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self

from autoloop import process
from autoloop.agents.clues import failure_of
from autoloop.agents.events import Reader, Told
from autoloop.agents.programs import Program, located
from autoloop.agents.redaction import secrets_of
from autoloop.agents.surroundings import agents_environment, kept_at_home, session_room
from autoloop.agents.trajectory import Trajectory
from autoloop.agents.transcript import Lines, Transcript
from autoloop.core.session import Session, SessionFailure
from autoloop.dotenv import variables
from autoloop.errors import AutoloopError
from autoloop.fields import quoted
from autoloop.ports import OnProgress, Room, Task
from autoloop.process import Finished
from autoloop.profiles import Profile

_LONGEST_ARGUMENT = 100_000
"""Bytes of a packet on the command line, where the system takes at most 128 KiB for one argument."""
_KEPT = 1 << 14


@dataclass(frozen=True)
class ClientAgent(ABC):
    """An agent that is a program of somebody else's."""

    model: str
    effort: str
    args: tuple[str, ...]
    """More words for its command line."""
    env: Mapping[str, str] = field(repr=False)
    kept: tuple[Path, ...] = ()
    """Parts of the user's home that it may write."""
    shows: tuple[Path, ...] = ()
    """Parts of these that it may only read."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    remote: ClassVar[bool] = True
    program: ClassVar[Program]
    options: ClassVar[Mapping[str, type]] = {"args": list}

    @classmethod
    def from_profile(cls, profile: Profile, root: Path, environ: Mapping[str, str]) -> Self:
        """What the profile says; that the program is missing shows when a session begins."""
        known = variables(root, environ)
        if missing := [name for name in profile.env if name not in known]:
            raise AutoloopError(
                f"profile {quoted(profile.name)} needs the variable {missing[0]}, which is not set",
                "Set it in the environment, or in .env at the repository's root.",
            )
        own = {name: known[name] for name in profile.env}
        env = {**agents_environment({**known, **environ}), **own}
        home = Path(environ.get("HOME") or Path.home())
        kept = cls.at_home(home, env)
        return cls(
            model=profile.model,
            effort=profile.effort,
            args=_args(cls, profile),
            env=env,
            kept=(*kept, *kept_at_home(profile, environ)),
            shows=tuple(path for path in cls.read_only(home) if kept and path.exists()),
            secrets=secrets_of({**known, **env}),
        )

    @classmethod
    def at_home(cls, home: Path, env: Mapping[str, str]) -> tuple[Path, ...]:
        """Where the sign-in lives, when no key does instead: the live store, since tokens are good for one use."""
        if any(env.get(key) for key in cls.program.keys):
            return ()
        return tuple(dict.fromkeys((home / name).parent for name in cls.program.files if (home / name).exists()))

    @classmethod
    def read_only(cls, home: Path) -> tuple[Path, ...]:
        """What lies beside the sign-in and would act on the user's own sessions later."""
        return ()

    @abstractmethod
    def command(self, task: Task, prompt: str) -> list[str]:
        """The words after the program's name."""

    def variables(self, task: Task, room: Room) -> dict[str, str]:
        """More variables."""
        return {}

    @abstractmethod
    def reader(self, told: Told, task: Task) -> Reader:
        """What reads the events of a session."""

    def run(self, task: Task, on_progress: OnProgress) -> Session:
        """Start the client, read it to its end, and say how it went."""
        place = located(self.program, self.env)
        if place is None:
            detail = f"{self.program.name} is not installed; `npm install -g {self.program.package}`"
            return Session(seconds=0.0, failure=SessionFailure.NOT_INSTALLED, detail=detail)
        room = session_room(task, self.kept, (*self.shows, *place.needs))
        with (
            Transcript(task, on_progress, secrets=self.secrets) as transcript,
            Trajectory(task, self.program.name, secrets=self.secrets) as trajectory,
        ):
            told = Told(transcript, trajectory, model=self.model)
            trajectory.user(task.packet)
            reader = self.reader(told, task)
            output = Lines(reader.lines)
            began = time.time()
            done = self._process(task, room, [str(place.path), *self.command(task, _prompt(task, room))], output, told)
            output.end()
            transcript.stderr.end()
            self._conclude(told, done, task, began)
            trajectory.finish(told.usage, told.cost_usd)
        return Session(
            seconds=done.seconds,
            failure=told.failure,
            detail=told.detail,
            cost_usd=told.cost_usd,
            tokens=told.usage.total if told.usage else None,
            usage=told.usage,
            turns=told.turns,
            model=told.model,
            retry_at=told.retry_at,
            text=transcript.closing.text(),
        )

    def _process(self, task: Task, room: Room, words: Sequence[str], output: Lines, told: Told) -> Finished:
        return process.run(
            [*room.prefix, *words],
            cwd=room.cwd,
            env={**self.env, **_marks(task, room), **self.variables(task, room), **room.env},
            deadline=task.limits.agent_timeout / 1000 or None,
            idle=task.limits.agent_idle_timeout / 1000 or None,
            keep=_KEPT,
            on_stdout=output.feed,
            on_stderr=told.transcript.stderr.feed,
            cancelled=lambda: told.enough or task.cancelled(),
            first_signal=signal.SIGINT,
            wrappers=room.wrappers,
        )

    def _conclude(self, told: Told, done: Finished, task: Task, began: float) -> None:
        """What ended the session, where that was not the client's own word."""
        limits = task.limits
        if told.enough:
            return
        if done.cancelled:
            told.fails(SessionFailure.CANCELLED, "cut short")
        elif done.timed_out:
            told.fails(SessionFailure.TIMEOUT, f"still at work after {limits.agent_timeout / 1000:g} s (agent_timeout)")
        elif done.idle and (told.failure is None or not told.failure.passes):
            told.fails(SessionFailure.IDLE, f"silent for {limits.agent_idle_timeout / 1000:g} s (agent_idle_timeout)")
        elif done.exit_code and told.failure is None:
            said = told.transcript.last["stderr"] or told.transcript.last["stdout"]
            failure = failure_of(None, f"{done.stderr}\n{said}", began) if said else None
            told.fails(*(failure or (SessionFailure.EXITED, f"exit code {done.exit_code}: {said}", None)))


def _prompt(task: Task, room: Room) -> str:
    """The packet, or where it lies when it is too long for a command line."""
    if len(task.packet.encode(errors="replace")) <= _LONGEST_ARGUMENT and "\0" not in task.packet:
        return task.packet
    return f"Read the file {room.seen(task.packet_path.absolute())} to its end, and do what it says."


def _marks(task: Task, room: Room) -> dict[str, str]:
    return {
        "AUTOLOOP_PACKET": str(room.seen(task.packet_path.absolute())),
        "AUTOLOOP_TREE": str(room.seen(task.tree)),
        "AUTOLOOP_RUN": task.run_id,
        "AUTOLOOP_EXPERIMENT": str(task.experiment),
    }


def _args(kind: type[ClientAgent], profile: Profile) -> tuple[str, ...]:
    """The profile's `args`; an AutoloopError for any other option, or for what is not a list of texts."""
    unknown = [name for name in profile.options if name not in kind.options]
    if unknown:
        raise AutoloopError(
            f"profile {quoted(profile.name)}: unknown option {quoted(unknown[0])}",
            f'The option of {profile.agent} is args, a list of words for its command line: args = ["--flag", "x"].',
        )
    args = profile.options.get("args", [])
    if not isinstance(args, list | tuple) or not all(isinstance(word, str) for word in args):
        raise AutoloopError(f"profile {quoted(profile.name)}: args is {quoted(args)}; allowed: a list of texts")
    return tuple(args)
