"""Following a run in the foreground: a line for each finished experiment and notice, and on a terminal a live line.

Elsewhere than on a terminal it is plain text, one line at a time, without control codes.
"""

import os
import time
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from autoloop.cli.render import STYLES, clean, duration, number, on_terminal, percent, say
from autoloop.core.flags import signs_of
from autoloop.core.results import Row
from autoloop.core.summary import Summary
from autoloop.errors import is_full
from autoloop.ports import Progress

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.live import Live
    from rich.text import Text

    from autoloop.cli.watch import BenchWatch

SPOKEN = {"notice", "warning", "repaired", "opening", "preparing", "settle", "waiting"}
"""Phases whose text is worth a line of its own."""
_LOUD = "bold yellow"
_LONGEST_PHASE = 40


class Watcher:
    """Tells people what a run does."""

    refreshes_per_second = 2

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._live: Live | None = None
        self._began = time.monotonic()
        self._news_at = self._began
        self._summary: Summary | None = None
        self._phase = "starting"
        self._experiment = 0
        self._stopping = ""

    def __enter__(self) -> Self:
        self._live = started_live(self, self._file, self.refreshes_per_second)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def on_progress(self, sign: Progress) -> None:
        """Show what is being done."""
        if sign.phase in SPOKEN and sign.text:
            self._print(f"{sign.phase}: {one_line(sign.text)}", _LOUD if sign.phase == "warning" else "")
        if sign.phase != "notice":
            self._phase = f"{sign.phase} {sign.text}" if sign.text else sign.phase
        self._experiment = sign.experiment or self._experiment

    def on_news(self, rows: list[Row], summary: Summary) -> None:
        """Print what is finished."""
        if self._summary is None:
            self._print(f"run {summary.run_id} of {summary.program}, sandbox {summary.sandbox}; stop it with Ctrl-C")
        self._summary, self._news_at = summary, time.monotonic()
        for row in rows:
            self._print(experiment_line(row), STYLES[row.status.value])

    def on_line(self, text: str) -> None:
        """Print a line of whoever follows a run."""
        self._print(text)

    def on_first_interrupt(self) -> None:
        """Say that a Ctrl-C was heard. Runs inside a signal handler, where nothing buffered may be written."""
        what = f"experiment {self._experiment}" if self._experiment else "the baseline's measurement"
        self._stopping = f"finishing {what}; Ctrl-C again cuts it short"
        if self._live is None:
            with suppress(OSError):
                os.write(self._file.fileno(), f"{self._stopping}\n".encode())

    def _print(self, text: str, style: str = "") -> None:
        if self._live is None:
            say_if_there_is_room(text, self._file)
            return
        from rich.text import Text

        self._live.console.print(Text(clean(text), style=style))

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        yield self._line(options.max_width)

    def _line(self, width: int) -> "Text":
        from rich.text import Text

        phase = one_line(self._phase)
        parts = [phase if len(phase) <= _LONGEST_PHASE else phase[: _LONGEST_PHASE - 1] + "…"]
        line = Text("  ".join([*parts, *self._figures()]), style="cyan", no_wrap=True, overflow="ellipsis")
        if self._stopping:
            line = Text(f"{self._stopping}  ", style="yellow", no_wrap=True, overflow="ellipsis").append_text(line)
        line.truncate(width, overflow="ellipsis")
        return line

    def _figures(self) -> list[str]:
        now, summary = time.monotonic(), self._summary
        if summary is None:
            return [duration(now - self._began)]
        elapsed = summary.seconds + now - self._news_at
        left = [] if summary.max_hours is None else [f"{duration(max(0, 3600 * summary.max_hours - elapsed))} left"]
        metric = [f"baseline {number(summary.baseline)}"] if summary.baseline is not None else []
        gain = [percent(summary.gain)] if summary.kept else []
        return [f"experiment {self._experiment}/{summary.max_experiments}", duration(elapsed), *left, *metric, *gain]


def started_live(shown: "Watcher | BenchWatch", file: TextIO, per_second: float) -> "Live | None":
    """What is shown at the end of a terminal and drawn anew from a thread of its own; None elsewhere."""
    if not on_terminal(file):
        return None
    from rich.console import Console
    from rich.live import Live

    live = Live(
        shown,
        console=Console(file=file),
        refresh_per_second=per_second,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    live.start()
    return live


def say_if_there_is_room(text: str, file: TextIO) -> None:
    """A log on a full disk is no reason to stop a run."""
    try:
        say(text, file)
    except OSError as error:
        if not is_full(error):
            raise


def experiment_line(row: Row) -> str:
    """A finished experiment in one line; without a metric it says why."""
    text = row.description if row.metric is not None or not row.why else f"{row.description} ({row.why})"
    text = f"[{signs_of(row.flags)}] {text}" if row.flags else text
    columns = f"{row.experiment:>4}  {row.status.value:8}  {row.reason:18}  {number(row.metric):>12}"
    return f"{columns}  {percent(row.gain):>8}  {one_line(text)}".rstrip()


def one_line(text: str) -> str:
    """A text without line breaks and control characters."""
    return " ".join(clean(text).split())
