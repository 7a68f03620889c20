"""The truth of a run or a bench, and what people ask of one in progress."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from autoloop.core.events import Event
from autoloop.core.results import Row
from autoloop.core.run import RunState
from autoloop.core.suite.events import BenchEvent
from autoloop.core.suite.state import BenchState
from autoloop.core.summary import Summary


class Journal(Protocol):
    """The truth of a run."""

    def append(self, event: Event, state: RunState) -> None:
        """Make the event durable, then bring the views up to `state`, which includes it."""

    def read(self) -> Iterable[Event]:
        """Every event from the beginning, streamed."""


class Ledger(Protocol):
    """The truth of a bench."""

    def append(self, event: BenchEvent, state: BenchState) -> None:
        """Make the event durable, then bring the views up to `state`, which includes it."""


@dataclass(frozen=True)
class Wishes:
    """What people asked of a running loop."""

    guidance: str = ""
    limits: dict[str, int | float] = field(default_factory=dict)
    stop: bool = False
    stop_now: bool = False


class Steering(Protocol):
    """People's wishes, read for each experiment."""

    def wishes(self) -> Wishes:
        """What is asked for now."""

    def now(self) -> bool:
        """Whether the experiment in progress should be cut short."""


OnNews = Callable[[list[Row], Summary], None]
"""Told after each durable event: the rows that it finished, and the run in one look."""
