"""What people are told of a run or a bench while they are away: a title and a sentence or two."""

from autoloop.core.model import Frozen
from autoloop.core.run.results import Row
from autoloop.core.run.summary import Summary
from autoloop.core.suite.summary import BenchSummary
from autoloop.core.suite.tasks import TrialKey, TrialResult
from autoloop.core.text import percent


class Notice(Frozen):
    """One message for people who are away: a title and a text."""

    title: str
    text: str
    is_end: bool
    """Whether the run or the bench is over; otherwise it is about one experiment or trial."""


def run_ended(summary: Summary) -> Notice:
    """The notice that a run ended, with what came of it."""
    verdicts = f"{summary.kept} kept, {summary.discarded} discarded, {summary.crashed} crashed"
    gain = (
        "" if summary.gain is None or not summary.kept else f"; {summary.metric_field} {percent(summary.gain, '+.3g')}"
    )
    detail = f" ({summary.detail})" if summary.detail else ""
    title = f"autoloop: {summary.program} ended, {summary.stop_reason or 'interrupted'}"
    return Notice(title=title, text=f"{verdicts}{gain}{detail}", is_end=True)


def failed(message: str) -> Notice:
    """The notice that a run or a bench stopped with an error."""
    return Notice(title="autoloop: it could not go on", text=message, is_end=True)


def experiment_ended(program: str, row: Row) -> Notice:
    """The notice that an experiment was decided."""
    gain = "" if row.gain is None else f" {percent(row.gain, '+.3g')}"
    title = f"autoloop: {program} {row.experiment}, {row.status.value}{gain}"
    return Notice(title=title, text=row.description or row.why or row.reason or row.status.value, is_end=False)


def bench_ended(summary: BenchSummary) -> Notice:
    """The notice that a bench ended, with its pass rates."""
    lines = []
    for arm in summary.arms:
        share = "no trial counts" if arm.rate.value is None else percent(arm.rate.value, ".1f")
        lines.append(f"{arm.arm}: {share} of {arm.rate.of}, {arm.error} errors")
    title = f"autoloop: {summary.suite} ended, {summary.stop_reason or 'interrupted'}"
    detail = f" ({summary.stop_detail})" if summary.stop_detail else ""
    return Notice(title=title, text="; ".join(lines) + detail, is_end=True)


def trial_ended(suite: str, key: TrialKey, result: TrialResult) -> Notice:
    """The notice that one trial of a bench came to a result."""
    why = result.detail or result.failure_mode or f"in {result.seconds:.0f} s"
    return Notice(title=f"autoloop: {suite} {key.task}, {result.outcome.value}", text=f"{key.arm}: {why}", is_end=False)
