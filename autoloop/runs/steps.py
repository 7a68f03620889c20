"""What every step of a run shares: the parts, the state, and the ways to add to it.

A step is repeated while there is no room for it, and until nothing outside spoils it. Whether that is the case is
judged by `core.run.disturbance`.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from autoloop.core.run import events
from autoloop.core.run.disturbance import Circumstances, blamed, lacks_room, spoiled
from autoloop.core.run.measurement import SCREEN, MeasurementFailure, Sample, Taken, Wanted
from autoloop.core.run.program import Limits, Program
from autoloop.core.run.reasons import Reason, StopReason
from autoloop.core.run.replay import after
from autoloop.core.run.state import CALIBRATION, VERIFICATION, RunState, reuses
from autoloop.core.run.stopping import limits_in_force
from autoloop.core.seeds import seed_for
from autoloop.core.session import Session
from autoloop.errors import AutoloopError, NoRoom, as_fixable
from autoloop.ports import Parts, Progress, Request

_FRESH_SEEDS = 1_000_000
"""Where the seeds of samples in fresh trees begin: what was remembered outside of a tree knows others."""

_Result = TypeVar("_Result")
_LONGEST_PAUSE = 10.0


class Steps:
    """The steps of one process of a run. `state` is always the replay of what was appended."""

    def __init__(self, program: Program, parts: Parts, state: RunState) -> None:
        self.program = program
        self.parts = parts
        self.state = state
        self._still = parts.machine.conditions().still

    def append(self, event: events.Event) -> None:
        """Make an event durable; only then does it count."""
        if not isinstance(event, events.Disturbed):
            self._note_standstill()
        self.patiently(partial(self._append, event))

    def _append(self, event: events.Event) -> None:
        state = after(self.state, event)
        self.parts.journal.append(event, state)
        self.state = state

    def end(self, reason: StopReason, detail: str = "") -> None:
        """Journal the end of the run, without waiting for anything."""
        self._append(events.RunStopped(at=self.now(), reason=reason, detail=detail))

    def sample(self, experiment: int, wanted: Wanted, *, commit: str, base: str) -> Sample | MeasurementFailure | None:
        """Take one sample and journal it; None when it does not count, and what is wanted has to be asked again.

        `base` is the commit that must stay built. A sample that a person cut short is a result only of the
        experiment in progress.
        """
        if self._note_standstill():
            return None
        where = " in a fresh tree" if wanted.fresh else ""
        self.progress("measuring", f"{wanted.arm} sample {wanted.index + 1}{where}")
        try:
            request = self._request(experiment, wanted, commit, base)
            result = self.parts.sampler.sample(request, self.parts.on_progress)
        except (AutoloopError, OSError) as error:
            why = self._want_of_room(error)
            self.wait_for_room(why, self.state.disturbed)
            self.append(events.Disturbed(at=self.now(), experiment=experiment, why=why))
            return None
        current = self.state.current
        waiting = current is not None and current.experiment == experiment
        if isinstance(result, MeasurementFailure) and result.reason is Reason.INTERRUPTED and not waiting:
            raise RunEnded(StopReason.ABORTED)
        return self._counted(experiment, commit, Taken(wanted=wanted, result=result))

    def _request(self, experiment: int, wanted: Wanted, commit: str, base: str) -> Request:
        # A reused baseline has been measured once for each seed, so every candidate gets the same seeds.
        seeded_by = CALIBRATION if self.state.current is not None and reuses(self.state) else experiment
        return Request(
            commit=commit,
            keep=base,
            arm=wanted.arm,
            script=wanted.script,
            seed=seed_for(self.state.begun.seed, seeded_by, wanted.index + _FRESH_SEEDS * wanted.fresh),
            key=f"{experiment}-{wanted.arm}-{wanted.index}-{wanted.script}{'-fresh' if wanted.fresh else ''}",
            fresh=wanted.fresh or (experiment == VERIFICATION and bool(self.program.scope.cache_paths)),
            alone=wanted.fresh,
            cases=self.state.baseline.cases if wanted.script == SCREEN and self.state.baseline else {},
        )

    def _counted(self, experiment: int, commit: str, taken: Taken) -> Sample | MeasurementFailure | None:
        """Journal a sample as one that counts, or as one that something outside has spoiled."""
        around = self.circumstances(taken.result, self.parts.sampler.tidy)
        why = spoiled(taken.result, around)
        if why is not None:
            self._still += around.still
            self.take_again(why, around, experiment, still=around.still, taken=taken)
            return None
        if isinstance(taken.result, MeasurementFailure):
            taken = taken.model_copy(update={"result": blamed(taken.result, around)})
        self.append(events.Sampled(at=self.now(), experiment=experiment, commit=commit, taken=taken))
        return taken.result

    def take_again(self, why: str, around: Circumstances, experiment: int, **spoiled: Any) -> None:
        """Journal what does not count, and return when another try makes sense; an AutoloopError when none does."""
        if around.full:
            self.wait_for_room(why, self.state.disturbed)
        self.append(events.Disturbed(at=self.now(), experiment=experiment, why=why, **spoiled))
        if around.read_only:
            raise AutoloopError(why, "Make it writable again, then resume the run.")

    def circumstances(
        self, result: Sample | MeasurementFailure | Session, clear: Callable[[], object]
    ) -> Circumstances:
        """The state of the machine around a step that just ended. `clear` removes what it left on a full disk."""
        ended = self.parts.machine.conditions()
        full, cleared = lacks_room(result, ended), False
        if full and ended.full:
            with suppress(AutoloopError, OSError):
                clear()
            cleared = not self.parts.machine.conditions().full
        return Circumstances(
            still=ended.still - self._still,
            full=full,
            cleared=cleared,
            read_only=ended.read_only,
            times=self.state.disturbed,
        )

    def _note_standstill(self) -> bool:
        """Journal that everything stood still since the last step, if it did."""
        now = self.parts.machine.conditions().still
        still, self._still = now - self._still, now
        if still:
            why = f"everything stood still for {still:.0f} s"
            self.append(events.Disturbed(at=self.now(), experiment=self.state.last_experiment, why=why, still=still))
        return bool(still)

    def patiently(self, step: Callable[[], _Result]) -> _Result:
        """The result of a step that can be repeated, as soon as there is room for it."""
        since, times, why = self.now(), 0, ""
        while True:
            try:
                result = step()
                break
            except (AutoloopError, OSError) as error:
                why = self._want_of_room(error)
            self.wait_for_room(why, times)
            times += 1
        if why:
            with suppress(NoRoom):
                self._append(events.Waited(at=self.now(), why=why, seconds=self.now() - since))
        return result

    def _want_of_room(self, error: AutoloopError | OSError) -> str:
        """The error as a lack of room, in words. Any other error is raised."""
        fault = as_fixable(error)
        if fault is not None and (isinstance(fault, NoRoom) or self.parts.machine.conditions().full):
            return fault.message
        raise error

    def wait_for_room(self, why: str, times: int) -> None:
        """Return when another try is worth it, after some already; Ended when a person does not want to wait for it."""
        self.progress("waiting", f"no space left ({why})")
        self.parts.machine.sleep(min(_LONGEST_PAUSE, 0.5 * 2.0**times), self.is_to_end)
        self.parts.machine.wait_until_fit(self.limits, self.is_to_end, self.progress)
        self.end_if_wanted(why)

    def end_if_wanted(self, why: str) -> None:
        """Ended when a person wants it."""
        if self.is_to_end():
            raise RunEnded(StopReason.ABORTED if self.parts.steering.now() else StopReason.STOPPED, why)

    def is_to_end(self) -> bool:
        """Whether a person wants the run to end, now or after the experiment in progress."""
        return self.parts.steering.now() or self.parts.steering.wishes().stop

    def progress(self, phase: str, text: str = "") -> None:
        """Report what is being done now; nothing depends on it."""
        self.parts.on_progress(Progress(phase, self.state.last_experiment, text))

    def now(self) -> float:
        """Unix seconds by the machine's clock."""
        return self.parts.machine.now()

    @property
    def limits(self) -> Limits:
        """The limits in force, with changes made by people."""
        return limits_in_force(self.state, self.program.limits)


class RunEnded(Exception):
    """The run ends in the middle of a step that a resume repeats."""

    def __init__(self, reason: StopReason, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail
