"""What takes samples, what they are taken with, and the machine on which."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from autoloop.core.disturbance import Conditions
from autoloop.core.measurement import Arm, MeasurementFailure, Sample
from autoloop.core.program import Limits
from autoloop.ports.agents import OnProgress


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


class Seal(Protocol):
    """The measurement files as they were when the run began."""

    def violations(self) -> tuple[str, ...]:
        """The sealed files that changed since, one short text each."""

    def restore(self) -> None:
        """Put back what changed, so that it spoils no later experiment; AutoloopError when that is impossible."""


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
