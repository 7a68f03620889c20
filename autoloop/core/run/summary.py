"""The summary of a run, as `status --json` and `state.json` give it: its state, what remains, why nothing was kept.

How long it may still take is told at the pace so far; stagnation or a target can end it sooner.
"""

from collections import Counter

from autoloop.core.model import Frozen
from autoloop.core.run.night import Confidence, labels
from autoloop.core.run.program import Limits, Rule
from autoloop.core.run.reasons import Reason
from autoloop.core.run.state import RunState
from autoloop.core.run.stopping import limits_in_force
from autoloop.core.run.verdict import Verification
from autoloop.core.text import percent


class Summary(Frozen):
    """The summary of a run. An unknown number is null."""

    run_id: str
    program: str
    phase: str
    """What the process does now, or `stopped`."""
    experiment: int
    """The experiment in progress, or the last one."""
    experiments: int
    max_experiments: int
    kept: int
    discarded: int
    crashed: int
    discards_in_row: int
    max_consecutive_discards: int
    max_hours: float | None
    max_cost_usd: float | None
    max_tokens: int | None
    target: float | None
    metric_field: str
    direction: str
    baseline: float | None
    original_baseline: float | None
    gain: float | None
    drift: float | None
    """How far the kept code measures now from what its keeps add up to; null under `median`, which follows it."""
    noise_threshold: float | None
    best_experiment: int | None
    confirmed: int | None
    """Keeps that the whole night's evidence confirms at a false discovery rate of 10 %; null under `median`."""
    provisional: int | None
    ruled_out: int | None
    flagged: tuple[int, ...]
    """Kept experiments that show signs of gaming."""
    verified: Verification | None
    """The original against the head, measured afresh; null until that was done."""
    stop_reason: str | None
    detail: str
    branch: str
    head: str
    start: str
    cost_usd: float | None
    unknown_costs: int
    """Sessions whose cost is not known and so not in the sum."""
    tokens: int | None
    seconds: float
    """How long processes have held the run."""
    started_at: float
    updated_at: float
    """When the last event was written; a live run has been active since."""
    sandbox: str


def summarise(state: RunState, limits: Limits, *, phase: str, sandbox: str) -> Summary:
    """The summary of a run's state."""
    started, totals, limits = state.begun, state.totals, limits_in_force(state, limits)
    by_pairs = state.criteria.rule is Rule.PAIRED
    counted = Counter(label.confidence for label in labels(state))
    return Summary(
        run_id=started.run_id,
        program=started.program,
        phase="stopped" if state.stopped else phase,
        experiment=state.last_experiment,
        experiments=totals.experiments,
        max_experiments=limits.max_experiments,
        kept=totals.kept,
        discarded=totals.discarded,
        crashed=totals.crashed,
        discards_in_row=state.discards_in_row,
        max_consecutive_discards=limits.max_consecutive_discards,
        max_hours=limits.max_hours,
        max_cost_usd=limits.max_cost_usd,
        max_tokens=limits.max_tokens,
        target=limits.target,
        metric_field=state.criteria.metric_field,
        direction=state.criteria.direction.value,
        baseline=state.metric,
        original_baseline=state.original_metric,
        gain=state.gain,
        drift=state.drift,
        noise_threshold=state.noise.threshold if state.noise else None,
        best_experiment=state.best_experiment,
        confirmed=counted[Confidence.CONFIRMED] if by_pairs else None,
        provisional=counted[Confidence.PROVISIONAL] if by_pairs else None,
        ruled_out=counted[Confidence.RULED_OUT] if by_pairs else None,
        flagged=tuple(row.experiment for row in state.kept if row.flags),
        verified=state.verified,
        stop_reason=state.stopped.reason.value if state.stopped else None,
        detail=state.stopped.detail if state.stopped else "",
        branch=started.branch,
        head=state.head,
        start=started.start,
        cost_usd=totals.cost_usd,
        unknown_costs=totals.unknown_costs,
        tokens=totals.tokens,
        seconds=state.active_seconds,
        started_at=started.at,
        updated_at=state.last_at,
        sandbox=sandbox,
    )


def seconds_left(summary: Summary, elapsed: float) -> float | None:
    """Seconds until the first limit ends the run; None while no experiment has shown the pace, or once it ended."""
    if summary.stop_reason is not None:
        return None
    bounds = [] if summary.max_hours is None else [3600 * summary.max_hours - elapsed]
    for most, used in (
        (summary.max_experiments, summary.experiments),
        (summary.max_cost_usd, summary.cost_usd),
        (summary.max_tokens, summary.tokens),
    ):
        if most is not None and used:
            bounds.append((most - used) * elapsed / used)
    return max(0.0, min(bounds)) if bounds else None


_ADVICE = {
    Reason.WITHIN_NOISE: "the noise hides smaller gains: measure more work per sample, see `autoloop validate`",
    Reason.REGRESSED: "the ideas made it worse: steer with `autoloop guide`",
    Reason.GATE_FAILED: "see which gate with `autoloop results`, and whether its bound is meant",
    Reason.HOLDOUT_FAILED: "gains did not carry over to the holdout",
    Reason.CHECKS_FAILED: "try checks.sh by hand on one of the candidates",
    Reason.BUILD_FAILED: "try build.sh by hand on one of the candidates",
    Reason.LOCK_VIOLATION: "the agent edits what measures it: say in program.md what is off limits",
    Reason.OUT_OF_SCOPE: "the agent edits outside `editable`: widen it, or say so in program.md",
    Reason.NO_CANDIDATE: "the agent ends without a change: read a transcript in `experiments/`",
    Reason.AGENT_FAILED: "the agent fails: read a transcript in `experiments/`",
    Reason.MEASUREMENT_FAILED: "candidates break measure.sh: try it by hand on one of them",
}


def diagnose(state: RunState) -> tuple[str, ...]:
    """Why nothing was kept: a sentence for each rung at which experiments ended, commonest first; none after a keep."""
    totals = state.totals
    if totals.kept or not totals.experiments:
        return ()
    counted = sorted(totals.by_reason.items(), key=lambda item: -item[1])
    sentences = [
        f"{count} of {totals.experiments} {reason}" + (f": {advice}" if (advice := _ADVICE.get(Reason(reason))) else "")
        for reason, count in counted
    ]
    if state.noise and state.noise.threshold:
        sentences.append(f"gains below {percent(state.noise.threshold, '.2g')} could not be told from noise")
    return tuple(sentences)
