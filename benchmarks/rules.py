"""Rules that decide whether a change is kept, each over many campaigns at once.

Values are logs, lower is better. A rule spends samples, says what it keeps and what it claims for it.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoloop.core.evidence.noise import Floats

Rows = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Machine:
    """Where samples come from: each campaign walks along its own stretch of noise."""

    def __init__(self, noise: Floats, rng: np.random.Generator) -> None:
        self.noise, self.rng = noise, rng
        self.at = np.zeros(len(noise), int)
        self.spent = np.zeros(len(noise), int)
        self.level = np.zeros(len(noise))
        """The true log value of the kept tree."""

    def peek(self, rows: Rows, n: int) -> Floats:
        """The noise of the next `n` samples; `spend` says how many of them were really taken."""
        index = (self.at[rows, None] + np.arange(n)) % self.noise.shape[1]
        upcoming: Floats = self.noise[rows[:, None], index]
        return upcoming

    def spend(self, rows: Rows, samples: NDArray[np.int64] | int) -> None:
        self.at[rows] += samples
        self.spent[rows] += samples

    def take(self, rows: Rows, effect: Floats | float, n: int) -> Floats:
        """`n` samples of the kept tree, or of it with a change."""
        noise = self.peek(rows, n)
        self.spend(rows, n)
        return noise + (self.level[rows] - effect)[:, None]

    def pairs(self, rows: Rows, effect: Floats, n: int) -> Floats:
        """Gains of the next `n` pairs, not yet spent."""
        noise = self.peek(rows, 2 * n)
        first, second = noise[:, 0::2], noise[:, 1::2]
        coin = self.rng.random(first.shape) < 0.5
        return np.where(coin, first - second, second - first) + effect[:, None]


@dataclass
class Verdicts:
    kept: Flags
    claimed: Floats


class Rule:
    """A rule with a stored baseline of `n` samples; it says only when a candidate wins."""

    name = ""
    n = 1

    def start(self, machine: Machine) -> None:
        self.machine = machine
        self.rows = np.arange(len(machine.noise))
        self.baseline = machine.take(self.rows, 0.0, self.n)
        self.discards = np.zeros(len(self.rows), int)

    def experiment(self, rows: Rows, effect: Floats) -> Verdicts:
        candidate = self.machine.take(rows, effect, self.n)
        kept, claimed = self.wins(rows, effect, candidate)
        self.machine.level[rows[kept]] -= effect[kept]
        self.after(rows, kept, candidate)
        return Verdicts(kept, claimed)

    def wins(self, rows: Rows, effect: Floats, candidate: Floats) -> tuple[Flags, Floats]:
        raise NotImplementedError

    def after(self, rows: Rows, kept: Flags, candidate: Floats) -> None:
        """Measure the baseline again after a keep and after every fifth discard in a row."""
        self.discards[rows] = np.where(kept, 0, self.discards[rows] + 1)
        again = rows[kept | (self.discards[rows] % 5 == 0)]
        self.baseline[again] = self.machine.take(again, 0.0, self.n)


class SingleRun(Rule):
    """Keep whatever measured better."""

    name = "single run"

    def wins(self, rows: Rows, effect: Floats, candidate: Floats) -> tuple[Flags, Floats]:
        gain = (self.baseline[rows] - candidate)[:, 0]
        return gain > 0, gain

    def after(self, rows: Rows, kept: Flags, candidate: Floats) -> None:
        self.baseline[rows[kept]] = candidate[kept]


class MedianOf3(Rule):
    """The medians of three runs against a threshold of 2 %."""

    name, n, threshold = "median of 3", 3, 0.02

    def wins(self, rows: Rows, effect: Floats, candidate: Floats) -> tuple[Flags, Floats]:
        gain = np.median(self.baseline[rows], axis=1) - np.median(candidate, axis=1)
        return gain > self.threshold, gain


class MedianOf5(MedianOf3):
    """The medians of five, or below the threshold a Mann-Whitney test at 5 % (two-sided: U of 2 or less)."""

    name, n = "median of 5 + Mann-Whitney", 5

    def wins(self, rows: Rows, effect: Floats, candidate: Floats) -> tuple[Flags, Floats]:
        above, gain = super().wins(rows, effect, candidate)
        lost = (candidate[:, :, None] >= self.baseline[rows][:, None, :]).sum(axis=(1, 2))
        return above | ((gain > 0) & (lost <= 2)), gain


class ConfirmTwice(Rule):
    """One run better by 2 %, and a second one too."""

    name, margin = "confirm twice", 0.02

    def wins(self, rows: Rows, effect: Floats, candidate: Floats) -> tuple[Flags, Floats]:
        gain = (self.baseline[rows] - candidate)[:, 0]
        kept = gain > self.margin
        again = rows[kept]
        second = self.baseline[again, 0] - self.machine.take(again, effect[kept], 1)[:, 0]
        gain[kept] = (gain[kept] + second) / 2
        kept[kept] = second > self.margin
        return kept, gain


class Bootstrap(Rule):
    """Five runs a side: keep when the lower end of a two-sample bootstrap interval (95 %) is above 0."""

    name, n, resamples = "two-sample bootstrap", 5, 200

    def wins(self, rows: Rows, effect: Floats, candidate: Floats) -> tuple[Flags, Floats]:
        baseline, each = self.baseline[rows], np.arange(len(rows))[:, None, None]
        draws = self.machine.rng.integers(self.n, size=(2, len(rows), self.resamples, self.n))
        means = baseline[each, draws[0]].mean(axis=2) - candidate[each, draws[1]].mean(axis=2)
        return np.quantile(means, 0.025, axis=1) > 0, baseline.mean(axis=1) - candidate.mean(axis=1)


class WaldStored(Rule):
    """Wald's test of one candidate sample after the other against the mean of ten stored ones.

    The quickest there is when the noise is Gaussian and does not drift.
    """

    name, n, most = "Wald, stored baseline", 10, 16

    def wins(self, rows: Rows, effect: Floats, candidate: Floats) -> tuple[Flags, Floats]:
        raise NotImplementedError

    def experiment(self, rows: Rows, effect: Floats) -> Verdicts:
        machine, stored = self.machine, self.baseline[rows]
        sigma = self.sigma(rows)[:, None]
        values = machine.peek(rows, self.most) + (machine.level[rows] - effect)[:, None]
        gains = stored.mean(axis=1, keepdims=True) - values
        worth = 1.5 * math.sqrt(2) * sigma
        ratio = np.cumsum(worth * (gains - worth / 2) / (sigma**2 * 1.1), axis=1)
        stop = (ratio >= math.log(50)) | (ratio <= -math.log(20))
        stop[:, -1] = True
        used = stop.argmax(axis=1)
        each = np.arange(len(rows))
        kept = ratio[each, used] >= math.log(50)
        machine.spend(rows, used + 1)
        machine.level[rows[kept]] -= effect[kept]
        won = rows[kept]
        self.baseline[won] = machine.take(won, 0.0, self.n)
        return Verdicts(kept, np.cumsum(gains, axis=1)[each, used] / (used + 1))

    def sigma(self, rows: Rows) -> Floats:
        if not hasattr(self, "first"):
            self.first = self.baseline.std(axis=1, ddof=1)
        spread: Floats = self.first[rows]
        return spread
