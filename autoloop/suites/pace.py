"""The pace of calls of models, shared by the processes of a bench through a small file.

The clock is that of the machine since it started, which all of its processes have in common.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from autoloop.core.suite.pausing import Pace
from autoloop.journal.locks import locked

NAME = "pace.json"
_SLICE = 0.1
"""Seconds between two looks at whether a wait is over."""


@dataclass(frozen=True)
class SharedPace:
    """The pace of a bench's model calls, in calls a minute; without a limit nothing is counted."""

    path: Path
    per_minute: float | None

    def begin_anew(self) -> None:
        """Forget what another process, which may have ended before the machine was started again, has counted."""
        self.path.unlink(missing_ok=True)

    def wait(self) -> float:
        """Seconds until one more call may be made; 0 for now."""
        return 0.0 if self.per_minute is None else self._read(self.per_minute).wait(time.monotonic())

    def charge(self, calls: int) -> None:
        """Count calls that are made now, or were made already."""
        if calls > 0:
            self._take(calls)

    def slot(self) -> float:
        """Take the slot of one call: when it begins, by `time.monotonic`. Slots follow each other, whoever has them."""
        return self._take(1)

    def _take(self, calls: int) -> float:
        if self.per_minute is None:
            return time.monotonic()
        with locked(self.path.with_suffix(".lock")):
            pace, now = self._read(self.per_minute), time.monotonic()
            at = now + pace.wait(now)
            pace.charge(calls, now)
            self.path.write_text(json.dumps({"free_at": pace.free_at}))
        return at

    def _read(self, per_minute: float) -> Pace:
        """The pace as the file has it; one that a kill has torn counts as empty."""
        try:
            return Pace(per_minute, float(json.loads(self.path.read_text())["free_at"]))
        except (OSError, ValueError, LookupError, TypeError):
            return Pace(per_minute)


class TrialPace:
    """The model calls of one trial, of which some were paid for when it was handed out."""

    def __init__(self, shared: SharedPace, paid: int, on_wait: Callable[[float], object]) -> None:
        self._shared, self._paid, self._on_wait = shared, paid, on_wait
        self._counted = 0

    def before_call(self, is_over: Callable[[], bool]) -> float:
        """Sit out until one more call may be made, or until `is_over`; the seconds that took."""
        began = time.monotonic()
        self._counted += 1
        at = self._shared.slot()
        if (wait := at - time.monotonic()) > 0:
            self._on_wait(wait)
        while (left := at - time.monotonic()) > 0 and not is_over():
            time.sleep(min(_SLICE, left))
        return time.monotonic() - began

    def of_session(self) -> Callable[[int], None]:
        """Takes how many calls a session has made so far, by what is seen of it."""
        seen = 0

        def calls_made(calls: int) -> None:
            nonlocal seen
            self._count(calls - seen)
            seen = max(seen, calls)

        return calls_made

    def settle(self, calls: int) -> None:
        """The trial is over, and this is how many calls it took; what nobody saw meanwhile is counted now."""
        self._count(calls - self._counted)

    def _count(self, calls: int) -> None:
        if calls > 0:
            self._counted += calls
            free = min(calls, self._paid)
            self._paid -= free
            self._shared.charge(calls - free)
