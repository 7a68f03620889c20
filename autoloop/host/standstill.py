"""Standstills: noticing that the process was stopped, its container paused, or the machine asleep.

None of the clocks tells: while a process is stopped they all go on. A thread that looks at them several times a second
sees how long nobody did. Time in which the process computed, or waited for a processor, is no standstill.
"""

import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

_BEAT_SECONDS = 0.25
_NOTICED_SECONDS = 1.0


def steadily() -> float:
    """Seconds on a clock that nobody sets, and that goes on while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True)
class _Look:
    """The clocks at one moment."""

    at: float
    busy: float
    """Seconds that the process has computed."""
    queued: float
    """Seconds that the beating thread has waited for a processor."""


class Pulse:
    """Beats while it is entered, and adds up the time in which it could not."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._still = 0.0
        self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)
        self._delays: Path | None = None
        self._last = self._look()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def still(self) -> float:
        """Seconds since the beginning in which everything stood still."""
        with self._lock:
            last, self._last = self._last, self._look()
            missed = self._last.at - last.at - (self._last.busy - last.busy) - (self._last.queued - last.queued)
            if missed > _BEAT_SECONDS + _NOTICED_SECONDS:
                self._still += missed - _BEAT_SECONDS
            return self._still

    def _beat(self) -> None:
        self._delays = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
        while not self._over.wait(_BEAT_SECONDS):
            self.still()

    def _look(self) -> _Look:
        queued = 0.0
        if self._delays is not None:
            with suppress(OSError, ValueError, IndexError):
                queued = int(self._delays.read_text().split()[1]) / 1e9
        times = os.times()
        return _Look(steadily(), times.user + times.system, queued)
