"""The paired sequential test as a rule of the comparison, with fresh pairs and with a reused baseline."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoloop.core.evidence.betting import PairedRule, Shared
from autoloop.core.evidence.noise import Floats, NoisePool
from autoloop.core.evidence.power import outcomes
from benchmarks.rules import (
    Bootstrap,
    ConfirmTwice,
    Flags,
    Machine,
    MedianOf3,
    MedianOf5,
    Rows,
    Rule,
    SingleRun,
    Verdicts,
)


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

    The calibration's samples are the first of them; after a keep it is the winner's own, which were picked
    for being good and so err against the next candidate. What a pair lacks is measured when it is needed.
    Every tenth experiment one sample is taken again, and where it moved by more than the noise explains,
    pairs are fresh from then on.
    """

    name = "paired, reuse"

    def start(self, machine: Machine) -> None:
        super().start(machine)
        n = len(machine.noise)
        self.stored = np.full((n, self.rule.max_pairs), np.nan)
        calibrated = min(2 * self.calibration, self.rule.max_pairs)
        self.stored[:, :calibrated] = machine.noise[:, :calibrated]
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
