"""What to do about an agent that fails for a reason of its service: wait, take another, or leave it at that."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from autoloop.core.session import Session, SessionFailure
from autoloop.core.text import rough_duration

BACKOFF = (20.0, 60.0, 180.0, 600.0, 600.0)
"""Seconds between attempts where the service does not say when to come back: 24 minutes in all."""
MARGIN = 5.0
"""Seconds beyond what the service said: clocks differ."""
LONGEST = 1800.0
"""A rate limit that lasts longer is a quota."""


@dataclass(frozen=True)
class Wait:
    """Come back after so many seconds."""

    seconds: float
    why: str


def as_quota(session: Session, now: float, left: float | None) -> Session:
    """The session, its rate limit called a quota where it lasts beyond our patience or the run.

    Whoever began the next experiment would fail the same within seconds, and so spend them all.
    """
    if session.failure is not SessionFailure.RATE_LIMITED or session.retry_at is None:
        return session
    seconds = _until(session.retry_at, now)
    if seconds <= LONGEST and (left is None or seconds < left):
        return session
    return session.model_copy(update={"failure": SessionFailure.OUT_OF_QUOTA})


def next_attempt(failures: Sequence[Session], now: float, left: float | None, *, answered: bool) -> Wait | None:
    """The wait before the session is tried again; None when it is not. `left` is seconds until the run must end.

    `failures` are the attempts so far, the latest last. Only what passes by itself is waited for. A service that
    has never `answered` is more likely misconfigured than gone: nobody should wait to learn that.
    """
    latest = failures[-1]
    if latest.failure is None or not latest.failure.passes or len(failures) > len(BACKOFF):
        return None
    if latest.failure is SessionFailure.UNREACHABLE and not answered:
        return None
    seconds = _seconds(failures, now)
    if seconds > LONGEST or (left is not None and seconds >= left):
        return None
    return Wait(seconds, _why(latest, seconds))


def after_quota(
    failures: Sequence[Session], on_quota: Literal["wait", "fallback", "stop"], now: float, left: float | None
) -> Wait | None:
    """The wait until a quota is reset; None where nobody wants it, no time is told or the run ends before."""
    latest = failures[-1]
    if latest.failure is not SessionFailure.OUT_OF_QUOTA or on_quota != "wait" or latest.retry_at is None:
        return None
    if len(failures) > len(BACKOFF):
        return None
    seconds = _seconds(failures, now)
    if left is not None and seconds >= left:
        return None
    return Wait(seconds, _why(latest, seconds))


def _seconds(failures: Sequence[Session], now: float) -> float:
    """As long as the service says; where that was of no use, at least as long as if it said nothing."""
    told, attempts = failures[-1].retry_at, len(failures)
    if told is None:
        return BACKOFF[attempts - 1]
    return max(_until(told, now), BACKOFF[attempts - 1] if attempts > 1 else 0.0)


def _until(retry_at: float, now: float) -> float:
    return max(retry_at - now, 0.0) + MARGIN


def _why(session: Session, seconds: float) -> str:
    said = f": {session.detail}" if session.detail else ""
    name = str(session.failure).replace("_", " ")
    return f"the agent is {name}{said}; again in {rough_duration(seconds)}"
