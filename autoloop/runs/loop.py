"""The loop: propose one change, measure it, decide, settle, record; rebaseline on drift, stop on stagnation.

It knows ports, not vendors, and remembers nothing that the journal does not say: `self.state` is
always the replay of what was appended. After a kill the step behind the last event is repeated.
"""

from contextlib import suppress
from functools import partial

from autoloop.core.gaming.inspect import inspect
from autoloop.core.run import events
from autoloop.core.run.candidate import commit_message, describe
from autoloop.core.run.decision import decide
from autoloop.core.run.disturbance import blamed_session, session_lost, session_spoiled
from autoloop.core.run.measurement import HOLDOUT, SCREEN, MeasurementFailure, Wanted
from autoloop.core.run.notes import parse_notes
from autoloop.core.run.reasons import StopReason
from autoloop.core.run.rebaseline import next_baseline
from autoloop.core.run.state import CALIBRATION, RunState, evidence_of, rebaseline_due
from autoloop.core.run.stopping import stop_reason
from autoloop.core.run.verdict import Decision
from autoloop.core.session import Session
from autoloop.errors import AutoloopError, as_fixable
from autoloop.runs.night_end import close_night, verify
from autoloop.runs.steps import RunEnded, Steps
from autoloop.runs.task import brief


class Loop(Steps):
    """The loop of a run, in one process, from wherever its journal ends."""

    def run(self) -> RunState:
        """Run experiments until there is a reason to stop; the state at the end."""
        try:
            self._take_up()
            while (reason := self._why_stop()) is None:
                self.experiment()
            close_night(self, reason)
            self.append(events.RunStopped(at=self.now(), reason=reason))
        except RunEnded as ended:
            self.end(ended.reason, ended.detail)
        except (AutoloopError, OSError) as error:
            fault = as_fixable(error)
            if fault is None:
                raise
            # What stopped the run may keep this from being written as well. It can be resumed all the same.
            with suppress(AutoloopError):
                self.end(StopReason.FAULT, fault.message)
            raise fault from (None if fault is error else error)
        return self.state

    def verify(self, pairs: int) -> RunState:
        """Measure the original against the head afresh, and leave the run as it was."""
        ended = self.state.stopped.reason if self.state.stopped else StopReason.STOPPED
        try:
            self._take_up()
            verify(self, pairs)
        except RunEnded as cut_short:
            ended = cut_short.reason
        self.end(ended)
        return self.state

    def experiment(self) -> None:
        """One pass: from the packet to the settled tree. What the journal has of it is not done again."""
        self._begin()
        while self.state.in_progress.captured is None:
            self._propose()
            self._capture()
        self._record(self._judge())
        self._settle()
        self._rebaseline()

    def _take_up(self) -> None:
        """Repeat the effect of the last decision, which a kill may have prevented."""
        self.append(events.RunResumed(at=self.now()))
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
        return stop_reason(self.state, self.limits, self.now())

    def _heed_wishes(self) -> None:
        wishes = self.parts.steering.wishes()
        if wishes.guidance != self.state.guidance:
            self.append(events.Guided(at=self.now(), text=wishes.guidance))
        changed = {name: value for name, value in wishes.limits.items() if self.state.limits.get(name) != value}
        if changed:
            self.append(events.LimitsChanged(at=self.now(), limits=changed))

    def _begin(self) -> None:
        if self.state.current is None:
            self._wait_for_machine()
            number = self.state.last_experiment + 1
            self.append(events.ExperimentStarted(at=self.now(), experiment=number, parent=self.state.head))

    def _wait_for_machine(self) -> None:
        since = self.now()
        why = self.parts.machine.wait_until_fit(self.limits, self.is_to_end, self.progress)
        if why is None:
            return
        self.append(events.Waited(at=self.now(), why=why, seconds=self.now() - since))
        if (reason := self._why_stop()) is not None:
            raise RunEnded(reason)

    def _wait(self, why: str, seconds: float) -> bool:
        """Sit out what an agent has to wait for; False when a person ended it."""
        since = self.now()
        self.progress("waiting", why)
        self.parts.machine.sleep(seconds, self.is_to_end)
        self.append(events.Waited(at=self.now(), why=why, seconds=self.now() - since))
        return not self.is_to_end()

    def _propose(self) -> None:
        current = self.state.in_progress
        if current.session is not None:
            return
        session = self.patiently(self._session)
        around = self.circumstances(session, lambda: self.parts.trees.place("agent", current.parent))
        if (why := session_spoiled(session, around)) is not None:
            self.take_again(why, around, current.experiment, session=session)
            return
        session = blamed_session(session, around)
        if session.failure and session.failure.out_of_reach:
            self.end_if_wanted(session.detail)
            raise RunEnded(StopReason.AGENT_UNAVAILABLE, session.detail)
        notes = parse_notes(session.text)
        self.append(events.SessionEnded(at=self.now(), experiment=current.experiment, session=session, notes=notes))

    def _session(self) -> Session:
        task = brief(self.program, self.state, self.state.in_progress, self.limits, self.parts, self._wait)
        self.progress("agent")
        return self.parts.agent.run(task, self.parts.on_progress)

    def _capture(self) -> None:
        current = self.state.in_progress
        if current.session is None:
            return
        self.progress("capture")
        message = commit_message(current.experiment, self.program.slug, current.notes)
        capture = partial(self.parts.trees.capture, current.experiment, current.parent)
        found = self.patiently(partial(capture, at=current.started, message=message))
        if found.lost and (why := session_lost(self.state.disturbed)) is not None:
            lost = events.Disturbed(at=self.now(), experiment=current.experiment, why=why, again="session")
            self.append(lost)
            return
        self.patiently(partial(self.parts.files.patch, current.experiment, found.patch))
        changed, cases = self.parts.seal.violations(), self.state.baseline.cases if self.state.baseline else ()
        self.append(inspect(found, self.program, changed, cases=cases, experiment=current.experiment, at=self.now()))

    def _judge(self) -> Decision:
        while isinstance(step := self._decided(), Wanted):
            current = self.state.in_progress
            commit = current.commit_of(step.arm)
            if self.sample(current.experiment, step, commit=commit, base=self.state.head) is None:
                self._rebaseline()
        return step

    def _decided(self) -> Decision | Wanted:
        holdout, screen = self.program.has(HOLDOUT), self.program.has(SCREEN)
        return decide(evidence_of(self.state, has_holdout=holdout, has_screen=screen), self.program.criteria)

    def _record(self, decision: Decision) -> None:
        current = self.state.in_progress
        description = describe(current.notes, current.candidate)
        self.append(
            events.Decided(at=self.now(), experiment=current.experiment, decision=decision, description=description)
        )

    def _settle(self) -> None:
        self.patiently(self.parts.seal.restore)
        settle = partial(self.parts.trees.settle, head=self.state.head, previous=self.state.previous_head)
        left_alone = self.patiently(settle)
        if left_alone:
            self.progress("settle", left_alone)

    def _rebaseline(self) -> None:
        while (why := rebaseline_due(self.state)) is not None:
            step = next_baseline(self.state, why)
            if isinstance(step, Wanted):
                self.sample(CALIBRATION, step, commit=self.state.head, base=self.state.head)
            elif isinstance(step, MeasurementFailure):
                hint = f"Look closer with `autoloop validate {self.program.slug}`."
                raise AutoloopError(f"the code as it is cannot be measured: {step.detail}", hint)
            else:
                self.append(events.Baselined(at=self.now(), why=why, **vars(step)))
