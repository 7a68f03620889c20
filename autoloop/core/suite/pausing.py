"""Pausing an arm whose service is rate limited or out of quota, the number of workers, and the pace of model calls.

The patience is that of the loop. Several workers meet the same limit at once, so what failed before the latest failure
was known belongs to the same round, and the wait grows from round to round.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from autoloop.core.patience import after_quota, as_quota, next_attempt
from autoloop.core.session import Session, SessionFailure
from autoloop.core.suite.tasks import Outcome, TrialResult


@dataclass(frozen=True)
class Round:
    """One time that an arm was turned away."""

    at: float
    """Unix seconds of the latest failure."""
    session: Session


Rounds = tuple[Round, ...]
"""Since the arm's service last answered, the latest last."""


@dataclass(frozen=True)
class Pause:
    """A pause of an arm: none of its trials is begun before `until`, in Unix seconds; None for never."""

    until: float | None
    why: str


def turned_away(result: TrialResult) -> SessionFailure | None:
    """How the service of the agent turned the trial away; None where the trial came to anything else."""
    if result.outcome is not Outcome.ERROR or result.failure_mode not in _KNOWN:
        return None
    failure = SessionFailure(result.failure_mode)
    return failure if failure.passes or failure.out_of_reach else None


_KNOWN = {failure.value for failure in SessionFailure}


def one_more(rounds: Rounds, result: TrialResult, at: float) -> Rounds:
    """The rounds after one more trial."""
    failure = turned_away(result)
    if failure is None:
        return () if result.outcome.counts else rounds
    session = Session(seconds=0.0, failure=failure, detail=result.detail, retry_at=result.retry_at)
    if rounds and result.started <= rounds[-1].at:
        latest = rounds[-1].session
        later = max(filter(None, (latest.retry_at, session.retry_at)), default=None)
        return (*rounds[:-1], replace(rounds[-1], at=at, session=session.model_copy(update={"retry_at": later})))
    return (*rounds, Round(at, session))


def pause_of(rounds: Rounds, *, answered: bool) -> Pause | None:
    """What the rounds ask for; None when the arm can go on. `answered` is whether its service ever did."""
    if not rounds:
        return None
    sessions, at = _sessions(rounds), rounds[-1].at
    wait = after_quota(sessions, "wait", at, None) or next_attempt(sessions, at, None, answered=answered)
    if wait is None:
        latest = rounds[-1].session
        return Pause(None, latest.detail or str(latest.failure).replace("_", " "))
    return Pause(at + wait.seconds, wait.why)


def _sessions(rounds: Rounds) -> Sequence[Session]:
    return [*(one.session for one in rounds[:-1]), as_quota(rounds[-1].session, rounds[-1].at, None)]


_GB_PER_WORKER = 1.0
"""Memory that a worker with an agent's client in it is taken to need."""
_KEPT_FREE_GB = 1.0


def worker_count(wanted: int | None, *, trials: int, cores: int, free_gb: float) -> int:
    """How many trials run side by side; without a wish, what cores and free memory carry."""
    if wanted is not None:
        return max(1, min(wanted, trials))
    by_memory = int((free_gb - _KEPT_FREE_GB) / _GB_PER_WORKER)
    return max(1, min(cores, by_memory, trials))


@dataclass
class Pace:
    """Calls of a model per minute: one after the other, each in a slot of its own, and nothing is saved up.

    Calls that are told of after they were made take the next slots, so that what was overdrawn is paid back before
    anything else is begun.
    """

    per_minute: float
    free_at: float = 0.0
    """When the next slot begins."""

    def wait(self, now: float) -> float:
        """Seconds until the next slot; 0 for now."""
        return max(0.0, self.free_at - now)

    def charge(self, calls: float, now: float) -> None:
        """Take the next slots for so many calls."""
        self.free_at = max(self.free_at, now) + calls * 60.0 / self.per_minute
