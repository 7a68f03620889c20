"""What the loop needs of the world, as protocols. Vendors and files stay on the other side."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from autoloop.core.candidate import Capture
from autoloop.core.disturbance import Conditions
from autoloop.core.events import Event
from autoloop.core.measurement import Arm, MeasurementFailure, Sample
from autoloop.core.program import Limits, Program
from autoloop.core.results import Row
from autoloop.core.run import RunState
from autoloop.core.session import Session
from autoloop.core.suite.events import BenchEvent
from autoloop.core.suite.order import TrialOrder
from autoloop.core.suite.state import BenchState
from autoloop.core.suite.task import SuiteTask
from autoloop.core.suite.trial import TrialKey, TrialResult
from autoloop.core.summary import Summary
from autoloop.core.trials import Trial

Tier = Literal["bwrap", "landlock", "none"]
Network = Literal["off", "loopback", "on"]
"""`off` has a loopback of its own, `loopback` shares one with the run's services, `on` has no bounds."""


@dataclass(frozen=True)
class Parts:
    """Everything that a loop is made of."""

    agent: "Agent"
    trees: "Trees"
    bench: "Bench"
    seal: "Seal"
    journal: "Journal"
    steering: "Steering"
    machine: "Machine"
    files: "Files"
    sandbox: "Sandbox"
    cell: "Cell"
    """Of the agent; each session adds its packet."""
    prompt: str
    """The template of the context packet."""
    on_progress: "OnProgress"


@dataclass(frozen=True)
class Progress:
    """A fleeting sign of life: what is being done now. Nothing depends on it."""

    phase: str
    experiment: int = 0
    text: str = ""


OnProgress = Callable[[Progress], None]
OnNews = Callable[[list[Row], Summary], None]
"""Told after each durable event: the rows that it finished, and the run in one look."""


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
    sandbox: "Sandbox"
    cell: "Cell"
    """What the agent's processes may reach. An agent may widen it by what it needs to sign in."""
    left: Left = Left()
    wait: Callable[[str, float], bool] = lambda why, seconds: False
    """Sit out so many seconds for a reason that is journaled and shown. False when a person ended it."""
    begin_again: Callable[[], object] = lambda: None
    """Make the tree once more what it was when the session began."""


class Agent(Protocol):
    """Whatever proposes a change by editing files in a tree."""

    def run(self, task: Task, on_progress: OnProgress) -> Session:
        """Let the agent work until it exits or a limit ends it. Failures are part of the session."""


class Trees(Protocol):
    """The agent's tree and the refs of a run."""

    def place(self, slot: str, commit: str, *, keep_caches: bool = True) -> Path:
        """Make the slot's tree equal to the commit, whatever is in it now; caches as what is kept left them."""

    def capture(self, experiment: int, parent: str, *, at: float, message: str) -> Capture:
        """Commit and pin what the agent's tree holds. The same files give the same commit."""

    def settle(self, *, head: str, previous: str) -> str | None:
        """Move the run's head and branch; repeatable. A sentence when the branch was left alone."""

    def trust(self, slot: str, trusted: bool) -> None:
        """Say whether the slot's caches, as they are now, are what later commits may begin from."""


@dataclass(frozen=True)
class Request:
    """One sample that is wanted of one commit."""

    commit: str
    keep: str
    """The baseline's commit, which must stay built."""
    arm: Arm
    script: str
    seed: int
    key: str
    """Names the sample; its scratch directory survives a resume of the same sample."""
    fresh: bool = False
    """Measure a tree without anything that earlier builds left in caches."""
    alone: bool = False
    """Measure a fresh tree that is placed and built for this sample alone, without a warm-up."""
    cases: Mapping[str, float] = field(default_factory=dict)
    """The scores of the kept code, for a screen that begins with what fails; the same for both arms of a pair."""


class Bench(Protocol):
    """What takes samples: trees, build, checks and measuring."""

    def sample(self, request: Request, on_progress: OnProgress) -> Sample | MeasurementFailure:
        """Place, check, build and warm up the commit where that is still to do, then measure once."""

    def tidy(self) -> None:
        """Remove what scripts have left in scratch and in the trees, because the disk is full."""

    def close(self) -> None:
        """Stop what was started for the run."""


@dataclass(frozen=True)
class Mount:
    """Something of this machine that a command finds at another path."""

    real: Path
    seen: Path
    writable: bool = False


@dataclass(frozen=True)
class Cell:
    """What one command may reach. Everything else it can read at most, and what is private not even that."""

    tree: Path
    """Its working directory, which it may write."""
    home: Path
    """A directory that takes the place of the user's home."""
    reads: tuple[Path, ...] = ()
    """What it can read although it lies in a place that is hidden."""
    writes: tuple[Path, ...] = ()
    """What it can write beside the tree."""
    fixed: tuple[Path, ...] = ()
    """Parts of the tree, from its root, that it can only read."""
    hides: tuple[Path, ...] = ()
    """Parts of what it can read that it cannot see after all."""
    shows: tuple[Path, ...] = ()
    """What it can read at its own path although it is hidden or secret."""
    kept: tuple[Path, ...] = ()
    """Parts of the user's home that it may write, at their own paths: the settings and the sign-in of a client."""
    network: Network = "off"
    devices: tuple[str, ...] = ()
    """Globs of device nodes."""
    sockets: tuple[str, ...] = ()
    """Globs of sockets."""
    tracing: bool = True
    """Whether its processes may trace each other. What measures must be safe from what it starts."""
    at: Path | None = None
    """Where the tree stands; None for the checkout's own path. Like the next two it takes the tier `bwrap`."""
    ground: Path | None = None
    """A directory that takes the place of `/`: what a command makes there lasts. All that `/` has is mounted in it."""
    mounts: tuple[Mount, ...] = ()


@dataclass(frozen=True)
class Room:
    """A cell made ready: how to start a command in it, and where the command finds things."""

    prefix: tuple[str, ...]
    """What stands before the command."""
    cwd: Path
    """Where the process is started."""
    env: Mapping[str, str]
    """Variables that take the place of the command's own."""
    seen: Callable[[Path], Path]
    """Where the command finds a path of the cell, or one below it."""
    wrappers: int = 0
    """Processes that stand between ours and the command; what is asked to end is not these."""


class Sandbox(Protocol):
    """What keeps a command in its cell."""

    @property
    def tier(self) -> Tier:
        """What it is called in settings and records."""

    def enter(self, cell: Cell) -> Room:
        """How to start one command in the cell."""


class Seal(Protocol):
    """The measurement files as they were when the run began."""

    def violations(self) -> tuple[str, ...]:
        """The sealed files that changed since, one short text each."""

    def restore(self) -> None:
        """Put back what changed, so that it spoils no later experiment; AutoloopError when that is impossible."""


class Journal(Protocol):
    """The truth of a run."""

    def append(self, event: Event, state: RunState) -> None:
        """Make the event durable, then bring the views up to `state`, which includes it."""

    def read(self) -> Iterable[Event]:
        """Every event from the beginning, streamed."""


@dataclass(frozen=True)
class Wishes:
    """What people asked of a running loop."""

    guidance: str = ""
    limits: dict[str, int | float] = field(default_factory=dict)
    stop: bool = False
    stop_now: bool = False


class Steering(Protocol):
    """People's wishes, read for each experiment."""

    def wishes(self) -> Wishes:
        """What is asked for now."""

    def now(self) -> bool:
        """Whether the experiment in progress should be cut short."""


class Machine(Protocol):
    """The clock, and whether the machine is fit to measure."""

    def now(self) -> float:
        """Unix seconds."""

    def conditions(self) -> Conditions:
        """Free space, and how long everything stood still since the process began."""

    def sleep(self, seconds: float, cancelled: Callable[[], bool]) -> None:
        """Return after so many seconds, or soon after `cancelled`."""

    def wait_until_fit(
        self, limits: Limits, cancelled: Callable[[], bool], say: Callable[[str, str], None]
    ) -> str | None:
        """Return once nothing speaks against an experiment; what did (a full disk, a busy machine), if anything."""


class Files(Protocol):
    """The directory of one experiment."""

    def packet(self, experiment: int, text: str) -> Path:
        """Save the context packet; its path."""

    def transcript(self, experiment: int) -> Path:
        """Where the session is recorded."""

    def patch(self, experiment: int, text: str) -> None:
        """Save the candidate's diff."""

    def patches(self, rows: Iterable[Row]) -> list[tuple[Row, str]]:
        """The saved diffs of these experiments."""


@dataclass(frozen=True)
class Suite:
    """A set of tasks as it lies on the disk."""

    name: str
    version: str
    """Its own, or a digest of its tasks."""
    root: Path
    """What the paths of its tasks are relative to."""
    tasks: tuple[SuiteTask, ...]


class TaskSource(Protocol):
    """One format of suites."""

    def claims(self, path: Path) -> bool:
        """Whether the path looks like a suite of this format."""

    def load(self, path: Path) -> Suite:
        """Read it; AutoloopError that names file, field and what is allowed."""


@dataclass(frozen=True)
class News:
    """What a worker says, or what is said of it."""

    worker: int
    kind: Literal["ready", "phase", "result", "gone"]
    """`gone` is a worker whose process is over."""
    text: str = ""
    phase: str = ""
    result: TrialResult | None = None


class Workers(Protocol):
    """Processes that take trials, each one at a time."""

    def give(self, worker: int, order: TrialOrder) -> None:
        """Let an idle worker take a trial."""

    def news(self, seconds: float) -> News | None:
        """The next thing that one of them says; None when nothing came in so many seconds."""

    def silence(self, worker: int) -> float:
        """Seconds since a worker last gave a sign of life, without those in which nobody could have listened."""

    def replace(self, worker: int) -> None:
        """End a worker with all that it started, and start another in its place."""


class Ledger(Protocol):
    """The truth of a bench."""

    def append(self, event: BenchEvent, state: BenchState) -> None:
        """Make the event durable, then bring the views up to `state`, which includes it."""


OnWorker = Callable[[int, TrialKey | None, str, str], None]
"""Told what a worker does: its number, its trial, the phase, a text. Nothing depends on it."""
