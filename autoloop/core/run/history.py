"""The history of a searching agent, read back from the events of its run."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from autoloop.core.run.events import Decided, Event, SessionEnded
from autoloop.core.run.program import Direction
from autoloop.core.run.reasons import Reason, Status

Parameter = str | int | float | bool


@dataclass(frozen=True)
class Trial:
    """One setting of a search's parameters, and its result."""

    experiment: int
    parameters: dict[str, Parameter]
    metric: float | None
    """In units of the run's start, free of the machine's drift: 0.9 is 10 % less. None when nothing counts,
    because it could not be measured, broke a gate or was refused."""
    kept: bool


_COUNTS = {Reason.IMPROVED, Reason.SIMPLIFIED, Reason.WITHIN_NOISE, Reason.REGRESSED}


def trials(events: Iterable[Event], direction: Direction) -> Iterator[Trial]:
    """Every decided trial, oldest first. Gains over what was kept before them put all on one scale."""
    parameters: dict[str, Parameter] = {}
    level, sign = 1.0, -1.0 if direction is Direction.LOWER else 1.0
    for event in events:
        match event:
            case SessionEnded():
                parameters = event.session.parameters
            case Decided():
                decision = event.decision
                kept = decision.reason.status is Status.KEEP
                counts = decision.reason in _COUNTS and decision.gain is not None
                metric = level * (1 + sign * (decision.gain or 0.0)) if counts else None
                if parameters:
                    yield Trial(event.experiment, parameters, metric, kept)
                level = metric if kept and metric is not None else level
                parameters = {}
