"""The history of a searching agent, read back from the events of its run."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from autoloop.core.events import Decided, Event, SessionEnded
from autoloop.core.reasons import Status

Parameter = str | int | float | bool


@dataclass(frozen=True)
class Trial:
    """One parameter setting and how it went."""

    experiment: int
    parameters: dict[str, Parameter]
    metric: float | None
    """None when nothing could be measured."""
    kept: bool


def trials(events: Iterable[Event]) -> Iterator[Trial]:
    """Every decided trial, oldest first."""
    parameters: dict[str, Parameter] = {}
    for event in events:
        match event:
            case SessionEnded():
                parameters = event.session.parameters
            case Decided() if parameters:
                kept = event.decision.reason.status is Status.KEEP
                yield Trial(event.experiment, parameters, event.decision.metric, kept)
                parameters = {}
