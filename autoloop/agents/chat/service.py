"""What the built-in agent needs of a model's service, and one way to fail for all of them."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Literal, Protocol, TypeVar

from autoloop.agents.error_texts import failure_of
from autoloop.agents.trajectory import Call
from autoloop.core.session import SessionFailure, Usage

Result = TypeVar("Result")
_LOOK = 0.1
"""Seconds between two checks whether a call has to end."""

QUESTION = "Are you there? Answer with one word."

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
class ToolResult:
    """The result of one tool call."""

    call_id: str
    text: str
    is_error: bool = False


@dataclass(frozen=True)
class Asked:
    """A turn of the user: the packet, or a sentence when an answer was cut short."""

    text: str


@dataclass(frozen=True)
class Answered:
    """A turn of the model: one answer."""

    answer: Answer


@dataclass(frozen=True)
class Worked:
    """A turn with the results of the tools that the model called."""

    outcomes: tuple[ToolResult, ...]


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

    def sign_of_life(self) -> None:
        """Return at the first token of an answer to `QUESTION`. ServiceFailed for whatever goes wrong."""

    def close(self) -> None:
        """Close the connection, also in the middle of an answer."""


class ServiceFailed(Exception):
    """An answer that could not be had: the failure, and when to come back."""

    def __init__(self, failure: SessionFailure, detail: str, retry_at: float | None = None) -> None:
        super().__init__(detail)
        self.failure = failure
        self.detail = detail
        self.retry_at = retry_at


class NoTools(Exception):
    """The model knows no tool calls; they can be asked for in its text."""


class AnswerCutShort(Exception):
    """An answer that was given up: for the deadline, or because a person wants it."""


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
            raise AnswerCutShort
    if pending.error is not None:
        raise pending.error
    result: Result = pending.value
    return result


def failed_with(status: int, said: str, retry_after: str | None = None) -> ServiceFailed:
    """The failure that an HTTP status and the words beside it stand for."""
    failure, _, told = failure_of(status, said) or (SessionFailure.MALFORMED, "", None)
    detail = f"HTTP {status}: {said[:300]}" if said else f"HTTP {status}"
    if status == 404:
        detail += " (is the model's name right?)"
    return ServiceFailed(failure, detail, _moment(retry_after) or told)


def _moment(retry_after: str | None) -> float | None:
    """Unix seconds of a `retry-after` header, which holds seconds or a date (RFC 9110)."""
    if not retry_after:
        return None
    try:
        return time.time() + max(float(retry_after), 0.0)
    except ValueError:
        try:
            return parsedate_to_datetime(retry_after).timestamp()
        except ValueError:
            return None
