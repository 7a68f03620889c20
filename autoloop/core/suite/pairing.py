"""Which trial of one side stands against which of the other: the same task, iteration and attempt.

Two sides are two arms, two episodes, or two nights. Only trials that count are paired, and every side gives as many as
the other: the mean of ten trials against the mean of three would not be a fair coin where both are the same. The order
is that of the iterations, and within them of a hash, so that no result decides what is seen first, and what a later
iteration adds comes behind.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from autoloop.core.suite.tally import score
from autoloop.core.suite.trial import TrialKey, TrialResult

Results = Mapping[TrialKey, TrialResult]

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
