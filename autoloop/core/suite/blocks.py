"""The pairs that differ, in blocks, and the verdict of `core/comparison` on them.

Pairs of two single trials are coarse: a bet on each is either too bold or too shy. The sum of a block tells more of how
large a difference is, and twenty-four bets are enough to be sure of one.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from autoloop.core.comparison import Comparison, Difference, TwoSided, compare_cases, compare_gains
from autoloop.core.noise import NoisePool, Scale
from autoloop.core.suite.pairing import TrialPair
from autoloop.core.suite.tally import score

BLOCKS = 24
"""Pairs that differ are judged in at most so many blocks, one bet each. With 16 a rate of 60 % against 50 % in 400
pairs is found in 37 % of the cases, with 24 in 40 %, with 32 in 39 %; eight find half as much."""


def judged_in_blocks(pairs: Sequence[TrialPair], partial: bool, rule: TwoSided) -> Comparison | None:
    """The first verdict that the evidence reaches, block after block; None where nothing differs."""
    blocks = _blocks(pairs)
    if not blocks:
        return None
    rule = replace(rule, max_pairs=len(blocks))
    whole = _compared(blocks, partial, rule)
    for seen, both in enumerate(zip(whole.for_gain, whole.for_loss, strict=True), 1):
        if max(both) >= rule.bound:
            judged = _compared(blocks[:seen], partial, rule, noise_of=blocks)
            if judged.difference in (Difference.BETTER, Difference.WORSE):
                return judged
    return replace(whole, difference=Difference.NOISE)


def _blocks(pairs: Sequence[TrialPair]) -> list[list[TrialPair]]:
    """The pairs that differ, in their order, in blocks of the same size.

    Which these are, and how many, is the same when the sides are swapped: so it may be used.
    """
    differing = [pair for pair in pairs if pair.gain]
    in_order = iter(differing)
    return [list(islice(in_order, int(size))) for size in block_sizes(len(differing))]


def _compared(
    blocks: Sequence[Sequence[TrialPair]],
    partial: bool,
    rule: TwoSided,
    noise_of: Sequence[Sequence[TrialPair]] | None = None,
) -> Comparison:
    if not partial:
        a = [{str(at): score(pair.a) for at, pair in enumerate(block)} for block in blocks]
        b = [{str(at): score(pair.b) for at, pair in enumerate(block)} for block in blocks]
        return compare_cases(a, b, rule=rule)
    sizes = [sum(pair.gain for pair in block) for block in noise_of or blocks]
    # Gains and their opposites: how large they are, and nothing of their signs, which is what is bet on.
    pool = NoisePool([*sizes, *(-size for size in sizes)])
    gains = [sum(pair.gain for pair in block) for block in blocks]
    return compare_gains(gains, scale=Scale("higher", 1.0, logarithmic=False), pool=pool, rule=rule)


def block_sizes(differing: int) -> NDArray[np.int64]:
    """How many differing pairs each block holds; sizes differ by one at most."""
    ranks = np.arange(differing) * min(BLOCKS, differing) // max(differing, 1)
    return np.bincount(ranks).astype(np.int64)
