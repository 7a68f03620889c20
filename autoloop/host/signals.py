"""Signals: a first Ctrl-C asks to stop after the experiment in progress, a second one, SIGTERM or SIGHUP at once."""

import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType


@dataclass
class Signals:
    """The stops that signals have asked for since this process began."""

    stop: bool = False
    stop_now: bool = False
    received: int | None = None
    on_first: Callable[[], None] = field(default=lambda: None)
    """Told once, so that people know that their Ctrl-C was heard."""

    def install(self) -> None:
        """Heed Ctrl-C, SIGTERM and SIGHUP from now on; for a process's main thread."""
        signal.signal(signal.SIGINT, self._interrupt)
        signal.signal(signal.SIGTERM, self._terminate)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._terminate)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        if self.stop:
            self.stop_now = True
        else:
            self.stop = True
            self.on_first()

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        self.stop = self.stop_now = True
