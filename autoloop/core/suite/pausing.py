"""What to do about an arm whose service is out of breath or out of quota: pause it, or give it up.

The patience is that of the loop. Several workers meet the same limit at once, so what failed before the latest failure
was known belongs to the same round, and the wait grows from round to round.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from autoloop.core.patience import after_quota, as_quota, next_attempt
from autoloop.core.session import Session, SessionFailure
from autoloop.core.suite.trial import Outcome, TrialResult


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
    """No trial of the arm is begun before `until`, in Unix seconds; None for never."""

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
