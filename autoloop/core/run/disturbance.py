"""Disturbances: when a step does not count because something outside spoiled it, such as a full disk or a standstill.

What is spoiled is taken again, a few times at most: then what was measured is taken to do it to itself.
"""

from dataclasses import dataclass

from autoloop.core.run.measurement import MeasurementFailure, Sample
from autoloop.core.run.reasons import Reason
from autoloop.core.session import Session, SessionFailure

MOST_TIMES = 3
"""The number of times that one sample is taken again."""
MOST_SESSIONS = 1
"""The number of times that one session is begun again: it costs."""
_NOTHING_FREE_GB = 0.001
_SIGNS = ("No space left on device", "Disk quota exceeded", "ENOSPC", "EDQUOT")
"""What programs say when the disk is full; they often make room again when they end."""
_MAY_BE_SPOILED = {Reason.MEASUREMENT_FAILED, Reason.BUILD_FAILED, Reason.CHECKS_FAILED}


@dataclass(frozen=True)
class Conditions:
    """How the machine is at one instant."""

    free_gb: float
    """On the fullest disk that a run writes to."""
    still: float = 0.0
    """Seconds since the process began in which it, or all of the machine, stood still."""
    read_only: str = ""
    """A place that the run must write to and cannot any more."""

    @property
    def full(self) -> bool:
        """Whether nothing more can be written."""
        return self.free_gb < _NOTHING_FREE_GB


@dataclass(frozen=True)
class Circumstances:
    """The state of the machine around one step."""

    still: float = 0.0
    """Seconds of it in which nothing of ours ran."""
    full: bool = False
    """Whether the disk was full when it ended."""
    cleared: bool = False
    """Whether there was room again once what the step had left was removed."""
    read_only: str = ""
    """What could not be written any more when it ended."""
    times: int = 0
    """How often this step was taken again already."""


def lacks_room(result: Sample | MeasurementFailure | Session, conditions: Conditions) -> bool:
    """Whether a step may have failed for want of room."""
    if isinstance(result, Sample) or not _may_be_spoiled(result):
        return False
    return conditions.full or any(sign in result.detail for sign in _SIGNS)


def _may_be_spoiled(result: MeasurementFailure | Session) -> bool:
    if isinstance(result, Session):
        return result.failure is not SessionFailure.CANCELLED
    return result.reason in _MAY_BE_SPOILED


def spoiled(result: Sample | MeasurementFailure, around: Circumstances) -> str | None:
    """Why a sample does not count and is taken again; None when it counts."""
    if around.times >= MOST_TIMES and not around.read_only:
        return None
    if isinstance(result, MeasurementFailure):
        if result.reason is not Reason.INTERRUPTED and not result.intact:
            return "files of the tree vanished while it was measured"
        if not _may_be_spoiled(result):
            return None
        if around.read_only:
            return f"{around.read_only} became read-only"
    if around.still:
        return f"everything stood still for {around.still:.0f} s"
    return "the disk was full" if around.full and not around.cleared else None


def session_spoiled(session: Session, around: Circumstances) -> str | None:
    """Why a session does not count and is begun again; None when it counts."""
    if around.read_only:
        return f"{around.read_only} became read-only"
    if around.times >= MOST_SESSIONS or session.failure is SessionFailure.CANCELLED:
        return None
    return "the disk was full" if around.full and not around.cleared else None


def session_lost(times: int) -> str | None:
    """Why a session whose tree vanished is begun again; None when that is taken for the agent's own doing."""
    return "the agent's tree vanished" if times < MOST_SESSIONS else None


def blamed(result: MeasurementFailure, around: Circumstances) -> MeasurementFailure:
    """A failure that counts, with what the candidate did to the machine."""
    if not around.full:
        return result
    return result.model_copy(update={"detail": f"{result.detail}; {_of_the_disk(around)}"})


def blamed_session(session: Session, around: Circumstances) -> Session:
    """A session that counts, with what the agent did to the machine."""
    if not around.full or session.failure is SessionFailure.CANCELLED:
        return session
    detail = "; ".join(filter(None, (session.detail, _of_the_disk(around))))
    return session.model_copy(update={"failure": session.failure or SessionFailure.EXITED, "detail": detail})


def _of_the_disk(around: Circumstances) -> str:
    return "what it left had filled the disk" if around.cleared else "the disk was full"
