"""What follows work in the foreground: something live at the end of a terminal, and lines above it.

Elsewhere than on a terminal it is plain text, one line at a time, without control codes.
"""

import os
from abc import ABC, abstractmethod
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Self, TextIO

from autoloop.cli.render import clean, on_terminal, say
from autoloop.errors import is_full

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.live import Live

SPOKEN = {"notice", "warning", "repaired", "opening", "preparing", "settle", "waiting"}
"""Phases whose text is worth a line of its own."""


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
        """What is live."""

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


def one_line(text: str) -> str:
    """A text without line breaks and control characters."""
    return " ".join(clean(text).split())
