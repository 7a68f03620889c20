"""Two arms, two episodes, two nights: better, worse, or noise, by the test that judges changes in the loop.

If both sides are the same, swapping the two trials of a pair changes nothing, so each flip goes either way like a fair
coin, however much tasks differ in difficulty. The pairs that differ are judged in blocks, in an order that no result
chose, and the verdict is the first that the evidence reaches: `core/comparison` says why it is wrong in at most `alpha`
of the cases. It speaks of these tasks; another suite may differ.

The interval of the difference is Newcombe's for paired proportions, or Student's where there is partial credit.

Newcombe 1998, Improved confidence intervals for the difference between binomial proportions based on paired data
(method 10).
"""

import math
from collections.abc import Sequence

import numpy as np

from autoloop.core.comparison import Difference, TwoSided
from autoloop.core.model import Frozen
from autoloop.core.noise import Floats
from autoloop.core.suite.blocks import BLOCKS, judged_in_blocks
from autoloop.core.suite.intervals import Interval, mean_interval, paired_interval
from autoloop.core.suite.pairing import Results, TrialPair, pairs_of
from autoloop.core.suite.rates import Rate
from autoloop.core.suite.resolving import (
    deviations_shown,
    difference_shown,
    fewest_flips,
    flips_needed,
)
from autoloop.core.suite.tally import score

ALPHA = 0.02


class TaskFlips(Frozen):
    """A task in which the sides differed."""

    task: str
    pairs: int
    for_a: int
    """Pairs in which A had more."""
    for_b: int


class Contrast(Frozen):
    """What B is against A."""

    a_name: str
    b_name: str
    verdict: Difference
    """Of B; noise when nothing can be said."""
    pairs: int
    tasks: int
    a: Rate
    """Passed, over the pairs."""
    b: Rate
    difference: float | None
    """Of B's mean reward less A's, over the pairs; without partial credit, of the pass rates."""
    low: float | None
    high: float | None
    """The 95 % interval of the difference."""
    partial_credit: bool
    log_evidence: float
    """Natural logarithm of the evidence for the verdict; for noise, of the stronger side."""
    log_needed: float
    """What either verdict takes."""
    flips: tuple[TaskFlips, ...]
    """The tasks in which they differed, those that say most first."""
    unpaired: int
    """Trials that count and have no partner."""
    more_pairs: int | None
    """For noise: how many more a verdict would take, in 9 of 10 cases, were the difference what was seen; None when no
    number would do."""
    shown: float | None
    """The difference that as many pairs would have shown in 9 of 10 cases; None when they are too few for any."""

    @property
    def for_b(self) -> int:
        """Pairs in which B had more."""
        return sum(flip.for_b for flip in self.flips)

    @property
    def for_a(self) -> int:
        """Pairs in which A had more."""
        return sum(flip.for_a for flip in self.flips)

    def sentence(self) -> str:
        """The whole of it for people."""
        from autoloop.core.suite.saying import sentence_of

        return sentence_of(self)


def contrast(a: Results, b: Results, *, names: tuple[str, str] = ("A", "B"), alpha: float = ALPHA) -> Contrast:
    """What B is against A. No difference is called one in at most `alpha` of the cases."""
    pairs = pairs_of(a, b)
    gains = np.array([pair.gain for pair in pairs])
    partial = any(score(result) not in (0.0, 1.0) for pair in pairs for result in (pair.a, pair.b))
    rule = TwoSided(alpha=alpha)
    judged = judged_in_blocks(pairs, partial, rule)
    verdict = (judged and judged.difference) or Difference.NOISE
    interval = _interval(pairs, gains, partial)
    noise = verdict is Difference.NOISE
    return Contrast(
        a_name=names[0],
        b_name=names[1],
        verdict=verdict,
        pairs=len(pairs),
        tasks=len({pair.task for pair in pairs}),
        a=Rate.of_counts(sum(pair.a.passed for pair in pairs), len(pairs)),
        b=Rate.of_counts(sum(pair.b.passed for pair in pairs), len(pairs)),
        difference=float(gains.mean()) if pairs else None,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        partial_credit=partial,
        log_evidence=judged.log_evidence if judged else 0.0,
        log_needed=rule.bound,
        flips=_flips(pairs),
        unpaired=sum(result.outcome.counts for side in (a, b) for result in side.values()) - 2 * len(pairs),
        more_pairs=_more_pairs(gains, partial, alpha) if noise and pairs else None,
        shown=_shown(gains, partial, alpha) if pairs else None,
    )


def _flips(pairs: Sequence[TrialPair]) -> tuple[TaskFlips, ...]:
    by_task: dict[str, list[float]] = {}
    for pair in pairs:
        by_task.setdefault(pair.task, []).append(pair.gain)
    found = [
        TaskFlips(task=task, pairs=len(gains), for_a=sum(g < 0 for g in gains), for_b=sum(g > 0 for g in gains))
        for task, gains in by_task.items()
        if any(gains)
    ]
    return tuple(sorted(found, key=lambda flip: (-abs(flip.for_b - flip.for_a), flip.task)))


def _interval(pairs: Sequence[TrialPair], gains: Floats, partial: bool) -> Interval | None:
    if not pairs:
        return None
    if partial:
        return mean_interval(gains.tolist())
    both = sum(score(pair.a) == score(pair.b) == 1 for pair in pairs)
    only_a, only_b = int((gains < 0).sum()), int((gains > 0).sum())
    return paired_interval(both, only_a, only_b, len(pairs) - both - only_a - only_b)


def _more_pairs(gains: Floats, partial: bool, alpha: float) -> int | None:
    mean, differing = float(gains.mean()), int(np.count_nonzero(gains))
    if not mean:
        return None
    if partial:
        wanted = (deviations_shown(BLOCKS, alpha) / mean) ** 2 * float((gains**2).mean())
    else:
        flips = flips_needed(float((gains > 0).sum()) / differing, alpha)
        if flips is None:
            return None
        wanted = flips * gains.size / differing
    return max(1, math.ceil(wanted) - gains.size)


def _shown(gains: Floats, partial: bool, alpha: float) -> float | None:
    differing = int(np.count_nonzero(gains))
    if not partial:
        return difference_shown(differing, gains.size, alpha)
    found = deviations_shown(min(BLOCKS, differing), alpha) if differing >= fewest_flips(alpha) else math.inf
    shown = found * math.sqrt(float((gains**2).mean()) / gains.size)
    return shown if shown <= 1 else None
