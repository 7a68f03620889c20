"""The port for agents: what proposes a change, and everything that one session of it is given."""

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from autoloop.core.run.history import Trial
from autoloop.core.run.program import Criteria, Direction, Knob, Limits, Program, Tuning
from autoloop.core.session import Session
from autoloop.ports.sandboxes import Cell, Sandbox


@dataclass(frozen=True)
class Progress:
    """A fleeting sign of life: what is being done now. Nothing depends on it."""

    phase: str
    experiment: int = 0
    text: str = ""


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class Left:
    """The budget that a run has left when a session begins; None without a limit."""

    cost_usd: float | None = None
    tokens: int | None = None
    seconds: float | None = None
    """Until `max_hours` are over."""


@dataclass(frozen=True)
class Goal:
    """What a session works for, as far as an agent asks for more than the packet says."""

    slug: str
    """The short name of the program, or of the suite's task."""
    direction: Direction
    """Which way the metric, or the reward, should move."""
    knobs: tuple[Knob, ...] = ()
    """The values that a tuner may set."""

    @classmethod
    def of(cls, program: Program) -> Self:
        """The goal of a run's sessions."""
        return cls(program.slug, program.criteria.direction, program.tuning.knobs)


@dataclass(frozen=True)
class Task:
    """The task of one session: its packet, its tree, its limits and its callbacks."""

    packet: str
    packet_path: Path
    tree: Path
    """The agent's working directory."""
    run_id: str
    goal: Goal
    experiment: int
    seed: int
    limits: Limits
    history: Callable[[], Iterable[Trial]]
    """Earlier trials of this run, oldest first; read from the journal when asked for."""
    transcript: Path
    """The file that records the session as it happens."""
    cancelled: Callable[[], bool]
    sandbox: Sandbox
    cell: Cell
    """What the agent's processes may reach. An agent may widen it by what it needs to sign in."""
    left: Left = Left()
    wait: Callable[[str, float], bool] = lambda why, seconds: False
    """Sit out so many seconds for a reason that is journaled and shown. False when a person ended it."""
    before_call: Callable[[Callable[[], bool]], float] = lambda is_over: 0.0
    """Sit out until one more call of a model may be made, or until `is_over`; the seconds that took. Whoever makes
    calls does so before each."""
    calls_made: Callable[[int], object] = lambda calls: None
    """Told how many calls the session has made so far, by who only sees that somebody else makes them."""
    begin_again: Callable[[], object] = lambda: None
    """Make the tree once more what it was when the session began."""
    run_program: Program | None = None
    """What `program` gives to agents of people for one more version; a trial of a suite has none."""

    @property
    def program(self) -> Program:
        """The program of the run, or one that stands for a task without a run: `goal` has what agents need of it."""
        warnings.warn("Task.program goes in the next version: read Task.goal", DeprecationWarning, stacklevel=2)
        return self.run_program or Program(
            slug=self.goal.slug,
            directory=self.goal.slug,
            text=self.packet,
            scripts=("measure.sh",),
            criteria=Criteria(metric_field="reward", direction=self.goal.direction),
            limits=self.limits,
            tuning=Tuning(knobs=self.goal.knobs),
        )


class Agent(Protocol):
    """Whatever proposes a change by editing files in a tree."""

    def run(self, task: Task, on_progress: OnProgress) -> Session:
        """Let the agent work until it exits or a limit ends it. Failures are part of the session."""
