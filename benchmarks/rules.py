"""Rules that decide whether a change is kept, each over many campaigns at once.

Values are logs, lower is better. A rule spends samples, says what it keeps and what it claims for it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoloop.core.betting import PairedRule, Shared
from autoloop.core.noise import Floats, NoisePool
from autoloop.core.power import outcomes

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


@dataclass
class Kept:
    """A keep, with what its continuation needs."""

    campaign: int
    effect: float
    gains: Floats
    sigma: float
    df: float


class Paired(Rule):
    """The paired sequential test, each pair fresh."""

    name = "paired"

    def __init__(self, rule: PairedRule = PairedRule(), calibration: int = 10) -> None:
        self.rule, self.calibration = rule, calibration
        self.keeps: list[Kept] = []

    def start(self, machine: Machine) -> None:
        self.machine = machine
        rows = np.arange(len(machine.noise))
        gains = machine.pairs(rows, np.zeros(len(rows)), self.calibration)
        machine.spend(rows, 2 * self.calibration)
        self.pools = [NoisePool(row) for row in gains.tolist()]

    def experiment(self, rows: Rows, effect: Floats) -> Verdicts:
        gains = self.machine.pairs(rows, effect, self.rule.max_pairs)
        return self.decide(rows, effect, gains)

    def decide(self, rows: Rows, effect: Floats, gains: Floats, shared: Shared | None = None) -> Verdicts:
        sigma = np.array([self.pools[row].sigma for row in rows])
        df = np.array([self.pools[row].df for row in rows])
        ended = outcomes(gains, sigma=sigma[:, None], df=df[:, None], rule=self.rule, shared=shared)
        self.spend(rows, ended.pairs)
        for i, row in enumerate(rows):
            taken = gains[i, : ended.pairs[i]]
            self.pools[row].add(taken.tolist())
            if ended.kept[i]:
                self.keeps.append(Kept(int(row), float(effect[i]), taken, float(sigma[i]), float(df[i])))
        self.machine.level[rows[ended.kept]] -= effect[ended.kept]
        self.moved(rows, ended.kept, ended.pairs)
        return Verdicts(ended.kept, ended.claimed)

    def spend(self, rows: Rows, pairs: NDArray[np.int64]) -> None:
        self.machine.spend(rows, 2 * pairs)

    def moved(self, rows: Rows, kept: Flags, pairs: NDArray[np.int64]) -> None:
        """Where `kept`, the tree to beat is a new one."""


class PairedReuse(Paired):
    """The paired test against stored baseline samples, one per seed, shared by all candidates.

    The calibration's samples are the first of them; a new baseline is measured when a pair needs it. Every
    tenth experiment one is taken again, and where it moved by more than the noise explains, pairs are
    fresh from then on.
    """

    name = "paired, reuse"

    def start(self, machine: Machine) -> None:
        super().start(machine)
        n = len(machine.noise)
        self.stored = np.full((n, self.rule.max_pairs), np.nan)
        first = machine.peek(np.arange(n), 0)
        calibrated = min(2 * self.calibration, self.rule.max_pairs)
        index = np.arange(calibrated)
        first = machine.noise[:, index]
        self.stored[:, :calibrated] = first
        self.count = np.zeros(n, int)
        self.fresh = np.zeros(n, bool)

    def experiment(self, rows: Rows, effect: Floats) -> Verdicts:
        self.check(rows)
        machine, n = self.machine, self.rule.max_pairs
        noise, stored = machine.peek(rows, 2 * n), self.stored[rows]
        missing = np.isnan(stored)
        place = np.arange(n) + np.cumsum(missing, axis=1)
        candidate = np.take_along_axis(noise, place, axis=1)
        self.candidate = candidate + (machine.level[rows] - effect)[:, None]
        taken = np.take_along_axis(noise, np.maximum(place - 1, 0), axis=1) + machine.level[rows, None]
        self.current, self.missing = np.where(missing, taken, stored), missing
        gains = self.current - candidate - machine.level[rows, None] + effect[:, None]
        fresh = self.fresh[rows]
        gains[fresh] = machine.pairs(rows[fresh], effect[fresh], n)
        self.missing[fresh] = True
        against = np.maximum(n - missing.sum(axis=1, keepdims=True), np.arange(1, n + 1))
        centre = self.centre(self.current, against)
        sharper = centre - candidate - machine.level[rows, None] + effect[:, None]
        sharper[fresh], against[fresh] = gains[fresh], 1
        return self.decide(rows, effect, gains, Shared(sharper, against))

    @staticmethod
    def centre(stored: Floats, count: NDArray[np.int64]) -> Floats:
        """Median of the stored samples that exist by each pair, one row a campaign."""
        columns = [np.median(stored[:, :k], axis=1) for k in range(1, stored.shape[1] + 1)]
        return np.take_along_axis(np.column_stack(columns), count - 1, axis=1)

    def spend(self, rows: Rows, pairs: NDArray[np.int64]) -> None:
        used = np.arange(self.rule.max_pairs) < pairs[:, None]
        self.machine.spend(rows, pairs + (used & self.missing).sum(axis=1))
        self.stored[rows] = np.where(used & ~self.fresh[rows, None], self.current, self.stored[rows])

    def moved(self, rows: Rows, kept: Flags, pairs: NDArray[np.int64]) -> None:
        used = np.arange(self.rule.max_pairs) < pairs[:, None]
        self.stored[rows[kept]] = np.where(used, self.candidate, np.nan)[kept]

    def check(self, rows: Rows) -> None:
        self.count[rows] += 1
        due = rows[(self.count[rows] % 10 == 0) & ~self.fresh[rows] & ~np.isnan(self.stored[rows, 0])]
        again = self.machine.take(due, 0.0, 1)[:, 0]
        sigma = np.array([self.pools[row].sigma for row in due])
        self.fresh[due] = np.abs(again - self.stored[due, 0]) > 3 * sigma


COMPARED: list[Callable[[], Rule]] = [SingleRun, MedianOf3, MedianOf5, ConfirmTwice, Bootstrap, Paired]
