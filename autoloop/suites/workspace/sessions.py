"""An agent's session on one step of a trial: the same `ports.Task` that the loop gives, without a run around it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from autoloop.agents.environment import CLIENTS, NETWORK
from autoloop.agents.trajectory import Trajectory
from autoloop.core.run.program import Direction, Limits
from autoloop.core.session import Session, SessionFailure
from autoloop.core.suite.tasks import TrialOrder
from autoloop.ports import Cell, Goal, Left, Network, OnProgress, Room, Sandbox, Task, Tier
from autoloop.suites.pace import TrialPace
from autoloop.suites.workspace import records
from autoloop.suites.workspace.commands import Commands, with_variables
from autoloop.suites.workspace.workspace import Workspace

_RESERVED = ("AUTOLOOP_", *CLIENTS)
"""Prefixes of variables that a suite may not set: our own, and those that say where keys are sent."""


@dataclass(frozen=True)
class Spent:
    """The budget that the steps before have used."""

    seconds: float = 0.0
    turns: int = 0
    cost_usd: float = 0.0
    tokens: int = 0


@dataclass(frozen=True)
class Sessions:
    """Begins the sessions of one trial."""

    order: TrialOrder
    workspace: Workspace
    sandbox: Sandbox
    cancelled: Callable[[], bool]
    on_progress: OnProgress
    network: Network = "on"
    shows: tuple[Path, ...] = ()
    """What an agent can read at its own path although it is hidden."""
    root: str = ""
    pace: TrialPace | None = None

    def folder(self, number: int) -> Path:
        """Where the session on a step is recorded while it goes on."""
        return self.workspace.scratch / "sessions" / str(number)

    def task(self, number: int, packet: str, spent: Spent) -> Task:
        """The task of the session on a step."""
        order, folder = self.order, self.folder(number)
        folder.mkdir(parents=True)
        path = folder / "packet.md"
        path.write_text(packet, errors="replace")
        cell = self.workspace.cell("agent", network=self.network)
        limits = _limits(order, spent)
        return Task(
            packet=packet,
            packet_path=path,
            tree=self.workspace.tree,
            run_id=order.bench_id,
            goal=Goal(order.task.id, Direction.HIGHER),
            experiment=order.key.iteration,
            seed=order.seed,
            limits=limits,
            history=lambda: [],
            transcript=folder / records.TRANSCRIPT,
            cancelled=self.cancelled,
            sandbox=SandboxWithVariables(self.sandbox, allowed(order.task.env), self.root),
            cell=replace(cell, reads=(path,), shows=self.shows),
            left=Left(
                cost_usd=None if order.max_cost_usd is None else max(0.0, order.max_cost_usd - spent.cost_usd),
                tokens=None if order.max_tokens is None else max(0, order.max_tokens - spent.tokens),
                seconds=limits.agent_timeout / 1000,
            ),
            **self._paced(),
        )

    def _paced(self) -> dict[str, Any]:
        """The callbacks by which a session asks for its calls, or reports them."""
        return {} if self.pace is None else {"before_call": self.pace.before_call, "calls_made": self.pace.of_session()}


@dataclass(frozen=True)
class SandboxWithVariables:
    """A sandbox whose commands find the variables of a task."""

    sandbox: Sandbox
    env: Mapping[str, str] = field(repr=False)
    root: str
    """The checkout."""

    @property
    def tier(self) -> Tier:
        """The tier of the sandbox within."""
        return self.sandbox.tier

    def enter(self, cell: Cell) -> Room:
        """The room with more variables; its own come first."""
        room = self.sandbox.enter(cell)
        return with_variables(replace(room, env={"AUTOLOOP_ROOT": self.root, **room.env}), self.env)


@dataclass(frozen=True)
class Nop:
    """The agent `nop`, which does nothing: in a suite that is right it never passes."""

    def run(self, task: Task, on_progress: OnProgress) -> Session:
        """End at once: no time, no cost, no change."""
        return Session(seconds=0.0, cost_usd=0.0, tokens=0, turns=0)


@dataclass(frozen=True)
class Oracle:
    """The agent `oracle`, which runs each step's reference solution: in a suite that is right it always passes."""

    order: TrialOrder
    commands: Commands
    number: int

    def run(self, task: Task, on_progress: OnProgress) -> Session:
        """Place the solution, run its command, take it away again."""
        solution = self.order.task.solution
        assert solution is not None, "who has none is not asked"
        workspace = self.commands.workspace
        files = solution.files_of(self.number)
        workspace.place(files)
        line, limit = solution.commands[self.number - 1], task.limits.agent_timeout / 1000
        ran = self.commands.run(line, "solution", deadline=limit, env=solution.env)
        workspace.clear(files, self.order.task.found)
        task.transcript.with_name(records.SAID).write_text(ran.output)
        failure = _ending(ran.began, ran.done.cancelled, ran.done.timed_out, ran.done.exit_code)
        detail = "" if failure is None else f"the solution ended with exit code {ran.done.exit_code}: {ran.last_words}"
        return Session(seconds=ran.done.seconds, failure=failure, detail=detail, cost_usd=0.0, tokens=0)


def _ending(began: bool, cancelled: bool, timed_out: bool, exit_code: int) -> SessionFailure | None:
    if cancelled:
        return SessionFailure.CANCELLED
    if not began:
        return SessionFailure.UNREACHABLE
    if timed_out:
        return SessionFailure.TIMEOUT
    return SessionFailure.EXITED if exit_code else None


def record(task: Task, session: Session, name: str, folder: Path) -> None:
    """Write a trajectory for an agent that writes none: what it was asked, and what it said."""
    with Trajectory(task, name) as trajectory:
        trajectory.user(task.packet)
        if text := records.said(folder):
            trajectory.agent(text, model=session.model)
        trajectory.finish(session.usage, session.cost_usd)
    records.mark_made(folder)


def allowed(env: Mapping[str, str]) -> dict[str, str]:
    """The variables of a task that an agent's processes find."""
    return {name: value for name, value in env.items() if not (name.startswith(_RESERVED) or name in NETWORK)}


def _limits(order: TrialOrder, spent: Spent) -> Limits:
    return Limits(
        max_turns=max(1, order.max_turns - spent.turns),
        agent_timeout=max(1, round(1000 * (order.timeout - spent.seconds))),
        agent_idle_timeout=round(1000 * order.idle_timeout),
        on_quota="stop",
    )
