"""The live tables in rows of text: a bench by its arms and workers, a run by its experiments. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from autoloop.cli.render import Cells, clean, duration, money, number, percent
from autoloop.core.flags import signs_of
from autoloop.core.remaining import seconds_left
from autoloop.core.results import Row
from autoloop.core.suite.summary import BenchSummary
from autoloop.core.suite.tally import Tally
from autoloop.core.suite.trial import TrialKey, TrialResult
from autoloop.core.summary import Summary

ARM_COLUMNS = ("arm", "progress", "passed", "failed", "timeouts", "errors", "retries", "average")
WORKER_COLUMNS = ("worker", "arm", "task", "phase", "for", "newest line")
EXPERIMENT_COLUMNS = ("#", "verdict", "reason", "metric", "gain", "time", "cost", "what")


@dataclass(frozen=True)
class AtWork:
    """What a worker is at."""

    key: TrialKey
    phase: str
    since: float
    """On the clock of whoever shows it."""
    text: str = ""


def arm_rows(summary: BenchSummary) -> list[Cells]:
    """One row an arm, and a last one for all."""
    arms = [_tally_cells(arm.arm, arm) for arm in summary.arms]
    return [*arms, _tally_cells("total", summary.totals)]


def bench_line(summary: BenchSummary, since: float) -> str:
    """Elapsed, what is still to go, and cost; `since` is how many seconds ago the summary was true."""
    since = 0.0 if summary.stop_reason else since
    elapsed, eta = summary.worked_seconds + since, summary.eta_seconds
    to_go = "" if eta is None or summary.stop_reason else f"{duration(max(0.0, round(eta - since)))} to go"
    lost = f"{summary.replaced_workers} workers replaced" if summary.replaced_workers else ""
    cut = ", ".join(f"{one.group} cut short at {one.taken}/{one.planned}" for one in summary.cut)
    return "  ".join(
        filter(None, (f"elapsed {duration(elapsed)}", to_go, f"cost {money(summary.cost_usd)}", cut, lost))
    )


def worker_rows(workers: Mapping[int, AtWork], now: float) -> list[Cells]:
    """One row a worker that is at something."""
    return [
        (str(number), one.key.arm, trial_name(one.key), one.phase, duration(round(max(0.0, now - one.since))),
         _line(one.text))
        for number, one in sorted(workers.items())
    ]  # fmt: skip


def trial_name(key: TrialKey) -> str:
    """A trial within its arm: `fix-git`, `fix-git 3.2` for the second attempt of the third iteration."""
    if key.attempt > 1:
        return f"{key.task} {key.iteration}.{key.attempt}"
    return f"{key.task} {key.iteration}" if key.iteration > 1 else key.task


def trial_line(key: TrialKey, result: TrialResult, taken: int, planned: int) -> str:
    """A finished trial in one line."""
    why = ": ".join(filter(None, (result.failure_mode, result.detail)))
    columns = f"{f'{taken}/{planned}':>11}  {result.outcome.value:11}  {key.arm:12}  {trial_name(key):28}"
    return f"{columns}  {duration(result.seconds):>10}  {_line(why)}".rstrip()


def experiment_cells(row: Row) -> Cells:
    """A finished experiment; without a metric it says why."""
    what = row.description if row.metric is not None or not row.why else f"{row.description} ({row.why})"
    flagged = f"[{signs_of(row.flags)}] " if row.flags else ""
    cost = "" if row.cost_usd is None else money(row.cost_usd)
    return (str(row.experiment), row.status.value, row.reason, number(row.metric), percent(row.gain),
            duration(row.seconds), cost, _line(f"{flagged}{what}"))  # fmt: skip


def run_line(summary: Summary, elapsed: float) -> str:
    """Where a run stands: experiments, time, what is still to go at most, cost, metric."""
    left = seconds_left(summary, elapsed)
    parts = (
        f"experiment {summary.experiment}/{summary.max_experiments}",
        f"elapsed {duration(elapsed)}",
        "" if left is None else f"at most {duration(round(left))} to go",
        f"cost {money(summary.cost_usd)}",
        "" if summary.baseline is None else f"{summary.metric_field} {number(summary.baseline)}",
        percent(summary.gain) if summary.kept else "",
    )
    return "  ".join(filter(None, parts))


def _tally_cells(name: str, tally: Tally) -> Cells:
    share = f"  {100 * tally.done // tally.planned:>3} %" if tally.planned else ""
    counts = (tally.passed, tally.failed, tally.timeout, tally.error, tally.retries)
    return (name, f"{tally.done}/{tally.planned}{share}", *map(str, counts), duration(tally.mean_seconds))


def _line(text: str) -> str:
    return " ".join(clean(text).split())
