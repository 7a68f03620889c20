"""Histories for tests of the pure core: events as a loop would have written them."""

from dataclasses import dataclass, field

from autoloop.core.run.calibration import Noise
from autoloop.core.run.candidate import Candidate, Change
from autoloop.core.run.events import (
    Baselined,
    BaselineWhy,
    Captured,
    Decided,
    Event,
    ExperimentStarted,
    RunResumed,
    RunStarted,
    Sampled,
    SessionEnded,
)
from autoloop.core.run.measurement import Arm, Sample, Taken, Wanted
from autoloop.core.run.notes import Notes
from autoloop.core.run.program import Criteria, Direction, Rule
from autoloop.core.run.reasons import Reason, Status
from autoloop.core.run.replay import replay
from autoloop.core.run.state import RunState, rebaseline_due
from autoloop.core.run.verdict import Decision, Record
from autoloop.core.session import Session

CRITERIA = Criteria(metric_field="ms", direction=Direction.LOWER, rule=Rule.MEDIAN)


@dataclass
class History:
    """Events so far; one second passes with each."""

    events: list[Event] = field(default_factory=list)
    at: float = 1000.0
    metric: float = 100.0
    experiment: int = 0

    def tick(self, seconds: float = 1.0) -> float:
        self.at += seconds
        return self.at

    def start(self, threshold: float = 0.02) -> "History":
        self.events += [
            RunStarted(at=self.tick(), run_id="r", program="p", seed=1, start="c0", branch="b"),
            RunResumed(at=self.tick()),
        ]
        return self.baseline("calibration", noise=Noise(threshold=threshold, spread=0.01, unit=self.metric))

    def resume(self, pause: float = 1.0) -> "History":
        self.events.append(RunResumed(at=self.tick(pause)))
        return self

    def sample(self, experiment: int, value: float, arm: Arm, index: int, cost: float | None = None) -> None:
        taken = Taken(wanted=Wanted(arm=arm, index=index), result=Sample(metrics={"ms": value}, cost_usd=cost))
        self.events.append(Sampled(at=self.tick(), experiment=experiment, commit="c", taken=taken))

    def baseline(
        self, why: BaselineWhy, value: float | None = None, *, moved: bool = True, noise: Noise | None = None
    ) -> "History":
        value = self.metric if value is None else value
        self.sample(0, value, Arm.BASELINE, 0)
        record = Record(commit=self.head, metrics={"ms": value}, values=(value,))
        self.events.append(Baselined(at=self.tick(), why=why, record=record, moved=moved, noise=noise))
        if moved:
            self.metric = value
        return self

    def experience(
        self,
        reason: Reason,
        value: float = 90.0,
        *,
        cost: float | None = 0.5,
        tokens: int | None = 10,
        notes: Notes = Notes(hypothesis="an idea", avoid=("a",), next=("n",)),
        description: str = "an idea",
        why: str = "because",
        sample_cost: float | None = None,
    ) -> "History":
        """One whole experiment that ended like this."""
        self.experiment += 1
        number, parent = self.experiment, self.head
        change = Change(path="a.py", kind="modified", added=2, removed=1)
        candidate = Candidate(commit=f"c{number}", parent=parent, changes=(change,))
        session = Session(seconds=1, cost_usd=cost, tokens=tokens, parameters={"k": number})
        none = reason in (Reason.NO_CANDIDATE, Reason.AGENT_FAILED)
        self.events += [
            ExperimentStarted(at=self.tick(), experiment=number, parent=parent),
            SessionEnded(at=self.tick(), experiment=number, session=session, notes=notes),
            Captured(at=self.tick(), experiment=number, candidate=None if none else candidate),
        ]
        if not none:
            self.sample(number, value, Arm.CANDIDATE, 0, sample_cost)
        gain = (self.metric - value) / self.metric
        decision = Decision(
            reason=reason, why=why, metric=value, baseline=self.metric, gain=gain, samples=1, metrics={"ms": value}
        )
        self.events.append(Decided(at=self.tick(), experiment=number, decision=decision, description=description))
        return self

    def kept(self, value: float, measured: float | None = None, reason: Reason = Reason.IMPROVED) -> "History":
        """A keep and its own measurement."""
        return self.experience(reason, value).baseline("keep", value if measured is None else measured)

    def discards(self, count: int) -> "History":
        """Discards in a row, with the checks for drift that fall due."""
        for _ in range(count):
            self.experience(Reason.WITHIN_NOISE, 99.5)
            if rebaseline_due(self.state()) == "drift":
                self.baseline("drift", moved=False)
        return self

    @property
    def head(self) -> str:
        kept = [
            event.experiment
            for event in self.events
            if isinstance(event, Decided) and event.decision.reason.status is Status.KEEP
        ]
        return f"c{kept[-1]}" if kept else "c0"

    def state(self) -> RunState:
        return replay(self.events, RunState(CRITERIA))
