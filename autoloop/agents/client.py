"""Coding agents with a command line of their own: started headless in the agent's tree, read while they work.

They are judged by the files they leave, never by their exit code: 0 says only that the model stopped.
"""

import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self

from autoloop import process
from autoloop.agents.client_programs import ClientProgram, Located, located
from autoloop.agents.environment import agents_environment, kept_paths, session_room
from autoloop.agents.error_texts import failure_of
from autoloop.agents.events import LONGEST_EVENT, PATIENCE, Reader, SessionLog
from autoloop.agents.prices import Price
from autoloop.agents.profiles import Profile
from autoloop.agents.redaction import secrets_in, secrets_of
from autoloop.agents.sign_in import BorrowedSignIn
from autoloop.agents.trajectory import Trajectory
from autoloop.agents.transcript import Lines, Transcript
from autoloop.config.dotenv import variables
from autoloop.config.fields import quoted
from autoloop.core.session import Session, SessionFailure
from autoloop.errors import AutoloopError
from autoloop.ports import OnProgress, Room, Task
from autoloop.process import Finished

_LONGEST_ARGUMENT = 100_000
"""Bytes of a packet on the command line, where the system takes at most 128 KiB for one argument."""
_NOT_STARTED = (126, 127)
"""Exit codes of a program that cannot be executed, or that lacks what it is executed by."""
_KEPT = 1 << 14


@dataclass(frozen=True)
class ClientAgent(ABC):
    """An agent that is another vendor's program with a command line."""

    model: str
    effort: str
    args: tuple[str, ...]
    """More words for its command line."""
    env: Mapping[str, str] = field(repr=False)
    kept: tuple[Path, ...] = ()
    """Parts of the user's home that the profile lets it write."""
    store: Path | None = None
    """The file of the user's sign-in; None when a key in a variable takes its place."""
    prices: Mapping[str, Price] = field(default_factory=dict)
    """The user's own."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    patience: float = PATIENCE
    remote: ClassVar[bool] = True
    program: ClassVar[ClientProgram]
    foreign: ClassVar[tuple[str, ...]] = ()
    """Variables that the same client sets for what it starts: of it, autoloop may be a part."""
    options: ClassVar[Mapping[str, type]] = {"args": list}

    @classmethod
    def from_profile(cls, profile: Profile, root: Path, environ: Mapping[str, str]) -> Self:
        """An agent with the profile's settings; a missing program shows only when a session begins."""
        known = variables(root, environ)
        if missing := [name for name in profile.env if name not in known]:
            raise AutoloopError(
                f"profile {quoted(profile.name)} needs the variable {missing[0]}, which is not set",
                "Set it in the environment, or in .env at the repository's root.",
            )
        own = {name: known[name] for name in profile.env}
        env = {**agents_environment({**known, **environ}), **own}
        store = cls.program.signed_in(Path(environ.get("HOME") or Path.home()), env)
        return cls(
            model=profile.model,
            effort=profile.effort,
            args=_args(cls, profile),
            env=env,
            kept=kept_paths(profile, environ),
            store=store if store.is_file() and not cls.has_key(env) else None,
            prices=profile.prices,
            secrets=(*secrets_of({**known, **env}), *secrets_in(store)),
        )

    @classmethod
    def has_key(cls, env: Mapping[str, str]) -> bool:
        """Whether a variable signs in, so that nothing of the user's home is needed."""
        return any(env.get(key) for key in cls.program.keys)

    @abstractmethod
    def command(self, task: Task, prompt: str) -> list[str]:
        """The words of the command line after the program's name."""

    def variables(self, task: Task) -> dict[str, str]:
        """Variables of the environment that this client needs in addition."""
        return {}

    def copy_settings(self, home: Path) -> None:  # noqa: B027 - most need nothing
        """Put those of the user's settings into a private home that the client cannot do without."""

    @abstractmethod
    def reader(self, told: SessionLog, task: Task, room: Room) -> Reader:
        """What reads the events of a session."""

    def run(self, task: Task, on_progress: OnProgress) -> Session:
        """Start the client, read it to its end, and say how it went."""
        place = located(self.program, self.env)
        if place is None:
            detail = f"{self.program.name} is not installed; `npm install -g {self.program.package}`"
            return Session(seconds=0.0, failure=SessionFailure.NOT_INSTALLED, detail=detail)
        with (
            self._signed_in_room(task, place) as (room, sign_in),
            Transcript(task, on_progress, secrets=self.secrets) as transcript,
            Trajectory(task, self.program.name, secrets=self.secrets) as trajectory,
        ):
            told = SessionLog(transcript, trajectory, model=self.model, patience=self.patience)
            trajectory.user(task.packet)
            reader = self.reader(told, task, room)
            words = [*room.prefix, str(place.path), *self.command(task, _prompt(task, room))]
            began = time.time()
            done = self._process(task, room, words, reader, sign_in)
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

    @contextmanager
    def _signed_in_room(self, task: Task, place: Located) -> Iterator[tuple[Room, BorrowedSignIn | None]]:
        """The room of a session, with a copy of the user's sign-in in its home."""
        sign_in, confined = None, task.sandbox.tier != "none"
        if self.store and confined:
            sign_in = BorrowedSignIn(
                self.store.resolve(), task.cell.home, Path(self.program.folder) / self.program.store
            )
            sign_in.rescue()
        room = session_room(task, self.kept, (place.needs,))
        if confined:
            self.copy_settings(task.cell.home)
        try:
            if sign_in:
                sign_in.copy_in()
            yield room, sign_in
        finally:
            if sign_in:
                sign_in.take_back()

    def _process(
        self, task: Task, room: Room, words: Sequence[str], reader: Reader, sign_in: BorrowedSignIn | None
    ) -> Finished:
        output, errors = Lines(reader.lines, LONGEST_EVENT), Lines(reader.errors)

        def cancelled() -> bool:
            reader.look()
            task.calls_made(reader.told.turns)
            if sign_in:
                sign_in.look()
            return reader.told.has_to_end() or task.cancelled()

        done = process.run(
            words,
            cwd=room.cwd,
            env=self._environment(task, room),
            deadline=task.limits.agent_timeout / 1000 or None,
            idle=task.limits.agent_idle_timeout / 1000 or None,
            keep=_KEPT,
            on_stdout=output.feed,
            on_stderr=errors.feed,
            cancelled=cancelled,
            first_signal=signal.SIGINT,
            wrappers=room.wrappers,
        )
        output.end()
        errors.end()
        reader.look(at_once=True)
        return done

    def _environment(self, task: Task, room: Room) -> dict[str, str]:
        # A private home has everything at its usual place.
        without = self.foreign if task.sandbox.tier == "none" else (*self.foreign, self.program.elsewhere)
        own = {name: value for name, value in self.env.items() if name not in without}
        return {**own, **_marks(task, room), **self.variables(task), **room.env}

    def _conclude(self, told: SessionLog, done: Finished, task: Task, began: float) -> None:
        """Say what ended the session, where the client itself did not."""
        limits = task.limits
        if told.enough:
            return
        if done.cancelled:
            told.fails(SessionFailure.CANCELLED, "cut short")
        elif (done.timed_out or done.idle) and told.failure is not None and told.failure.passes:
            return  # it was waiting for its service, which is the reason
        elif done.timed_out:
            told.fails(SessionFailure.TIMEOUT, f"still at work after {limits.agent_timeout / 1000:g} s (agent_timeout)")
        elif done.idle:
            told.fails(SessionFailure.IDLE, f"silent for {limits.agent_idle_timeout / 1000:g} s (agent_idle_timeout)")
        elif done.exit_code and told.failure is None:
            self._last_words(told, done, began)

    def _last_words(self, told: SessionLog, done: Finished, began: float) -> None:
        said = told.transcript.last["stderr"] or told.transcript.last["stdout"]
        found = failure_of(None, f"{done.stderr}\n{said}", began) if said and not told.answered else None
        if found is None and done.exit_code in _NOT_STARTED and not told.answered:
            told.fails(SessionFailure.NOT_INSTALLED, f"it cannot be started here: {said or done.exit_code}")
        elif found is None:
            told.fails(SessionFailure.EXITED, f"exit code {done.exit_code}: {said}")
        else:
            told.fails(found[0], said, found[2])


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
