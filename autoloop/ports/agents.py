"""What proposes a change, and everything that one session of it is given."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from autoloop.core.run.history import Trial
from autoloop.core.run.program import Limits, Program
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
    """What a run still allows when a session begins; None without a limit."""

    cost_usd: float | None = None
    tokens: int | None = None
    seconds: float | None = None
    """Until `max_hours` are over."""


@dataclass(frozen=True)
class Task:
    """Everything that one session is given."""

    packet: str
    packet_path: Path
    tree: Path
    """The agent's working directory."""
    run_id: str
    program: Program
    experiment: int
    seed: int
    limits: Limits
    history: Callable[[], Iterable[Trial]]
    """Earlier trials of this run, oldest first; read from the journal when asked for."""
    transcript: Path
    """Where the session is recorded as it happens."""
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


class Agent(Protocol):
    """Whatever proposes a change by editing files in a tree."""

    def run(self, task: Task, on_progress: OnProgress) -> Session:
        """Let the agent work until it exits or a limit ends it. Failures are part of the session."""
