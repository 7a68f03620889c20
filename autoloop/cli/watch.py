"""`--watch`: a live table of a bench or of a run, drawn once a second. Elsewhere than on a terminal, plain lines.

What is told may come from any thread, and the table is drawn by one of its own. Who tells is never kept waiting for
more than a copy of a few tables in memory: the figures are made by who draws.
"""

import time
from collections.abc import Callable, Sequence
from copy import copy
from itertools import zip_longest
from threading import Lock
from typing import TYPE_CHECKING, TextIO

from autoloop.cli import tables
from autoloop.cli.live import Watcher
from autoloop.cli.render import STYLES, Cells, clean
from autoloop.cli.screen import SPOKEN, Screen, one_line
from autoloop.cli.tables import AtWork
from autoloop.core.results import Row
from autoloop.core.suite.state import BenchState
from autoloop.core.suite.summary import BenchSummary, summarise
from autoloop.core.suite.trial import TrialKey, TrialResult
from autoloop.core.summary import Summary
from autoloop.ports import Progress

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, JustifyMethod, RenderResult
    from rich.table import Table

REFRESHES_PER_SECOND = 1
_SHARE = 20
"""A table is drawn for at most one part in so many of the time, however long the history is."""
_FRAME_LINES = 6
"""Of a terminal that are not rows of experiments."""


class BenchWatch(Screen):
    """Shows a bench while it goes."""

    refreshes_per_second = REFRESHES_PER_SECOND

    def __init__(self, file: TextIO, *, live: bool = True, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(file, live=live)
        self._now = now
        self._lock = Lock()
        self._state: BenchState | None = None
        """A copy that nobody folds events into."""
        self._state_at = now()
        self._workers: dict[int, AtWork] = {}
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
            self._state, self._state_at = _copied(state), self._now()

    def on_worker(self, worker: int, key: TrialKey | None, phase: str, text: str) -> None:
        """Take what a worker is at; nothing without a key."""
        with self._lock:
            before = self._workers.pop(worker, None)
            if key is not None:
                same = before is not None and before.key == key
                since = before.since if same and before else self._now()
                self._workers[worker] = AtWork(key, phase, since, text or (before.text if same and before else ""))

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
        assert state.started is not None, "a journal begins with its bench"
        if self._told is None:
            self._planned = sum(1 for _ in state.started.plan.trials())
            have = f"{len(state.results)} of {self._planned} trials have a result" if state.results else ""
            self.on_line(have or f"{self._planned} trials of {state.started.suite}")
        else:
            for (key, result), old in zip_longest(state.results.items(), self._told):
                if result is not old:
                    self.on_line(tables.trial_line(key, result, len(state.results), self._planned))
        self._told = tuple(state.results.values())
        for group in state.cut.keys() - self._cut:
            self.on_line(f"{group} is cut short: its {state.cut[group]:g} hours are used up")
        self._cut = set(state.cut)

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.text import Text

        with self._lock:
            state, state_at, workers = self._state, self._state_at, dict(self._workers)
        now = self._now()
        if state is not None and state.started is not None:
            summary = self._summarised(state, now)
            yield _table(tables.ARM_COLUMNS, tables.arm_rows(summary), left=(0, 1), last_is_total=True)
            yield Text(tables.bench_line(summary, now - state_at), style="cyan", no_wrap=True, overflow="ellipsis")
        if workers:
            yield _table(tables.WORKER_COLUMNS, tables.worker_rows(workers, now), left=(1, 2, 3, 5))
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


def _copied(state: BenchState) -> BenchState:
    """A state that nobody folds events into."""
    seen = copy(state)
    for name, value in vars(state).items():
        if isinstance(value, dict):
            setattr(seen, name, dict(value))
    return seen


class RunWatch(Watcher):
    """Shows a run of the loop while it goes, with what `earlier` gives of the experiments before this process."""

    refreshes_per_second = REFRESHES_PER_SECOND

    def __init__(self, file: TextIO, earlier: Callable[[str], Sequence[Row]] = lambda run_id: ()) -> None:
        super().__init__(file)
        self._earlier = earlier
        self._rows: dict[int, Row] = {}
        self._lock = Lock()

    def on_news(self, rows: list[Row], summary: Summary) -> None:
        """Take what is finished."""
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
        cells, styles = list(map(tables.experiment_cells, shown)), [STYLES[row.status.value] for row in shown]
        yield _table(tables.EXPERIMENT_COLUMNS, cells, left=(1, 2, 7), styles=styles)
        elapsed = summary.seconds + time.monotonic() - self._news_at
        yield Text(tables.run_line(summary, elapsed), style="cyan", no_wrap=True, overflow="ellipsis")
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
