"""Two arms, two episodes, two nights: better, worse, or noise, by the test that judges changes in the loop.

If both sides are the same, swapping the two trials of a pair changes nothing, so each flip goes either way like a fair
coin, however much tasks differ in difficulty. The verdict is the first that the evidence reaches. No difference is
called one in at most `alpha` of the cases, however often one looks while iterations are added: `core/wagers` says why.
It speaks of these tasks; another suite may differ.

The interval of the difference is Newcombe's for paired proportions, or Student's where there is partial credit.

Newcombe 1998, Improved confidence intervals for the difference between binomial proportions based on paired data
(method 10).
"""

import math
from collections.abc import Sequence

import numpy as np

from autoloop.core.comparison import Comparison, Difference, TwoSided, compare_trials
from autoloop.core.model import Frozen
from autoloop.core.noise import Floats
from autoloop.core.suite.intervals import Interval, paired_interval
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
    judged = compare_trials(gains.tolist(), rule=rule)
    verdict = judged.difference or Difference.NOISE
    interval = _interval(pairs, judged, partial)
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
        log_evidence=_evidence(judged, verdict),
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


def _interval(pairs: Sequence[TrialPair], judged: Comparison, partial: bool) -> Interval | None:
    if not pairs:
        return None
    if partial and any(pair.gain for pair in pairs):  # without any spread there is none to judge by
        known = judged.low is not None and judged.high is not None
        return Interval(low=judged.low, high=judged.high) if known else None
    only_a, only_b = sum(pair.gain < 0 for pair in pairs), sum(pair.gain > 0 for pair in pairs)
    both = sum(pair.gain == 0 and score(pair.a) == 1 for pair in pairs)
    return paired_interval(both, only_a, only_b, len(pairs) - both - only_a - only_b)


def _evidence(judged: Comparison, verdict: Difference) -> float:
    match verdict:
        case Difference.BETTER:
            return max(judged.for_gain)
        case Difference.WORSE:
            return max(judged.for_loss)
        case _:
            return judged.log_evidence


def _more_pairs(gains: Floats, partial: bool, alpha: float) -> int | None:
    mean, differing = float(gains.mean()), int(np.count_nonzero(gains))
    if not mean:
        return None
    if partial:
        wanted = (deviations_shown(alpha) / mean) ** 2 * float((gains**2).mean())
    else:
        flips = flips_needed(float((gains > 0).sum()) / differing, alpha)
        wanted = flips * gains.size / differing if flips else 0.0
    return max(1, math.ceil(wanted) - gains.size)


def _shown(gains: Floats, partial: bool, alpha: float) -> float | None:
    differing = int(np.count_nonzero(gains))
    if not partial:
        return difference_shown(differing, gains.size, alpha)
    shown = deviations_shown(alpha) * math.sqrt(float((gains**2).mean()) / gains.size)
    return shown if shown <= 1 and differing >= fewest_flips(alpha) else None
