"""Pass rates with what chance may have added to them, and pass@k.

The interval is Wilson's (1927): it stays within 0 and 1, and holds up for few trials and for rates near the ends, where
the textbook's does not (Brown, Cai and DasGupta 2001). It speaks of these tasks, tried again; of other tasks it says
nothing. Where tasks differ in difficulty, or are tried several times, the passes vary less than those of as many equal
coins (Hoeffding 1956), so there it is on the cautious side.

pass@k is the unbiased estimator of Chen et al. (2021): how likely one of k trials of a task passes.

Wilson 1927, Probable inference, the law of succession, and statistical inference. Hoeffding 1956, On the distribution
of the number of successes in independent trials. Brown, Cai and DasGupta 2001, Interval estimation for a binomial
proportion. Chen et al. 2021, Evaluating large language models trained on code.
"""

import math
from collections.abc import Iterable

from autoloop.core.model import Frozen

_Z95 = 1.959964


class Rate(Frozen):
    """So many of so many, with the 95 % interval."""

    passed: int
    of: int
    low: float
    high: float

    @classmethod
    def of_counts(cls, passed: int, of: int) -> "Rate":
        """Wilson's interval around passed / of; from 0 to 1 while nothing was counted."""
        low, high = wilson(passed, of)
        return cls(passed=passed, of=of, low=low, high=high)

    @property
    def value(self) -> float | None:
        """The rate; None while nothing was counted."""
        return self.passed / self.of if self.of else None


def wilson(passed: float, of: float, z: float = _Z95) -> tuple[float, float]:
    """The interval in which a rate may lie that showed `passed` of `of`; `z` 1.96 is 95 %."""
    if of <= 0:
        return 0.0, 1.0
    rate, shrunk = passed / of, 1 + z * z / of
    centre = (rate + z * z / (2 * of)) / shrunk
    reach = z / shrunk * math.sqrt(rate * (1 - rate) / of + z * z / (4 * of * of))
    low = 0.0 if passed == 0 else max(0.0, centre - reach)
    return low, 1.0 if passed == of else min(1.0, centre + reach)


def pass_at(k: int, passed: int, of: int) -> float:
    """How likely at least one of k trials of a task passes, of which `passed` of `of` did; k is at most `of`."""
    if not 1 <= k <= of:
        raise ValueError(f"pass@{k} cannot be told from {of} trials")
    return 1.0 - math.comb(of - passed, k) / math.comb(of, k)


def pass_at_each(counts: Iterable[tuple[int, int]]) -> dict[int, float]:
    """The mean pass@k over tasks, each `(passed, of)`, for every k that all of them have trials for."""
    known = [(passed, of) for passed, of in counts if of]
    most = min((of for _, of in known), default=0)
    return {k: sum(pass_at(k, *one) for one in known) / len(known) for k in range(1, most + 1)}
