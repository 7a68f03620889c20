"""Episodes: one pass of one arm over the suite, as a line of `episodes.jsonl`, which all benches of a place share.

The names are those of the file. Beside the ones that earlier tools wrote there are the arm, what it cost, and the
passes by task, so that nights can be compared task by task when their directories are gone.
"""

# ruff: noqa: N815 - the format's own names

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum

from pydantic import AwareDatetime

from autoloop.core.evidence.trials import Rate
from autoloop.core.model import Frozen
from autoloop.core.suite.state import BenchState
from autoloop.core.suite.tally import mean_known, total_cost
from autoloop.core.suite.tasks import Outcome, TrialKey, TrialResult


class EpisodeStatus(StrEnum):
    """The status of an episode in one word. An error tells more than a timeout, a timeout more than the rate."""

    SUCCESS = "success"
    """At least 80 % passed."""
    PARTIAL = "partial"
    """At least 30 %."""
    FAILED = "failed"
    TIMEOUT = "timeout"
    """A task ran out of time."""
    ERROR = "error"
    """Something around a trial failed, or nothing counted."""


class EpisodeSummary(Frozen):
    """Counts of an episode. `total` is of the trials that were taken: all but what is unsupported."""

    total: int
    passed: int
    failed: int
    timeout: int
    error: int
    passRate: float | None
    """The pass rate over trials that count; None when none does."""
    avgTurns: float | None
    avgTokens: float | None
    totalDurationMs: int
    """All trials one after another."""
    unsupported: int = 0
    costUsd: float | None = None


class EpisodeRecord(Frozen):
    """A line of `episodes.jsonl`: one arm's pass over the suite."""

    id: str
    """`<run>-<NNN>`, the iteration in three digits; with several arms the arm's name behind it."""
    runId: str
    iteration: int
    model: str
    """The profile, as it was asked for."""
    suiteVersion: str
    startedAt: AwareDatetime
    finishedAt: AwareDatetime
    status: EpisodeStatus
    summary: EpisodeSummary
    resultsPath: str
    """From the bench's directory, unless the bench says otherwise."""
    suite: str = ""
    arm: str = ""
    cases: dict[str, tuple[int, int]] = {}
    """How many of the trials that count passed, by task: `[passed, of]`."""

    def to_line(self) -> bytes:
        """The record as one line of JSON, newline included."""
        return self.model_dump_json().encode() + b"\n"


def episode(state: BenchState, arm: str, iteration: int, *, results_path: str = "") -> EpisodeRecord:
    """The record of one arm's iteration, as far as it has come."""
    started = state.started
    results, plan = state.of(arm=arm, iteration=iteration), started.plan
    counts = _summary(results)
    ends = [result.started + result.seconds for result in results.values()]
    name = f"{started.bench_id}-{iteration:03d}"
    return EpisodeRecord(
        id=f"{name}-{arm}" if plan.several_arms else name,
        runId=started.bench_id,
        iteration=iteration,
        model=next(one.profile for one in plan.arms if one.name == arm),
        suiteVersion=started.suite_version,
        startedAt=min((result.started for result in results.values()), default=started.at),
        finishedAt=max(ends, default=started.at),
        status=status_of(counts),
        summary=counts,
        resultsPath=results_path or f"iterations/{iteration:03d}/results.json",
        suite=started.suite,
        arm=arm,
        cases=_cases(results),
    )


def status_of(counts: EpisodeSummary) -> EpisodeStatus:
    """The one word for an episode."""
    counted = counts.passed + counts.failed + counts.timeout
    if counts.error or not counted:
        return EpisodeStatus.ERROR
    if counts.timeout:
        return EpisodeStatus.TIMEOUT
    if 100 * counts.passed >= 80 * counted:
        return EpisodeStatus.SUCCESS
    return EpisodeStatus.PARTIAL if 100 * counts.passed >= 30 * counted else EpisodeStatus.FAILED


def _summary(results: Mapping[TrialKey, TrialResult]) -> EpisodeSummary:
    outcomes = Counter(result.outcome for result in results.values())
    counting = [result for result in results.values() if result.outcome.counts]
    return EpisodeSummary(
        total=len(results) - outcomes[Outcome.UNSUPPORTED],
        passed=outcomes[Outcome.PASS],
        failed=outcomes[Outcome.FAIL],
        timeout=outcomes[Outcome.TIMEOUT],
        error=outcomes[Outcome.ERROR],
        passRate=Rate.of_counts(outcomes[Outcome.PASS], len(counting)).value,
        avgTurns=mean_known(result.turns for result in counting),
        avgTokens=mean_known(result.tokens for result in counting),
        totalDurationMs=round(1000 * sum(result.seconds for result in results.values())),
        unsupported=outcomes[Outcome.UNSUPPORTED],
        costUsd=total_cost(results.values()),
    )


def _cases(results: Mapping[TrialKey, TrialResult]) -> dict[str, tuple[int, int]]:
    cases: dict[str, tuple[int, int]] = {}
    for key, result in results.items():
        if result.outcome.counts:
            passed, of = cases.get(key.task, (0, 0))
            cases[key.task] = (passed + result.passed, of + 1)
    return dict(sorted(cases.items()))
