"""What every step of a run shares: the parts, the state, and the ways to add to it."""

from autoloop.core import events
from autoloop.core.measurement import MeasurementFailure, Sample, Taken, Wanted
from autoloop.core.program import Limits, Program
from autoloop.core.reasons import Reason, StopReason
from autoloop.core.replay import after
from autoloop.core.run import CALIBRATION, VERIFICATION, RunState, reuses
from autoloop.core.seeds import seed_for
from autoloop.core.stopping import limits_in_force
from autoloop.ports import Parts, Progress, Request

_FRESH_SEEDS = 1_000_000
"""Where the seeds of samples in fresh trees begin: what was remembered outside of a tree knows others."""

__all__ = ["CALIBRATION", "VERIFICATION", "Carrier", "Ended"]


class Carrier:
    """Carries a run on. `state` is always the replay of what was appended."""

    def __init__(self, program: Program, parts: Parts, state: RunState) -> None:
        self.program = program
        self.parts = parts
        self.state = state

    def append(self, event: events.Event) -> None:
        """Make an event durable; only then does it count."""
        state = after(self.state, event)
        self.parts.journal.append(event, state)
        self.state = state

    def sample(self, experiment: int, wanted: Wanted, *, commit: str, base: str) -> Sample | MeasurementFailure:
        """Take one sample and journal it. `base` is the commit that must stay built.

        One that a person cut short is a result only of the experiment in progress.
        """
        current = self.state.current
        # A reused baseline has been measured once for each seed, so every candidate gets the same seeds.
        seeded_by = CALIBRATION if current is not None and reuses(self.state) else experiment
        request = Request(
            commit=commit,
            keep=base,
            arm=wanted.arm,
            script=wanted.script,
            seed=seed_for(self.started.seed, seeded_by, wanted.index + _FRESH_SEEDS * wanted.fresh),
            key=f"{experiment}-{wanted.arm}-{wanted.index}-{wanted.script}{'-fresh' if wanted.fresh else ''}",
            fresh=wanted.fresh or (experiment == VERIFICATION and bool(self.program.scope.cache_paths)),
            alone=wanted.fresh,
        )
        where = " in a fresh tree" if wanted.fresh else ""
        self.progress("measuring", f"{wanted.arm} sample {wanted.index + 1}{where}")
        result = self.parts.bench.sample(request, self.parts.on_progress)
        waiting = current is not None and current.experiment == experiment
        if isinstance(result, MeasurementFailure) and result.reason is Reason.INTERRUPTED and not waiting:
            raise Ended(StopReason.ABORTED)
        taken = Taken(wanted=wanted, result=result)
        self.append(events.Sampled(at=self.now(), experiment=experiment, commit=commit, taken=taken))
        return result

    def progress(self, phase: str, text: str = "") -> None:
        """A fleeting sign of life."""
        self.parts.on_progress(Progress(phase, self.state.last_experiment, text))

    def now(self) -> float:
        """Unix seconds."""
        return self.parts.machine.now()

    @property
    def limits(self) -> Limits:
        """The limits in force."""
        return limits_in_force(self.state, self.program.limits)

    @property
    def started(self) -> events.RunStarted:
        """The run's first event."""
        assert self.state.started is not None, "a journal begins with its run"
        return self.state.started


class Ended(Exception):
    """The run ends in the middle of something that a resume repeats."""

    def __init__(self, reason: StopReason, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail
