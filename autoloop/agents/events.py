"""What a client tells of its session while it runs: events read live, and what they add up to."""

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autoloop.agents.trajectory import Trajectory
from autoloop.agents.transcript import Transcript
from autoloop.core.run.notes import one_line
from autoloop.core.session import SessionFailure, Usage
from autoloop.ports import Task

PATIENCE = 60.0
"""Seconds for which a client may try a service that fails. Longer waits are the loop's: it shows them, and knows when
the night ends."""
LONGEST_EVENT = 8 << 20
"""Characters. Results of tools stand in events as a whole."""


@dataclass
class SessionLog:
    """The session so far, as the client's events tell it."""

    transcript: Transcript
    trajectory: Trajectory
    usage: Usage | None = None
    cost_usd: float | None = None
    turns: int = 0
    model: str = ""
    failure: SessionFailure | None = None
    detail: str = ""
    retry_at: float | None = None
    enough: bool = False
    """Whether it has to end, for a reason that the client does not know."""
    answered: bool = False
    """Whether the model has answered: from then on, what is said speaks of the work as well."""
    troubled: float | None = None
    """Since when its service fails."""
    patience: float = PATIENCE

    def say(self, text: str) -> None:
        """Take a text that the model said."""
        if text:
            self.transcript.tell("stdout", text.splitlines())

    def show(self, text: str) -> None:
        """Take something that the client did, in a few words."""
        self.transcript.tell("tool", [one_line(text, 160)])

    def works(self) -> None:
        """Take a sign that the model answers: earlier failures of the service are over."""
        self.answered = True
        if not self.enough:
            self.failure, self.detail, self.retry_at, self.troubled = None, "", None, None

    def fails(self, failure: SessionFailure, detail: str, retry_at: float | None = None) -> None:
        """How the session went wrong, as far as is known; what is told later counts, until it has to end."""
        if not self.enough:
            self.failure, self.retry_at = failure, retry_at
            self.detail = one_line(self.transcript.redacted(detail), 400)

    def waits(self, failure: SessionFailure, detail: str, retry_at: float | None = None) -> None:
        """The service failed and the client tries again, at some time if that is told."""
        self.fails(failure, detail, retry_at)
        self.troubled = self.troubled or time.monotonic()
        long = retry_at is not None and retry_at - time.time() > self.patience
        if long or failure is SessionFailure.OUT_OF_QUOTA:
            self.enough = True

    def stop(self, failure: SessionFailure, detail: str) -> None:
        """End the client: it went beyond a limit."""
        self.fails(failure, detail)
        self.enough = True

    def has_to_end(self) -> bool:
        """Whether a limit is reached, or the service has been failing for too long."""
        if self.troubled is not None and time.monotonic() - self.troubled > self.patience:
            self.enough = True
        return self.enough


class Reader(ABC):
    """Reads the events of one session."""

    def __init__(self, told: SessionLog, task: Task) -> None:
        self.told, self.task = told, task

    @abstractmethod
    def event(self, event: dict[str, Any]) -> None:
        """Take one event of the stream."""

    def passing(self, event: dict[str, Any]) -> bool:
        """Whether an event is one of many small ones, which the record can do without."""
        return False

    def errors(self, lines: list[str]) -> None:
        """Take lines of the client's standard error."""
        self.told.transcript.say("stderr", lines)

    def look(self, *, at_once: bool = False) -> None:  # noqa: B027 - most need nothing
        """Check limits and files; called many times a second while the client works."""

    def lines(self, lines: list[str]) -> None:
        """Lines of standard output; what is no event is shown as it is."""
        for line in lines:
            event = _event(line)
            if event is None or not self.passing(event):
                self.told.transcript.record("stdout", [line])
            if event is not None:
                # An event of another shape than this version knows must not end a session.
                try:
                    self.event(event)
                except (KeyError, TypeError, AttributeError, ValueError):
                    self.told.show(f"an event that is not understood: {line[:80]}")
            elif line.strip():
                self.told.transcript.tell("stdout", [line])


def _event(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def shown(name: str, given: Mapping[str, Any]) -> str:
    """A tool call in a few words, as progress shows it."""
    about = given.get("command") or given.get("file_path") or given.get("path") or given.get("pattern") or ""
    return f"$ {about}" if name.lower() in ("bash", "shell") else f"{name} {about}".strip()


def text_of(content: object) -> str:
    """The text of a tool's result, which is one or a list of blocks."""
    if isinstance(content, list):
        return "\n".join(str(block.get("text", "")) for block in content if isinstance(block, dict))
    return str(content or "")
