"""The ports of the loop: trees, files, sampler, seal, machine, journal and steering, and all of them as `Parts`."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from autoloop.core.run.candidate import Capture
from autoloop.core.run.disturbance import Conditions
from autoloop.core.run.events import Event
from autoloop.core.run.measurement import Arm, MeasurementFailure, Sample
from autoloop.core.run.program import Limits
from autoloop.core.run.results import Row
from autoloop.core.run.state import RunState
from autoloop.core.run.summary import Summary
from autoloop.ports.agents import Agent, OnProgress
from autoloop.ports.sandboxes import Cell, Sandbox


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


class Files(Protocol):
    """The directory of one experiment."""

    def packet(self, experiment: int, text: str) -> Path:
        """Save the context packet; its path."""

    def transcript(self, experiment: int) -> Path:
        """Where the session is recorded."""

    def patch(self, experiment: int, text: str) -> None:
        """Save a candidate's diff in its experiment's directory."""

    def patches(self, rows: Iterable[Row]) -> list[tuple[Row, str]]:
        """The saved diffs of these experiments."""


@dataclass(frozen=True)
class Request:
    """A request for one sample of a commit."""

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


class Sampler(Protocol):
    """The port for measuring: places trees, builds, checks and takes samples."""

    def sample(self, request: Request, on_progress: OnProgress) -> Sample | MeasurementFailure:
        """Place, check, build and warm up the commit where that is still to do, then measure once."""

    def tidy(self) -> None:
        """Remove what scripts have left in scratch and in the trees, because the disk is full."""

    def close(self) -> None:
        """Stop what was started for the run."""


class Seal(Protocol):
    """The measurement files as they were when the run began."""

    def violations(self) -> tuple[str, ...]:
        """The sealed files that changed since, one short text each."""

    def restore(self) -> None:
        """Put back what changed, so that it spoils no later experiment; AutoloopError when that is impossible."""


class Machine(Protocol):
    """The clock, and whether the machine is fit to measure."""

    def now(self) -> float:
        """Unix seconds, which never go back."""

    def conditions(self) -> Conditions:
        """Free space, and how long everything stood still since the process began."""

    def sleep(self, seconds: float, cancelled: Callable[[], bool]) -> None:
        """Return after so many seconds, or soon after `cancelled`."""

    def wait_until_fit(
        self, limits: Limits, cancelled: Callable[[], bool], say: Callable[[str, str], None]
    ) -> str | None:
        """Return once nothing speaks against an experiment; what did (a full disk, a busy machine), if anything."""


class Journal(Protocol):
    """The journal of a run, which is the truth about it."""

    def append(self, event: Event, state: RunState) -> None:
        """Make the event durable, then bring the views up to `state`, which includes it."""

    def read(self) -> Iterable[Event]:
        """Every event from the beginning, streamed."""


@dataclass(frozen=True)
class Wishes:
    """The wishes that people gave a running loop: guidance, limits, stop."""

    guidance: str = ""
    limits: dict[str, int | float] = field(default_factory=dict)
    stop: bool = False
    stop_now: bool = False


class Steering(Protocol):
    """People's wishes, read for each experiment."""

    def wishes(self) -> Wishes:
        """The wishes that are in force now."""

    def now(self) -> bool:
        """Whether the experiment in progress should be cut short."""


OnNews = Callable[[list[Row], Summary], None]
"""Told after each durable event: the rows that it finished, and the run in one look."""


@dataclass(frozen=True)
class Parts:
    """The parts that a loop is made of, each behind its port."""

    agent: Agent
    trees: Trees
    sampler: Sampler
    seal: Seal
    journal: Journal
    steering: Steering
    machine: Machine
    files: Files
    sandbox: Sandbox
    cell: Cell
    """The cell of the agent; each session adds its packet."""
    prompt: str
    """The template of the context packet."""
    on_progress: OnProgress
