"""Doubles of the ports, for tests of the loop: no files, no processes, no time."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from autoloop.config.prompts import prompt
from autoloop.core.run.candidate import Candidate, Capture, Change
from autoloop.core.run.disturbance import Conditions
from autoloop.core.run.events import Event, RunStarted, from_line, to_line
from autoloop.core.run.measurement import MeasurementFailure, Sample
from autoloop.core.run.program import Criteria, Direction, Limits, Program, Rule
from autoloop.core.run.reasons import Reason
from autoloop.core.run.replay import replay
from autoloop.core.run.results import Row
from autoloop.core.run.state import RunState
from autoloop.core.session import Session
from autoloop.ports import Agent, Cell, OnProgress, Parts, Progress, Request, Task, Wishes
from autoloop.runs.loop import Loop
from autoloop.sandbox.none import NoSandbox


class MemoryJournal:
    """A journal that keeps lines, so that every event passes through its text."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.on_append: Callable[[Event], None] = lambda event: None

    def append(self, event: Event, state: RunState) -> None:
        self.lines.append(to_line(event))
        self.on_append(event)

    def read(self) -> Iterable[Event]:
        return [from_line(line) for line in self.lines]


@dataclass
class FakeAgent:
    """Plays sessions by experiment number."""

    sessions: Callable[[int], Session] = lambda number: Session(seconds=1.0, cost_usd=0.1, tokens=10)
    packets: list[str] = field(default_factory=list)

    def run(self, task: Task, on_progress: OnProgress) -> Session:
        self.packets.append(task.packet)
        return self.sessions(task.experiment)


@dataclass
class FakeTrees:
    """Commits are `c<n>`; what experiment n changes is given by a function."""

    changes: Callable[[int], Capture | None] = lambda number: None
    head: str = ""

    def place(self, slot: str, commit: str, *, keep_caches: bool = True) -> Path:
        return Path("/nowhere") / slot

    def capture(self, experiment: int, parent: str, *, at: float, message: str) -> Capture:
        given = self.changes(experiment)
        if given is not None:
            return given
        change = Change(path="code.py", kind="modified", added=1, removed=1)
        return Capture(Candidate(commit=f"c{experiment}", parent=parent, changes=(change,)))

    def settle(self, *, head: str, previous: str) -> str | None:
        assert self.head in ("", previous, head)
        self.head = head
        return None

    def trust(self, slot: str, trusted: bool) -> None: ...


@dataclass
class FakeSampler:
    """Measures a commit by a function of its name and the count of samples so far."""

    value: Callable[[str, int], float | MeasurementFailure]
    requests: list[Request] = field(default_factory=list)
    tidied: int = 0

    def sample(self, request: Request, on_progress: OnProgress) -> Sample | MeasurementFailure:
        self.requests.append(request)
        value = self.value(request.commit, len(self.requests))
        return value if isinstance(value, MeasurementFailure) else Sample(metrics={"ms": value}, seconds=1.0)

    def tidy(self) -> None:
        self.tidied += 1

    def close(self) -> None: ...


@dataclass
class FakeSeal:
    found: tuple[str, ...] = ()

    def violations(self) -> tuple[str, ...]:
        return self.found

    def restore(self) -> None: ...


@dataclass
class FakeSteering:
    asked: Wishes = field(default_factory=Wishes)
    at_once: bool = False

    def wishes(self) -> Wishes:
        return self.asked

    def now(self) -> bool:
        return self.at_once


@dataclass
class FakeMachine:
    """Time that passes by a second with each look."""

    time: float = 1000.0
    still: float = 0.0
    read_only: str = ""
    free_gb: Callable[[], float] = lambda: 100.0

    def now(self) -> float:
        self.time += 1.0
        return self.time

    def conditions(self) -> Conditions:
        return Conditions(free_gb=self.free_gb(), still=self.still, read_only=self.read_only)

    def sleep(self, seconds: float, cancelled: Callable[[], bool]) -> None:
        self.time += seconds

    def wait_until_fit(
        self, limits: Limits, cancelled: Callable[[], bool], say: Callable[[str, str], None]
    ) -> str | None:
        return None


class NoFiles:
    def packet(self, experiment: int, text: str) -> Path:
        return Path("/nowhere/packet.md")

    def transcript(self, experiment: int) -> Path:
        return Path("/nowhere/session.jsonl")

    def patch(self, experiment: int, text: str) -> None: ...

    def patches(self, rows: Iterable[Row]) -> list[tuple[Row, str]]:
        return []


@dataclass
class World:
    """Everything around one loop; `loop()` makes a new process on the same journal."""

    program: Program
    sampler: FakeSampler
    agent: Agent = field(default_factory=FakeAgent)
    trees: FakeTrees = field(default_factory=FakeTrees)
    seal: FakeSeal = field(default_factory=FakeSeal)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    steering: FakeSteering = field(default_factory=FakeSteering)
    machine: FakeMachine = field(default_factory=FakeMachine)
    seen: list[Progress] = field(default_factory=list)

    def __post_init__(self) -> None:
        started = RunStarted(at=1000.0, run_id="r", program="p", seed=1, start="c0", branch="b")
        self.journal.append(started, RunState(self.program.criteria))

    def loop(self) -> Loop:
        parts = Parts(
            agent=self.agent,
            trees=self.trees,
            sampler=self.sampler,
            seal=self.seal,
            journal=self.journal,
            steering=self.steering,
            machine=self.machine,
            files=NoFiles(),
            sandbox=NoSandbox(),
            cell=Cell(tree=Path("/nowhere/agent"), home=Path("/nowhere/home")),
            prompt=prompt("experiment").text,
            on_progress=self.seen.append,
        )
        return Loop(self.program, parts, self.state())

    def state(self) -> RunState:
        return replay(self.journal.read(), RunState(self.program.criteria))

    def run(self) -> RunState:
        return self.loop().run()


def program(**limits: object) -> Program:
    """A program that wants fewer `ms`, with three samples a measurement and a threshold of 2 %."""
    criteria = Criteria(metric_field="ms", direction=Direction.LOWER, rule=Rule.MEDIAN, noise_threshold=0.02, repeats=3)
    return Program(
        slug="p",
        directory="programs/p",
        text="Make it fast.",
        scripts=("measure.sh",),
        criteria=criteria,
        limits=Limits.model_validate({"max_experiments": 5, **limits}),
    )


def failed(reason: Reason, detail: str = "it broke") -> MeasurementFailure:
    return MeasurementFailure(reason=reason, detail=detail)
