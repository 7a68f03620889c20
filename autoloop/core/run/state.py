"""The state of a run at one instant.

It is bounded: windows of the newest results, never the whole history. Only `replay` makes one.
"""

import math
from dataclasses import dataclass, field

from autoloop.core.run.calibration import Noise
from autoloop.core.run.candidate import Candidate
from autoloop.core.run.events import BaselineWhy, Captured, Decided, RunStarted, RunStopped, VerificationStarted
from autoloop.core.run.measurement import Arm, Sample, Series, relative_gain
from autoloop.core.run.notes import Backlog, Notes
from autoloop.core.run.program import Criteria, Rule
from autoloop.core.run.results import Row, Totals
from autoloop.core.run.verdict import Evidence, Keep, Record, Verification
from autoloop.core.session import Session

RECENT = 15
CALIBRATION = 0
"""The experiment number of samples of the baseline between experiments."""
VERIFICATION = -1
"""The experiment number of samples of original and head."""
_DRIFT_EVERY = 5
_CHECK_STORED_EVERY = 10


@dataclass(frozen=True)
class Current:
    """The experiment in progress, as far as the journal knows it."""

    experiment: int
    parent: str
    started: float
    active: float = 0.0
    """How long the run had been active when it began."""
    session: Session | None = None
    notes: Notes = Notes()
    captured: Captured | None = None
    series: Series = field(default_factory=Series)

    @property
    def candidate(self) -> Candidate | None:
        """What the session proposed, once it is captured."""
        return self.captured.candidate if self.captured else None

    def commit_of(self, arm: Arm) -> str:
        """The commit that an arm measures."""
        return self.candidate.commit if arm is Arm.CANDIDATE and self.candidate else self.parent


@dataclass(frozen=True)
class RunState:
    """The state of a run, as its events add up."""

    criteria: Criteria
    events: int = 0
    started: RunStarted | None = None
    head: str = ""
    """The commit of the last keep, or the start."""
    previous_head: str = ""
    """What the last keep was based on; where the run's head may still stand after a kill."""
    last_experiment: int = 0
    current: Current | None = None
    last_decided: Decided | None = None
    keep_unmeasured: bool = False
    """A keep's tree has not been measured again yet."""
    series: Series = field(default_factory=Series)
    """Samples of the baseline since it was last spoken for."""
    baseline: Record | None = None
    original: Record | None = None
    best: float = 0.0
    noise: Noise | None = None
    pool: tuple[tuple[float, ...], ...] = ()
    """Gains of the pairs of calibration and of the newest experiments: what is known of the noise."""
    claimed: float = 0.0
    """The sum of the kept gains on the scale of the pairs, under `paired`."""
    simplified: int = 0
    stored: tuple[Sample, ...] = ()
    """Samples of the kept tree, by the index of their pair, for `baseline = "reuse"`."""
    stored_checked_at: int = 0
    """The count of measured experiments at the last check of a stored sample."""
    stored_moved: bool = False
    measured: int = 0
    """Experiments that were judged by pairs, kept or not."""
    keeps: tuple[Keep, ...] = ()
    continuing: int | None = None
    """The keep whose next pair is under way."""
    verifying: VerificationStarted | None = None
    verified: Verification | None = None
    sample_seconds: float = 0.0
    """Seconds of the newest sample."""
    totals: Totals = field(default_factory=Totals)
    discards_in_row: int = 0
    drift_checked_at: int = 0
    """The count of discards in a row at the last check for drift."""
    after_gap: bool = False
    disturbed: int = 0
    """How often the step in progress was taken again."""
    recent: tuple[Row, ...] = ()
    kept: tuple[Row, ...] = ()
    backlog: Backlog = Backlog()
    guidance: str = ""
    limits: dict[str, int | float] = field(default_factory=dict)
    diagnostics: str = ""
    ignored: tuple[str, ...] = ()
    """New ignored files of the last session, which were left out of its candidate."""
    active_seconds: float = 0.0
    last_at: float = 0.0
    stopped: RunStopped | None = None
    best_experiment: int | None = None

    @property
    def begun(self) -> RunStarted:
        """The first event of the run; only a program that never ran has a state without one."""
        if self.started is None:
            raise ValueError("a journal begins with its run")
        return self.started

    @property
    def in_progress(self) -> Current:
        """The experiment in progress, where there must be one."""
        if self.current is None:
            raise ValueError("an event of an experiment stands outside any experiment")
        return self.current

    def seconds_at(self, now: float) -> float:
        """How long the run has been active by `now`, pauses between processes left out."""
        return self.active_seconds + max(0.0, now - self.last_at)

    @property
    def metric(self) -> float | None:
        """The metric that a candidate must beat now."""
        return self.baseline.metrics[self.criteria.metric_field] if self.baseline else None

    @property
    def original_metric(self) -> float | None:
        """The metric of the run's first measurement."""
        return self.original.metrics[self.criteria.metric_field] if self.original else None

    @property
    def reached(self) -> float | None:
        """The metric that the keeps have reached. Under `paired` by what they claim, not by the newest samples."""
        if self.original_metric is None or self.noise is None or self.criteria.rule is not Rule.PAIRED:
            return self.metric
        return self.noise.moved(self.original_metric, self.claimed, self.criteria)

    @property
    def drift(self) -> float | None:
        """How far the machine has moved: the kept code as it measures now against what its keeps add up to.

        0 when it is not more than noise.
        """
        if self.metric is None or not self.reached or self.criteria.rule is not Rule.PAIRED:
            return None
        drift = (self.metric - self.reached) / abs(self.reached)
        samples = len(self.baseline.values) if self.baseline else 0
        noise = 3 * ((self.noise.spread if self.noise else None) or 0.0) / math.sqrt(max(samples, 1))
        return drift if abs(drift) > noise else 0.0

    @property
    def gain(self) -> float | None:
        """The gain of the kept tree over the run's first measurement."""
        if self.metric is None or self.original_metric is None or self.noise is None:
            return None
        if self.criteria.rule is Rule.PAIRED:
            # Side by side the machine's drift cancels; two measurements hours apart would show it.
            return self.noise.fraction(self.claimed, self.criteria)
        return self.gain_over(self.original_metric, self.metric)

    def gain_over(self, baseline: float, value: float) -> float:
        """Relative improvement of a value over a baseline, in this run's direction and unit."""
        return relative_gain(baseline, value, self.criteria.direction, self.noise.unit if self.noise else None)


def rebaseline_due(state: RunState) -> BaselineWhy | None:
    """Why the kept tree should be measured again now; None when it need not be."""
    if state.baseline is None:
        return "calibration"
    if state.criteria.rule is Rule.PAIRED:
        due = reuses(state) and state.measured - state.stored_checked_at >= _CHECK_STORED_EVERY
        return "drift" if due and state.current is None else None
    if state.keep_unmeasured:
        return "keep"
    if state.after_gap:
        return "gap"
    unchecked = state.discards_in_row - state.drift_checked_at
    return "drift" if unchecked >= _DRIFT_EVERY else None


def evidence_of(state: RunState, *, has_holdout: bool, has_screen: bool = False) -> Evidence:
    """The evidence on the experiment in progress, for `decide`."""
    current = state.in_progress
    assert current.session and current.captured
    assert state.baseline and state.original and state.noise
    return Evidence(
        session=current.session,
        candidate=current.candidate,
        baseline=state.baseline,
        original=state.original,
        best=state.best,
        noise=state.noise,
        tampered=current.captured.tampered,
        breaches=current.captured.breaches,
        code_removed=current.captured.code_removed,
        flags=current.captured.flags,
        largest_kept=max((row.gain for row in state.kept if row.gain is not None), default=None),
        series=current.series,
        has_holdout=has_holdout,
        run_seed=state.begun.seed,
        experiment=current.experiment,
        pool=state.pool,
        simplified=state.simplified,
        stored=state.stored if reuses(state) else (),
        has_screen=has_screen,
    )


def reuses(state: RunState) -> bool:
    """Whether samples of the baseline serve all candidates: asked for, and not seen to move."""
    criteria = state.criteria
    return criteria.rule is Rule.PAIRED and criteria.baseline == "reuse" and not state.stored_moved
