"""How many workers there are, and when the next call of a model may be made."""

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
    """Calls of a model per minute: one after the other, each in a slot of its own, and nothing is saved up.

    Calls that are told of after they were made take the next slots, so that what was overdrawn is paid back before
    anything else is begun.
    """

    per_minute: float
    free_at: float = 0.0
    """When the next slot begins."""

    def wait(self, now: float) -> float:
        """Seconds until the next slot; 0 for now."""
        return max(0.0, self.free_at - now)

    def charge(self, calls: float, now: float) -> None:
        """Take slots."""
        self.free_at = max(self.free_at, now) + calls * 60.0 / self.per_minute
