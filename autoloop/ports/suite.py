"""The ports of a bench: suites as they lie on the disk, processes that take trials, the pace of calls, the journal."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from autoloop.core.suite.events import BenchEvent
from autoloop.core.suite.state import BenchState
from autoloop.core.suite.tasks import SuiteTask, TrialKey, TrialOrder, TrialResult


@dataclass(frozen=True)
class Suite:
    """A set of tasks as it lies on the disk."""

    name: str
    version: str
    """The suite's own version, or a digest of its tasks."""
    root: Path
    """What the paths of its tasks are relative to."""
    tasks: tuple[SuiteTask, ...]
    hours: Mapping[str, float] = field(default_factory=dict)
    """Of some groups: how long their trials may run, all together."""


class TaskSource(Protocol):
    """A format of suites, which reads them from the disk."""

    def claims(self, path: Path) -> bool:
        """Whether the path looks like a suite of this format."""

    def load(self, path: Path) -> Suite:
        """Read it; AutoloopError that names file, field and what is allowed."""


@dataclass(frozen=True)
class News:
    """A message of a worker, or about one."""

    worker: int
    kind: Literal["ready", "phase", "paced", "result", "gone"]
    """`gone` is a worker whose process is over, `paced` one that sits out some seconds for the pace of its calls."""
    text: str = ""
    phase: str = ""
    seconds: float = 0.0
    result: TrialResult | None = None


class Pacing(Protocol):
    """The pace of calls of models, which all workers share."""

    def wait(self) -> float:
        """Seconds until one more call may be made; 0 for now."""

    def charge(self, calls: int) -> None:
        """Count calls that are made now, or were made already."""


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


OnWorker = Callable[[int, TrialKey | None, str, str], None]
"""Told what a worker does: its number, its trial, the phase, a text. Nothing depends on it."""


class Ledger(Protocol):
    """The journal of a bench, which is the truth about it."""

    def append(self, event: BenchEvent, state: BenchState) -> None:
        """Make the event durable, then bring the views up to `state`, which includes it."""
