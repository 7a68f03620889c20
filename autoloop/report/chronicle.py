"""What the journal of a run says of each experiment, gathered in one pass. Judges nothing anew."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from autoloop.core.run.events import (
    Captured,
    Decided,
    Disturbed,
    Event,
    ExperimentStarted,
    Sampled,
    SessionEnded,
    Waited,
)
from autoloop.core.run.notes import Notes
from autoloop.core.run.reasons import Status
from autoloop.core.run.results import Row
from autoloop.core.run.state import RunState
from autoloop.core.run.verdict import Decision
from autoloop.core.session import Session


@dataclass(frozen=True)
class Course:
    """The course of one experiment, as far as it has come."""

    experiment: int
    started: float
    before: float
    """The gain over the original when it began, as a fraction."""
    session: Session | None = None
    notes: Notes = Notes()
    captured: Captured | None = None
    samples: tuple[Sampled, ...] = ()
    decision: Decision | None = None
    troubles: tuple[str, ...] = ()
    """The waits and the repeated steps of the experiment, in words."""
    point: float | None = None
    """The gain over the original that it measured, kept or not; None when it measured none."""
    gains: tuple[float, ...] = ()
    """The gain of each pair, as a fraction."""

    @property
    def agent_seconds(self) -> float:
        """Seconds spent in the agent's session."""
        return self.session.seconds if self.session else 0.0

    @property
    def measuring_seconds(self) -> float:
        """Seconds spent in taking samples."""
        return sum(event.taken.result.seconds for event in self.samples)


@dataclass(frozen=True)
class Experiment:
    """One experiment that has ended."""

    row: Row
    course: Course
    after: float
    """The gain over the original when it was settled, as a fraction."""

    @property
    def number(self) -> int:
        """The number of the experiment in its run."""
        return self.row.experiment

    @property
    def kept(self) -> bool:
        """Whether the experiment's change was kept."""
        return self.row.status is Status.KEEP

    @property
    def other_seconds(self) -> float:
        """Seconds in neither session nor samples: placing, building, checking, waiting."""
        return max(0.0, (self.row.seconds or 0.0) - self.course.agent_seconds - self.course.measuring_seconds)


@dataclass
class Chronicle:
    """Takes the events of a run, in order, each with the state that includes it and the rows that it finished."""

    baseline: Row | None = None
    experiments: list[Experiment] = field(default_factory=list)
    current: Course | None = None
    """The experiment in progress, or the keep that waits for its own measurement."""
    _state: RunState | None = None

    def take(self, event: Event, state: RunState, rows: Sequence[Row]) -> None:
        """Take the next event of the run."""
        if isinstance(event, ExperimentStarted):
            self.current = Course(event.experiment, event.at, state.gain or 0.0)
        elif self.current is not None and self.current.decision is None:
            self.current = self._followed(self.current, event, state)
        for row in rows:
            self.finish(row, state)
        self._state = state

    def finish(self, row: Row, state: RunState) -> None:
        """Take the row of an experiment that ended, the baseline's included."""
        if row.experiment == 0:
            self.baseline = row
        elif self.current is not None and self.current.experiment == row.experiment:
            self.experiments.append(Experiment(row, self.current, state.gain or 0.0))
            self.current = None

    def _followed(self, course: Course, event: Event, state: RunState) -> Course:
        match event:
            case SessionEnded():
                return replace(course, session=event.session, notes=event.notes)
            case Captured():
                return replace(course, captured=event)
            case Sampled() if event.experiment == course.experiment:
                return replace(course, samples=(*course.samples, event))
            case Waited():
                return replace(course, troubles=(*course.troubles, f"waited {event.seconds:.0f} s: {event.why}"))
            case Disturbed():
                again = f"the {event.again} was taken again: {event.why}"
                return replace(course, troubles=(*course.troubles, again))
            case Decided():
                return self._decided(course, event.decision, state)
        return course

    def _decided(self, course: Course, decision: Decision, state: RunState) -> Course:
        noise, criteria = state.noise, state.criteria
        gains = tuple(noise.fraction(gain, criteria) for gain in decision.pairs) if noise else ()
        return replace(course, decision=decision, gains=gains, point=self._point(decision, state))

    def _point(self, decision: Decision, state: RunState) -> float | None:
        """Under `paired` on top of what was kept before, so that drift does not show; else against the original."""
        if decision.claimed is not None and state.noise and self._state:
            return state.noise.fraction(self._state.claimed + decision.claimed, state.criteria)
        if decision.metric is None or state.original_metric is None:
            return None
        return state.gain_over(state.original_metric, decision.metric)
