"""The summary of a bench and of an iteration, as a page of Markdown. The full report is `autoloop report`."""

from collections.abc import Iterable, Mapping, Sequence

from autoloop.core.evidence.trials import Rate
from autoloop.core.suite.contrast import Delta
from autoloop.core.suite.episode import EpisodeRecord
from autoloop.core.suite.state import CutShort
from autoloop.core.suite.summary import ArmSummary, BenchSummary
from autoloop.core.suite.tally import Tally
from autoloop.core.suite.tasks import Outcome, TrialKey, TrialResult
from autoloop.core.text import money, percent, percent_range


def summary_text(summary: BenchSummary, episodes: Sequence[EpisodeRecord]) -> str:
    """The text of `summary.md`: a bench as Markdown."""
    ended = summary.stop_reason or "still running"
    lines = [
        f"# {summary.suite}, bench {summary.bench_id}",
        "",
        f"Suite version {summary.suite_version}. It ended: {ended}{_because(summary.stop_detail)}. "
        f"{summary.worked_seconds / 3600:.2f} hours of work, cost {money(summary.cost_usd)}.",
        *(f"{one.sentence}." for one in summary.cut),
        "",
        *_table(
            ("arm", "done", "pass rate", "passed", "failed", "timeout", "error", "unsupported", "retries", "mean time"),
            (_arm_row(arm) for arm in summary.arms),
        ),
    ]
    for arm in summary.arms:
        if len(arm.groups) > 1:
            rows = ((name or "(none)", *_counts(group)) for name, group in arm.groups.items())
            lines += ["", f"## {arm.arm} by group", "", *_table(("group", "pass rate", "passed", "of"), rows)]
    if episodes:
        rows = (
            (found.id, found.status.value, percent(found.summary.passRate, ".1f"), found.resultsPath)
            for found in episodes
        )
        lines += ["", "## Episodes", "", *_table(("episode", "status", "pass rate", "results"), rows)]
    return "\n".join(lines) + "\n"


def iteration_text(
    found: EpisodeRecord,
    results: Mapping[TrialKey, TrialResult],
    changed: Delta | None,
    cut: Sequence[CutShort] = (),
) -> str:
    """The text of an iteration's `report.md`, as Markdown."""
    counts = found.summary
    not_passed = [(key, result) for key, result in results.items() if result.outcome is not Outcome.PASS]
    lines = [
        f"# Episode {found.id}: {found.status.value}",
        "",
        f"{counts.passed} of {counts.passed + counts.failed + counts.timeout} passed "
        f"({percent(counts.passRate, '.1f')}), "
        f"{counts.timeout} ran out of time, {counts.error} errors, {counts.unsupported} unsupported.",
        *(f"{one.sentence}." for one in cut),
        "",
        f"Against the iteration before: {changed.sentence}" if changed else "There is no iteration before it.",
    ]
    if changed:
        sides = (("fixed", changed.fixed), ("broken", changed.broken))
        lines += ["", *(f"- {word}: {', '.join(map(_cell, tasks))}" for word, tasks in sides if tasks)]
    if not_passed:
        rows = (
            (key.task, str(key.attempt), result.outcome.value, result.failure_mode, result.detail)
            for key, result in not_passed
        )
        lines += ["", "## Not passed", "", *_table(("task", "attempt", "outcome", "failure mode", "why"), rows)]
    return "\n".join(lines) + "\n"


def _arm_row(arm: ArmSummary) -> tuple[str, ...]:
    return (
        arm.arm,
        f"{arm.done}/{arm.planned}",
        _rate(arm.rate),
        *(str(count) for count in (arm.passed, arm.failed, arm.timeout, arm.error, arm.unsupported, arm.retries)),
        "" if arm.mean_seconds is None else f"{arm.mean_seconds:.1f} s",
    )


def _counts(group: Tally) -> tuple[str, ...]:
    return (_rate(group.rate), str(group.passed), str(group.rate.of))


def _rate(rate: Rate) -> str:
    if rate.value is None:
        return ""
    return f"{percent(rate.value, '.1f')} ({percent_range(rate.low, rate.high)})"


def _because(detail: str) -> str:
    return f" ({detail})" if detail else ""


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table of Markdown; what would break it is taken out."""
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    return [*lines, *(f"| {' | '.join(map(_cell, row))} |" for row in rows)]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "'")[:300]
