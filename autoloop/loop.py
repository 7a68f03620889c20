"""The loop: propose one change, measure it, decide, settle, record; rebaseline on drift, stop on stagnation.

It knows ports, not vendors, and remembers nothing that the journal does not say: `self.state` is
always the replay of what was appended. After a kill the step behind the last event is repeated.
"""

from autoloop.briefing import brief
from autoloop.core import events
from autoloop.core.decision import Decision, decide
from autoloop.core.description import commit_message, describe
from autoloop.core.inspection import inspect
from autoloop.core.measurement import MeasurementFailure, Taken, Wanted
from autoloop.core.notes import parse_notes
from autoloop.core.program import Limits, Program
from autoloop.core.reasons import Reason, StopReason
from autoloop.core.rebaseline import next_baseline
from autoloop.core.replay import after
from autoloop.core.run import Current, RunState, evidence_of, limits_in_force, rebaseline_due, stop_reason
from autoloop.core.seeds import seed_for
from autoloop.core.session import SessionFailure
from autoloop.errors import AutoloopError
from autoloop.ports import Parts, Progress, Request


class Loop:
    """One process that carries a run on, from wherever its journal ends."""

    def __init__(self, program: Program, parts: Parts, state: RunState) -> None:
        self.program = program
        self.parts = parts
        self.state = state

    def run(self) -> RunState:
        """Go on until there is a reason to stop; the state at the end."""
        try:
            self._take_up()
            while (reason := self._why_stop()) is None:
                self.experiment()
            self._append(events.RunStopped(at=self._now(), reason=reason))
        except _Ended as ended:
            self._append(events.RunStopped(at=self._now(), reason=ended.reason, detail=ended.detail))
        except AutoloopError as fault:
            self._append(events.RunStopped(at=self._now(), reason=StopReason.FAULT, detail=fault.message))
            raise
        return self.state

    def experiment(self) -> None:
        """One pass: from the packet to the settled tree. What the journal has of it is not done again."""
        self._begin()
        self._propose()
        self._capture()
        self._record(self._judge())
        self._settle()
        self._rebaseline()

    def _take_up(self) -> None:
        """Repeat the effect of the last decision, which a kill may have prevented."""
        self._append(events.RunResumed(at=self._now()))
        self._settle()
        self._rebaseline()

    def _why_stop(self) -> StopReason | None:
        if self.parts.steering.now():
            return StopReason.ABORTED
        if self.state.current is not None:
            return None
        self._heed_wishes()
        if self.parts.steering.wishes().stop:
            return StopReason.STOPPED
        return stop_reason(self.state, self._limits, self._now())

    def _heed_wishes(self) -> None:
        wishes = self.parts.steering.wishes()
        if wishes.guidance != self.state.guidance:
            self._append(events.Guided(at=self._now(), text=wishes.guidance))
        changed = {name: value for name, value in wishes.limits.items() if self.state.limits.get(name) != value}
        if changed:
            self._append(events.LimitsChanged(at=self._now(), limits=changed))

    def _begin(self) -> None:
        if self.state.current is None:
            self._wait_for_machine()
            number = self.state.last_experiment + 1
            self._append(events.ExperimentStarted(at=self._now(), experiment=number, parent=self.state.head))

    def _wait_for_machine(self) -> None:
        since = self._now()
        why = self.parts.machine.wait_until_fit(self._limits, self.parts.steering.now, self._progress)
        if why is not None:
            self._append(events.Waited(at=self._now(), why=why, seconds=self._now() - since))

    def _propose(self) -> None:
        current = self._current
        if current.session is not None:
            return
        task = brief(self.program, self.state, current, self._limits, self.parts)
        self._progress("agent")
        session = self.parts.agent.run(task, self.parts.on_progress)
        if session.failure is SessionFailure.UNREACHABLE:
            raise _Ended(StopReason.AGENT_UNAVAILABLE, session.detail)
        notes = parse_notes(session.text)
        self._append(events.SessionEnded(at=self._now(), experiment=current.experiment, session=session, notes=notes))

    def _capture(self) -> None:
        current = self._current
        if current.captured is not None:
            return
        self._progress("capture")
        message = commit_message(current.experiment, self.program.slug, current.notes)
        found = self.parts.trees.capture(current.experiment, current.parent, at=current.started, message=message)
        self.parts.files.patch(current.experiment, found.patch)
        changed = self.parts.seal.violations()
        self._append(inspect(found, self.program.scope, changed, experiment=current.experiment, at=self._now()))

    def _judge(self) -> Decision:
        has_holdout = self.program.has("holdout.sh")
        while isinstance(step := decide(evidence_of(self.state, has_holdout), self.program.criteria), Wanted):
            self._sample(self._current.experiment, step)
        return step

    def _record(self, decision: Decision) -> None:
        current = self._current
        description = describe(current.notes, current.candidate)
        self._append(
            events.Decided(at=self._now(), experiment=current.experiment, decision=decision, description=description)
        )

    def _settle(self) -> None:
        left_alone = self.parts.trees.settle(head=self.state.head, previous=self.state.previous_head)
        if left_alone:
            self._progress("settle", left_alone)

    def _rebaseline(self) -> None:
        while (why := rebaseline_due(self.state)) is not None:
            step = next_baseline(self.state, why)
            if isinstance(step, Wanted):
                self._sample(0, step)
            elif isinstance(step, MeasurementFailure):
                raise AutoloopError(f"the code as it is cannot be measured: {step.detail}")
            else:
                self._append(events.Baselined(at=self._now(), why=why, **vars(step)))

    def _sample(self, experiment: int, wanted: Wanted) -> None:
        """Take one sample of the experiment in progress, or of the baseline (experiment 0)."""
        commit = self._current.commit_of(wanted.arm) if experiment else self.state.head
        request = Request(
            commit=commit,
            keep=self.state.head,
            arm=wanted.arm,
            script=wanted.script,
            seed=seed_for(self._started.seed, experiment, wanted.index),
            key=f"{experiment}-{wanted.arm}-{wanted.index}-{wanted.script}",
        )
        self._progress("measuring", f"{wanted.arm} sample {wanted.index + 1}")
        result = self.parts.bench.sample(request, self.parts.on_progress)
        if experiment == 0 and isinstance(result, MeasurementFailure) and result.reason is Reason.INTERRUPTED:
            raise _Ended(StopReason.ABORTED)
        taken = Taken(wanted=wanted, result=result)
        self._append(events.Sampled(at=self._now(), experiment=experiment, commit=commit, taken=taken))

    def _append(self, event: events.Event) -> None:
        state = after(self.state, event)
        self.parts.journal.append(event, state)
        self.state = state

    def _progress(self, phase: str, text: str = "") -> None:
        self.parts.on_progress(Progress(phase, self.state.last_experiment, text))

    def _now(self) -> float:
        return self.parts.machine.now()

    @property
    def _limits(self) -> Limits:
        return limits_in_force(self.state, self.program.limits)

    @property
    def _current(self) -> Current:
        assert self.state.current is not None, "an experiment is in progress"
        return self.state.current

    @property
    def _started(self) -> events.RunStarted:
        assert self.state.started is not None, "a journal begins with its run"
        return self.state.started


class _Ended(Exception):
    """The run ends in the middle of an experiment, which a resume repeats."""

    def __init__(self, reason: StopReason, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail
