"""The values that a decision is made of: records, evidence, a rule's verdict, and the decision that it becomes."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from autoloop.core.model import Frozen
from autoloop.core.run.calibration import Noise
from autoloop.core.run.candidate import Candidate
from autoloop.core.run.flags import Flag
from autoloop.core.run.measurement import Measurement, Sample, Series
from autoloop.core.run.program import Criteria
from autoloop.core.run.reasons import Reason
from autoloop.core.session import Session


class Record(Frozen):
    """A measured tree: what must be beaten, or what was once the start."""

    commit: str
    metrics: dict[str, float]
    """The median of each metric."""
    values: tuple[float, ...] = ()
    """The primary metric of each sample."""
    cases: dict[str, float] = {}


def record_of(samples: Sequence[Sample], commit: str, criteria: Criteria) -> Record:
    """The record that these samples of a commit make."""
    measurement = Measurement(tuple(samples))
    return Record(
        commit=commit,
        metrics=measurement.medians(),
        values=tuple(measurement.values(criteria.metric_field)),
        cases=measurement.cases(),
    )


class Verdict(Frozen):
    """The verdict of a rule on a candidate's samples, before gates and holdout."""

    reason: Reason
    why: str
    """One sentence for people and for the next agent."""
    metric: float | None = None
    """The candidate's median."""
    baseline: float | None = None
    """What the candidate was set against."""
    gain: float | None = None
    """Relative improvement as a fraction; positive is better. Under `paired` what a fresh measurement would show."""
    low: float | None = None
    high: float | None = None
    """The 95 % interval of the gain, under `paired`."""
    evidence: float | None = None
    """Natural log of the evidence for an improvement, under `paired`."""
    claimed: float | None = None
    """The gain on the scale of the pairs, where gains add up, under `paired`."""
    sigma: float | None = None
    df: float | None = None
    """What was known of the noise before the first pair: its standard deviation, and how many residuals say so."""
    pairs: tuple[float, ...] = ()
    """The gain of each pair on that scale."""
    trace: tuple[float, ...] = ()
    """The log evidence after each pair."""


class Decision(Verdict):
    """The decision on one experiment, and the numbers that it rests on."""

    samples: int = 0
    metrics: dict[str, float] = {}
    """The candidate's medians, secondary metrics among them."""
    flags: tuple[Flag, ...] = ()
    """Signs of gaming, in the diff and in what was measured."""


class Keep(Frozen):
    """A kept change as the night's book-keeping knows it, under `paired`."""

    experiment: int
    commit: str
    parent: str
    pairs: tuple[float, ...]
    """Gains on the scale of the pairs, continuation included."""
    sigma: float
    df: float
    """What was known of the noise before the first pair; bets may use nothing later."""
    evidence: float
    claimed: float
    closed: bool = False
    """Ruled out, or measurable no more."""


class Verification(Frozen):
    """The result of measuring the original against the head afresh."""

    original: str
    head: str
    gain: float | None = None
    """The gain as a fraction; None when it could not be measured."""
    low: float | None = None
    high: float | None = None
    """The 95 % interval."""
    claimed: float | None = None
    """What the keeps add up to, as a fraction."""
    pairs: tuple[float, ...] = ()
    problems: tuple[str, ...] = ()
    """Broken gates, a holdout that regressed, a tree that could not be measured."""


@dataclass(frozen=True)
class Evidence:
    """The evidence on one experiment so far, for `decide`."""

    session: Session
    candidate: Candidate | None
    baseline: Record
    original: Record
    best: float
    """The best kept measurement, which simplifications may not drift away from."""
    noise: Noise
    tampered: tuple[str, ...] = ()
    """Measurement files that changed: lock violations."""
    breaches: tuple[str, ...] = ()
    """What lies outside the scope."""
    code_removed: int = 0
    """Code lines in scope, tests excluded: removed minus added."""
    flags: tuple[Flag, ...] = ()
    """Signs of gaming in the diff."""
    largest_kept: float | None = None
    """The largest gain that was kept so far, as a fraction."""
    series: Series = field(default_factory=Series)
    has_holdout: bool = False
    run_seed: int = 0
    experiment: int = 0
    pool: tuple[tuple[float, ...], ...] = ()
    """Gains of the pairs of calibration and of finished experiments: what is known of the noise."""
    simplified: int = 0
    """Simplifications kept so far in the run, which share one tolerance."""
    stored: tuple[Sample, ...] = ()
    """Samples of the baseline that are reused, by the index of their pair; none when pairs are fresh."""
    has_screen: bool = False
