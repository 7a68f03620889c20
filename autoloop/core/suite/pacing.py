"""How many workers there are, and when the next trial may begin."""

import math
from dataclasses import dataclass

_GB_PER_WORKER = 1.0
"""Memory that a worker with an agent's client in it is taken to need."""
_KEPT_FREE_GB = 1.0


def worker_count(wanted: int | None, *, trials: int, cores: int, free_gb: float) -> int:
    """How many trials run side by side; without a wish, what cores and free memory carry."""
    if wanted is not None:
        return max(1, min(wanted, trials))
    by_memory = int((free_gb - _KEPT_FREE_GB) / _GB_PER_WORKER)
    return max(1, min(cores, by_memory, trials))


@dataclass
class Pace:
    """Calls of a model per minute, shared by all workers.

    A session is charged one call when it begins and the rest of its turns when it has ended, since only then is known
    how many it took; until what was overdrawn is paid back, no session begins.
    """

    per_minute: float | None
    credit: float = 1.0
    at: float = 0.0

    def wait(self, now: float) -> float:
        """Seconds until a session may begin; 0 for now."""
        if self.per_minute is None:
            return 0.0
        self._earn(now)
        return 0.0 if self.credit >= 1.0 - 1e-9 else (1.0 - self.credit) * 60.0 / self.per_minute

    def charge(self, calls: float, now: float) -> None:
        """Take calls off."""
        if self.per_minute is not None:
            self._earn(now)
            self.credit -= calls

    def _earn(self, now: float) -> None:
        assert self.per_minute is not None, "without a limit nothing is counted"
        earned = (now - self.at) * self.per_minute / 60.0 if self.at else math.inf
        # No more than one call is saved up: a burst is what a limit is there to prevent.
        self.credit = min(1.0, self.credit + earned)
        self.at = now
