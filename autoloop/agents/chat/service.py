"""What the built-in agent needs of a model's service, and one way to fail for all of them."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

from autoloop.agents.trajectory import Call
from autoloop.core.session import SessionFailure
from autoloop.core.usage import Usage

Result = TypeVar("Result")
_LOOK = 0.1
"""Seconds between two looks at whether a call has to end."""

Stop = Literal["end", "tools", "length", "refused", "paused", "context"]


@dataclass(frozen=True)
class Answer:
    """One answer of a model."""

    text: str
    stop: Stop
    said: Any
    """The answer as its service wants it back in the next call."""
    calls: tuple[Call, ...] = ()
    reasoning: str = ""
    usage: Usage | None = None
    model: str = ""


@dataclass(frozen=True)
class Outcome:
    """What came of a tool call."""

    call_id: str
    text: str
    is_error: bool = False


@dataclass(frozen=True)
class Asked:
    """What the person says: the packet, or a word when an answer was cut short."""

    text: str


@dataclass(frozen=True)
class Answered:
    """What the model said."""

    answer: Answer


@dataclass(frozen=True)
class Worked:
    """What its tool calls gave."""

    outcomes: tuple[Outcome, ...]


Turn = Asked | Answered | Worked


@dataclass(frozen=True)
class Tool:
    """A tool as a model is told of it."""

    name: str
    description: str
    parameters: dict[str, Any]
    """A JSON schema of an object."""


class Service(Protocol):
    """A model behind a network."""

    def answer(self, system: str, turns: Sequence[Turn], tools: Sequence[Tool]) -> Answer:
        """The next answer. ServiceFailed for whatever goes wrong."""

    def close(self) -> None:
        """Drop the connection, also in the middle of an answer."""


class ServiceFailed(Exception):
    """Why there is no answer."""

    def __init__(self, failure: SessionFailure, detail: str, retry_at: float | None = None) -> None:
        super().__init__(detail)
        self.failure = failure
        self.detail = detail
        self.retry_at = retry_at


class NoTools(Exception):
    """The model knows no tool calls; they can be asked for in its text."""


class CutShort(Exception):
    """A call was given up: for the deadline, or because a person wants it."""


@dataclass
class _Pending:
    value: Any = None
    error: BaseException | None = None
    done: threading.Event = field(default_factory=threading.Event)


def interruptible(call: Callable[[], Result], is_over: Callable[[], bool], give_up: Callable[[], None]) -> Result:
    """The result of a blocking call; CutShort soon after `is_over`, whatever the call waits for."""
    pending = _Pending()

    def work() -> None:
        try:
            pending.value = call()
        except BaseException as error:
            pending.error = error
        finally:
            pending.done.set()

    threading.Thread(target=work, daemon=True, name="autoloop-model").start()
    while not pending.done.wait(_LOOK):
        if is_over():
            give_up()
            raise CutShort
    if pending.error is not None:
        raise pending.error
    result: Result = pending.value
    return result


def failed_with(status: int, said: str, retry_after: str | None = None) -> ServiceFailed:
    """The failure that an HTTP status stands for, with the words of the service where the status is ambiguous."""
    words = said.lower()
    detail = f"HTTP {status}: {said[:300]}" if said else f"HTTP {status}"
    retry_at = _moment(retry_after)
    if any(word in words for word in ("insufficient_quota", "quota", "credit balance", "billing", "out of credit")):
        return ServiceFailed(SessionFailure.OUT_OF_QUOTA, detail, retry_at)
    if status == 413 or any(
        word in words for word in ("context length", "context_length", "too long", "maximum context", "context window")
    ):
        return ServiceFailed(SessionFailure.CONTEXT_TOO_LONG, detail)
    if status in (401, 403):
        return ServiceFailed(SessionFailure.NOT_SIGNED_IN, detail)
    if status == 402:
        return ServiceFailed(SessionFailure.OUT_OF_QUOTA, detail, retry_at)
    if status == 429:
        return ServiceFailed(SessionFailure.RATE_LIMITED, detail, retry_at)
    if status == 404:
        return ServiceFailed(SessionFailure.UNREACHABLE, f"{detail} (is the model's name right?)")
    if status >= 500:
        return ServiceFailed(SessionFailure.OVERLOADED, detail, retry_at)
    return ServiceFailed(SessionFailure.MALFORMED, detail)


def _moment(retry_after: str | None) -> float | None:
    """Unix seconds of a `retry-after` header, which holds seconds or a date (RFC 9110)."""
    if not retry_after:
        return None
    try:
        return time.time() + max(float(retry_after), 0.0)
    except ValueError:
        from email.utils import parsedate_to_datetime

        try:
            return parsedate_to_datetime(retry_after).timestamp()
        except ValueError:
            return None
