"""Following a run in the foreground: a line for each finished experiment and notice, and on a terminal a live line.

Elsewhere than on a terminal it is plain text, one line at a time, without control codes.
"""

import os
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Self, TextIO

from autoloop.cli.render import STYLES, clean, on_terminal, say
from autoloop.core.run.flags import signs_of
from autoloop.core.run.results import Row
from autoloop.core.run.summary import Summary
from autoloop.core.text import duration, number, signed_percent
from autoloop.errors import is_full
from autoloop.ports import Progress

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.live import Live
    from rich.text import Text


_LOUD = "bold yellow"
_LONGEST_PHASE = 40


class Screen(ABC):
    """Shows itself while it is entered; drawn anew from a thread of its own."""

    refreshes_per_second: ClassVar[int] = 2

    def __init__(self, file: TextIO, *, live: bool = True) -> None:
        self._file = file
        self._wanted = live
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self._wanted and on_terminal(self._file):
            self._live = self._started()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def on_line(self, text: str, style: str = "") -> None:
        """Print a line above what is live. A log on a full disk is no reason to stop."""
        if self._live is not None:
            from rich.text import Text

            self._live.console.print(Text(clean(text), style=style))
            return
        try:
            say(text, self._file)
        except OSError as error:
            if not is_full(error):
                raise

    def say_at_once(self, text: str) -> None:
        """Print a line where nothing is live. Safe inside a signal handler, where nothing buffered may be written."""
        if self._live is None:
            with suppress(OSError):
                os.write(self._file.fileno(), f"{text}\n".encode())

    @abstractmethod
    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        """Render the live part, for rich."""

    def _started(self) -> "Live":
        from rich.console import Console
        from rich.live import Live

        live = Live(
            self,
            console=Console(file=self._file),
            refresh_per_second=self.refreshes_per_second,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        live.start()
        return live


class Watcher(Screen):
    """Prints what a run does, while it is running."""

    def __init__(self, file: TextIO) -> None:
        super().__init__(file)
        self._began = time.monotonic()
        self._news_at = self._began
        self._summary: Summary | None = None
        self._phase = "starting"
        self._experiment = 0
        self._stopping = ""

    def on_progress(self, sign: Progress) -> None:
        """Show what is being done."""
        if sign.phase in SPOKEN and sign.text:
            self.on_line(f"{sign.phase}: {one_line(sign.text)}", _LOUD if sign.phase == "warning" else "")
        if sign.phase != "notice":
            self._phase = f"{sign.phase} {sign.text}" if sign.text else sign.phase
        self._experiment = sign.experiment or self._experiment

    def on_news(self, rows: list[Row], summary: Summary) -> None:
        """Print the experiments that are finished."""
        if self._summary is None:
            self.on_line(f"run {summary.run_id} of {summary.program}, sandbox {summary.sandbox}; stop it with Ctrl-C")
        self._summary, self._news_at = summary, time.monotonic()
        for row in rows:
            self.on_line(experiment_line(row), STYLES[row.status.value])

    def on_first_interrupt(self) -> None:
        """Say that a Ctrl-C was heard. Runs inside a signal handler."""
        what = f"experiment {self._experiment}" if self._experiment else "the baseline's measurement"
        self._stopping = f"finishing {what}; Ctrl-C again cuts it short"
        self.say_at_once(self._stopping)

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
        gain = [signed_percent(summary.gain)] if summary.kept else []
        return [f"experiment {self._experiment}/{summary.max_experiments}", duration(elapsed), *left, *metric, *gain]


def experiment_line(row: Row) -> str:
    """A finished experiment in one line; without a metric it says why."""
    text = row.description if row.metric is not None or not row.why else f"{row.description} ({row.why})"
    text = f"[{signs_of(row.flags)}] {text}" if row.flags else text
    columns = f"{row.experiment:>4}  {row.status.value:8}  {row.reason:18}  {number(row.metric):>12}"
    return f"{columns}  {signed_percent(row.gain):>8}  {one_line(text)}".rstrip()


SPOKEN = {"notice", "warning", "repaired", "opening", "preparing", "settle", "waiting"}
"""The phases whose text is worth a line of its own."""


def one_line(text: str) -> str:
    """A text without line breaks and control characters."""
    return " ".join(clean(text).split())
