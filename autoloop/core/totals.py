"""Counts and costs of a run."""

from dataclasses import dataclass, field, replace
from typing import TypeVar

from autoloop.core.reasons import Reason, Status

_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True)
class Totals:
    """Counts and costs. A sum of costs leaves out what is unknown, and says how often that was."""

    experiments: int = 0
    kept: int = 0
    discarded: int = 0
    crashed: int = 0
    cost_usd: float | None = None
    unknown_costs: int = 0
    tokens: int | None = None
    by_reason: dict[str, int] = field(default_factory=dict)

    def plus(self, reason: Reason) -> "Totals":
        """The counts with one more experiment."""
        status = reason.status
        return replace(
            self,
            experiments=self.experiments + 1,
            kept=self.kept + (status is Status.KEEP),
            discarded=self.discarded + (status is Status.DISCARD),
            crashed=self.crashed + (status is Status.CRASH),
            by_reason={**self.by_reason, reason: self.by_reason.get(reason, 0) + 1},
        )

    def charged(self, cost_usd: float | None, tokens: int | None = None, *, unknown: bool = False) -> "Totals":
        """The sums with one more cost; None adds nothing."""
        if cost_usd is None and tokens is None and not unknown:
            return self
        return replace(
            self,
            cost_usd=sum_known(self.cost_usd, cost_usd),
            tokens=sum_known(self.tokens, tokens),
            unknown_costs=self.unknown_costs + unknown,
        )


def sum_known(left: _Number | None, right: _Number | None) -> _Number | None:
    """The sum of what is known; None when nothing is."""
    if left is None or right is None:
        return left if right is None else right
    return left + right
