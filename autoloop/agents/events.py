"""What a client tells of its session, as it tells it: events read live, and what they add up to."""

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from autoloop.agents.trajectory import Trajectory
from autoloop.agents.transcript import Transcript
from autoloop.core.notes import one_line
from autoloop.core.session import SessionFailure
from autoloop.core.usage import Usage
from autoloop.ports import Task


@dataclass
class Told:
    """What a client has told of a session so far."""

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
    """Whether a limit is reached that the client does not know: it has to end."""

    def say(self, text: str) -> None:
        """Something that the model said."""
        if text:
            self.transcript.tell("stdout", text.splitlines())

    def show(self, text: str) -> None:
        """Something that the client did, in a few words."""
        self.transcript.tell("tool", [one_line(text, 160)])

    def fails(self, failure: SessionFailure, detail: str, retry_at: float | None = None) -> None:
        """How the session went wrong, as far as is known; what is told later counts."""
        self.failure, self.detail, self.retry_at = failure, one_line(detail, 400), retry_at

    def stop(self, failure: SessionFailure, detail: str) -> None:
        """End the client: it went beyond a limit."""
        if not self.enough:
            self.enough = True
            self.fails(failure, detail)


class Reader(ABC):
    """Reads the events of one session."""

    def __init__(self, told: Told, task: Task) -> None:
        self.told, self.task = told, task

    @abstractmethod
    def event(self, event: dict[str, Any]) -> None:
        """One event of the stream."""

    def lines(self, lines: list[str]) -> None:
        """Lines of standard output; what is no event is shown as it is."""
        self.told.transcript.record("stdout", lines)
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                event = None
            if isinstance(event, dict):
                # An event of another shape than this version knows must not end a session.
                try:
                    self.event(event)
                except (KeyError, TypeError, AttributeError, ValueError):
                    self.told.show(f"an event that is not understood: {line[:80]}")
            elif line.strip():
                self.told.transcript.tell("stdout", [line])
