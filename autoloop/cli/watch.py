"""`--watch`: a live table of a bench or of a run, drawn once a second. Elsewhere than on a terminal, plain lines.

What is told may come from any thread, and the table is drawn by one of its own. Who tells is never kept waiting for
more than a copy of a few tables in memory: the figures are made by who draws. The rows of text are made by pure
functions: a bench by its arms and workers, a run by its experiments.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from threading import Lock
from typing import TYPE_CHECKING, TextIO

from autoloop.cli.live import SPOKEN, Screen, Watcher, one_line
from autoloop.cli.render import STYLES, Cells, clean
from autoloop.core.run.flags import signs_of
from autoloop.core.run.results import Row
from autoloop.core.run.summary import Summary, seconds_left
from autoloop.core.suite.state import BenchState
from autoloop.core.suite.summary import BenchSummary, summarise
from autoloop.core.suite.tally import Tally
from autoloop.core.suite.tasks import TrialKey, TrialResult
from autoloop.core.text import duration, money, number, signed_percent, whole_percent
from autoloop.ports import Progress

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, JustifyMethod, RenderResult
    from rich.table import Table


REFRESHES_PER_SECOND = 1
_SHARE = 20
"""A table is drawn for at most one part in so many of the time, however long the history is."""
_FRAME_LINES = 6
"""Lines of a terminal that are not rows of experiments."""


class BenchWatch(Screen):
    """Shows a bench while it is running."""

    refreshes_per_second = REFRESHES_PER_SECOND

    def __init__(self, file: TextIO, *, live: bool = True, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(file, live=live)
        self._now = now
        self._lock = Lock()
        self._state: BenchState | None = None
        self._state_at = now()
        self._workers: dict[int, WorkerRow] = {}
        self._told: Sequence[TrialResult] | None = None
        self._planned = 0
        self._cut: set[str] = set()
        self._summary: BenchSummary | None = None
        self._summary_of: BenchState | None = None
        self._next_summary = float("-inf")
        self._stopping = ""

    def on_state(self, state: BenchState) -> None:
        """Take the state after an event, from the thread that folds."""
        if self._live is None:
            self._say_news(state)
            return
        with self._lock:
            self._state, self._state_at = state, self._now()

    def on_worker(self, worker: int, key: TrialKey | None, phase: str, text: str) -> None:
        """Take what a worker is at; nothing without a key."""
        with self._lock:
            before = self._workers.pop(worker, None)
            if key is not None:
                same = before is not None and before.key == key
                since = before.since if same and before else self._now()
                self._workers[worker] = WorkerRow(key, phase, since, text or (before.text if same and before else ""))

    def on_progress(self, sign: Progress) -> None:
        """Print what is worth a line of its own."""
        if sign.text and sign.phase in SPOKEN:
            self.on_line(f"{sign.phase}: {one_line(sign.text)}")

    def on_first_interrupt(self) -> None:
        """Say that a Ctrl-C was heard. Runs inside a signal handler, where no lock may be waited for."""
        self._stopping = "finishing the trials in hand; Ctrl-C again cuts them short"
        self.say_at_once(self._stopping)

    def _say_news(self, state: BenchState) -> None:
        """A line for each trial that ended since the last state. What an earlier process did is one line."""
        if self._told is None:
            self._planned = sum(1 for _ in state.started.plan.trials())
            have = f"{len(state.results)} of {self._planned} trials have a result" if state.results else ""
            self.on_line(have or f"{self._planned} trials of {state.started.suite}")
        else:
            for (key, result), old in zip_longest(state.results.items(), self._told):
                if result is not old:
                    self.on_line(trial_line(key, result, len(state.results), self._planned))
        self._told = tuple(state.results.values())
        for group in state.cut.keys() - self._cut:
            self.on_line(f"{group} is cut short: its {state.cut[group]:g} hours are used up")
        self._cut = set(state.cut)

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.text import Text

        with self._lock:
            state, state_at, workers = self._state, self._state_at, dict(self._workers)
        now = self._now()
        if state is not None:
            summary = self._summarised(state, now)
            yield _table(ARM_COLUMNS, arm_rows(summary), left=(0, 1), last_is_total=True)
            yield Text(bench_line(summary, now - state_at), style="cyan", no_wrap=True, overflow="ellipsis")
        if workers:
            yield _table(WORKER_COLUMNS, worker_rows(workers, now), left=(1, 2, 3, 5))
        if self._stopping:
            yield Text(self._stopping, style="yellow")

    def _summarised(self, state: BenchState, now: float) -> BenchSummary:
        if self._summary is None or (state is not self._summary_of and now >= self._next_summary):
            began = time.monotonic()
            self._summary, self._summary_of = summarise(state), state
            self._next_summary = now + _SHARE * (time.monotonic() - began)
        return self._summary


def follow_bench(file: TextIO, *, live: bool) -> BenchWatch:
    """Who tells people what a bench does: with a table where that is wanted and `file` is a terminal, else by lines."""
    return BenchWatch(file, live=live)


class RunWatch(Watcher):
    """Shows a run while it is running, with what `earlier` gives of the experiments before this process."""

    refreshes_per_second = REFRESHES_PER_SECOND

    def __init__(self, file: TextIO, earlier: Callable[[str], Sequence[Row]] = lambda run_id: ()) -> None:
        super().__init__(file)
        self._earlier = earlier
        self._rows: dict[int, Row] = {}
        self._lock = Lock()

    def on_news(self, rows: list[Row], summary: Summary) -> None:
        """Take the experiments that are finished."""
        if self._live is None:
            super().on_news(rows, summary)
            return
        before = self._earlier(summary.run_id) if self._summary is None else ()
        with self._lock:
            self._rows |= {row.experiment: row for row in (*before, *rows)}
        self._summary, self._news_at = summary, time.monotonic()

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.text import Text

        with self._lock:
            rows = list(self._rows.values())
        summary = self._summary
        if summary is None:
            yield self._line(options.max_width)
            return
        shown = rows[-max(1, (options.height or console.size.height) - _FRAME_LINES) :]
        cells, styles = list(map(experiment_cells, shown)), [STYLES[row.status.value] for row in shown]
        yield _table(EXPERIMENT_COLUMNS, cells, left=(1, 2, 7), styles=styles)
        elapsed = summary.seconds + time.monotonic() - self._news_at
        yield Text(run_line(summary, elapsed), style="cyan", no_wrap=True, overflow="ellipsis")
        phase = "  ".join(filter(None, (self._stopping, one_line(self._phase))))
        yield Text(phase, style="yellow" if self._stopping else "", no_wrap=True, overflow="ellipsis")


def _table(
    columns: Cells,
    rows: Sequence[Cells],
    left: Sequence[int],
    styles: Sequence[str] = (),
    *,
    last_is_total: bool = False,
) -> "Table":
    """Rows as a table, the columns `left` to the left and the others to the right; the last one gives way."""
    from rich.box import SIMPLE_HEAD
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(columns):
        justify: JustifyMethod = "left" if place in left else "right"
        # The widths of all but the last are fixed: where there is no room, rich would take a share from every column.
        wide = None if place == len(columns) - 1 else max(cell_len(row[place]) for row in (columns, *rows))
        table.add_column(name, justify=justify, width=wide)
    for place, row in enumerate(rows):
        if last_is_total and place == len(rows) - 1:
            table.add_section()
        table.add_row(
            *(Text(clean(cell), no_wrap=True, overflow="ellipsis") for cell in row),
            style=styles[place] if styles else "",
        )
    return table


ARM_COLUMNS = ("arm", "progress", "passed", "failed", "timeouts", "errors", "retries", "average")
WORKER_COLUMNS = ("worker", "arm", "task", "phase", "for", "newest line")
EXPERIMENT_COLUMNS = ("#", "verdict", "reason", "metric", "gain", "time", "cost", "what")


@dataclass(frozen=True)
class WorkerRow:
    """The row of a worker, and what it is working on."""

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


def worker_rows(workers: Mapping[int, WorkerRow], now: float) -> list[Cells]:
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
    return (str(row.experiment), row.status.value, row.reason, number(row.metric), signed_percent(row.gain),
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
        signed_percent(summary.gain) if summary.kept else "",
    )
    return "  ".join(filter(None, parts))


def _tally_cells(name: str, tally: Tally) -> Cells:
    share = f"  {whole_percent(tally.done, tally.planned):>5}" if tally.planned else ""
    counts = (tally.passed, tally.failed, tally.timeout, tally.error, tally.retries)
    return (name, f"{tally.done}/{tally.planned}{share}", *map(str, counts), duration(tally.mean_seconds))


def _line(text: str) -> str:
    return " ".join(clean(text).split())
