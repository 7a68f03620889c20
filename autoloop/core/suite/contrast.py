"""The contrast of two arms, episodes or nights: better, worse, or noise, by the test that judges changes in the loop.

If both sides are the same, swapping the two trials of a pair changes nothing, so each flip goes either way like a fair
coin, however much tasks differ in difficulty. The verdict is the first that the evidence reaches. No difference is
called one in at most `alpha` of the cases, however often one looks while iterations are added (`core.evidence.trials`).
It speaks of these tasks; another suite may differ. The interval of the difference is Newcombe's for paired proportions
(method 10), or Student's where there is partial credit.

A pair is the same task, iteration and attempt on both sides. Only trials that count are paired, and every side gives as
many as the other: the mean of ten trials against the mean of three would not be a fair coin where both are the same.
The order is that of the iterations, and within them of a hash, so that no result decides what is seen first, and what a
later iteration adds comes behind.

`Delta` is what changed from one iteration to the next, for `delta.json`: a task that flips is named, and whether the
iterations differ is for their contrast to say. One flip never does.

Newcombe 1998, Improved confidence intervals for the difference between binomial proportions based on paired data.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from autoloop.core.evidence.comparison import Comparison, Difference, TwoSided, compare_trials
from autoloop.core.evidence.noise import Floats
from autoloop.core.evidence.trial_power import deviations_shown, difference_shown, fewest_flips, flips_needed
from autoloop.core.evidence.trials import Interval, Rate, paired_interval
from autoloop.core.model import Frozen
from autoloop.core.suite.tally import score
from autoloop.core.suite.tasks import TrialKey, TrialResult
from autoloop.core.text import counted, odds, percent, percent_range, points

ALPHA = 0.02


class TaskFlips(Frozen):
    """A task in which the sides differed."""

    task: str
    pairs: int
    for_a: int
    """Pairs in which A had more."""
    for_b: int


class Contrast(Frozen):
    """The contrast of side B with side A."""

    a_name: str
    b_name: str
    verdict: Difference
    """The verdict on B; noise when nothing can be said."""
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
        """The verdict and its numbers in one or two sentences."""

        return sentence_of(self)


Results = Mapping[TrialKey, TrialResult]


def contrast(a: Results, b: Results, *, names: tuple[str, str] = ("A", "B"), alpha: float = ALPHA) -> Contrast:
    """The contrast of B with A. No difference is called one in at most `alpha` of the cases."""
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


_Place = tuple[int, int]
"""Iteration and attempt."""


@dataclass(frozen=True)
class TrialPair:
    """A trial of each side, of one task."""

    task: str
    place: _Place
    a: TrialResult
    b: TrialResult

    @property
    def gain(self) -> float:
        """The reward of B less that of A."""
        return score(self.b) - score(self.a)


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


def pairs_of(a: Results, b: Results) -> list[TrialPair]:
    """All pairs, in the order of their iterations and of a hash of task and attempt.

    Where no iteration and attempt of a task is on both sides, as between two parts of a night, its trials are paired in
    their order.
    """
    sides = _by_task(a), _by_task(b)
    pairs = [
        pair for task in sides[0].keys() & sides[1].keys() for pair in _of_task(task, sides[0][task], sides[1][task])
    ]
    return sorted(pairs, key=_hash)


def _by_task(results: Results) -> dict[str, dict[_Place, TrialResult]]:
    """One episode against another: its number is then no part of the place."""
    single = len({key.iteration for key in results}) == 1
    found: dict[str, dict[_Place, TrialResult]] = {}
    for key, result in results.items():
        if result.outcome.counts:
            found.setdefault(key.task, {})[(1 if single else key.iteration, key.attempt)] = result
    return found


def _of_task(task: str, a: dict[_Place, TrialResult], b: dict[_Place, TrialResult]) -> list[TrialPair]:
    common = sorted(a.keys() & b.keys())
    if common:
        return [TrialPair(task, place, a[place], b[place]) for place in common]
    in_order = zip(sorted(a.items()), sorted(b.items()), strict=False)
    return [TrialPair(task, place, one, other) for (place, one), (_, other) in in_order]


def _hash(pair: TrialPair) -> tuple[int, bytes]:
    iteration, attempt = pair.place
    return iteration, hashlib.sha256(f"{pair.task}/{iteration}/{attempt}".encode()).digest()


def sentence_of(contrast: "Contrast") -> str:
    """The verdict with the numbers that it rests on; for noise, what it would take."""
    if not contrast.pairs:
        return f"nothing to compare: no task has a trial that counts of both {contrast.a_name} and {contrast.b_name}"
    facts = f"{_rates(contrast)} of {counted(contrast.pairs, 'pair')} ({difference_of(contrast)})"
    if contrast.verdict is not Difference.NOISE:
        said = f"{contrast.b_name} is {contrast.verdict} than {contrast.a_name} on these tasks"
        return f"{said}: {facts}, {odds(contrast.log_evidence)}"
    return f"noise: {facts}. {_outlook(contrast)}"


def rounded(number: int) -> int:
    """An estimate rounded to two significant digits."""
    return int(float(f"{number:.2g}"))


def difference_of(contrast: "Contrast") -> str:
    """The difference with its interval."""
    assert contrast.difference is not None, "there are pairs"
    text = points(contrast.difference)
    if contrast.low is None or contrast.high is None:
        return text
    return f"{text}, 95 %: {percent_range(contrast.low, contrast.high, '+.1f')}"


def rate_of(rate: Rate) -> str:
    """A pass rate as people read it."""
    return "no trial counts" if rate.value is None else percent(rate.value)


def _rates(contrast: "Contrast") -> str:
    return f"{contrast.b_name} {rate_of(contrast.b)} against {contrast.a_name} {rate_of(contrast.a)}"


def _outlook(contrast: "Contrast") -> str:
    """What these pairs could have shown, and what it would take to be sure of what was seen."""
    if contrast.shown is None:
        seen = "So few pairs could not have shown any difference"
    else:
        seen = f"{points(contrast.shown).lstrip('+')} would have been found in 9 of 10 cases"
    if contrast.more_pairs is None:
        return f"{seen}."
    more = counted(rounded(contrast.more_pairs), "more pair")
    return f"{seen}; were the truth what was seen, it would take about {more}."


class Delta(Frozen):
    """The tasks that changed between two iterations. A task passes when more than half of its trials that count do."""

    fixed: tuple[str, ...]
    """Tasks that pass now and did not."""
    broken: tuple[str, ...]
    """Tasks that passed and do not now."""
    unchanged: tuple[str, ...]
    not_compared: tuple[str, ...]
    """Tasks with trials of one of them alone that count."""
    verdict: Difference
    """The verdict on the iteration as a whole."""
    sentence: str
    contrast: Contrast


def delta(
    previous: Results, current: Results, *, names: tuple[str, str] = ("before", "now"), alpha: float = ALPHA
) -> Delta:
    """The delta of the current iteration against the previous one."""
    before, now = _passing(previous), _passing(current)
    common = sorted(before.keys() & now.keys())
    seen = contrast(previous, current, names=names, alpha=alpha)
    return Delta(
        fixed=tuple(task for task in common if now[task] and not before[task]),
        broken=tuple(task for task in common if before[task] and not now[task]),
        unchanged=tuple(task for task in common if before[task] == now[task]),
        not_compared=tuple(sorted(before.keys() ^ now.keys())),
        verdict=seen.verdict,
        sentence=seen.sentence(),
        contrast=seen,
    )


def _passing(results: Results) -> dict[str, bool]:
    passes: dict[str, list[bool]] = {}
    for key, result in results.items():
        if result.outcome.counts:
            passes.setdefault(key.task, []).append(result.passed)
    return {task: 2 * sum(passed) > len(passed) for task, passed in passes.items()}
