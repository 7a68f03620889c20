"""Noise to decide under: each model draws rows of consecutive log-noise, one row a campaign."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from autoloop.core.evidence.noise import Floats, spread

DATA = Path(__file__).parent / "data"
Draw = Callable[[np.random.Generator, int, int], Floats]
Family = Literal["light", "drift", "heavy", "recorded"]


@dataclass(frozen=True)
class NoiseModel:
    name: str
    family: Family
    draw: Draw
    """(generator, rows, samples) -> log-noise of consecutive samples."""

    def gains(self, rng: np.random.Generator, rows: int, pairs: int, effect: float = 0.0) -> Floats:
        """Gains of pairs taken one after another in coin-flipped order."""
        samples = self.draw(rng, rows, 2 * pairs)
        first, second = samples[:, 0::2], samples[:, 1::2]
        coin: NDArray[np.bool_] = rng.random(first.shape) < 0.5
        return np.where(coin, first - second, second - first) + effect

    def scaled(self, sigma: float) -> "NoiseModel":
        """The same kind of noise, with pairs that vary by `sigma`."""
        factor = sigma / self.sigma()
        return replace(self, draw=lambda rng, rows, n: factor * self.draw(rng, rows, n))

    def sigma(self) -> float:
        """One pair's standard deviation, robust as the noise pool takes it, from 30,000 pairs."""
        gains = self.gains(np.random.default_rng(5), 500, 60).ravel()
        return float(spread(gains - np.median(gains), gains.size))


def gaussian(deviation: float) -> Draw:
    return lambda rng, rows, n: deviation * rng.standard_normal((rows, n))


def lognormal(rng: np.random.Generator, rows: int, n: int) -> Floats:
    """A floor that is never undercut, and a long tail above it."""
    return np.log1p(0.02 * np.exp(0.8 * rng.standard_normal((rows, n))))


def spikes(rng: np.random.Generator, rows: int, n: int) -> Floats:
    """1 %, and every 14th sample is 5 to 40 % slower."""
    slow = np.where(rng.random((rows, n)) < 0.07, rng.uniform(0.05, 0.4, (rows, n)), 0.0)
    return 0.01 * rng.standard_normal((rows, n)) + slow


def student(rng: np.random.Generator, rows: int, n: int) -> Floats:
    """Tails without a variance."""
    return 0.01 * rng.standard_t(2, (rows, n))


def autoregressive(rng: np.random.Generator, rows: int, n: int) -> Floats:
    """2 %, each sample 0.9 of the one before."""
    noise = rng.standard_normal((rows, n))
    for i in range(1, n):
        noise[:, i] = 0.9 * noise[:, i - 1] + math.sqrt(1 - 0.81) * noise[:, i]
    return 0.02 * noise


def drift(rng: np.random.Generator, rows: int, n: int) -> Floats:
    """1 % on a machine that gets 3 % slower every hundred samples, or quicker."""
    slope = rng.choice([-0.0003, 0.0003], (rows, 1))
    drifting: Floats = 0.01 * rng.standard_normal((rows, n)) + slope * np.arange(n)
    return drifting


def steps(rng: np.random.Generator, rows: int, n: int) -> Floats:
    """1 %, and a jump of 5 % up or down every fifty samples."""
    jumps = np.where(rng.random((rows, n)) < 0.02, rng.choice([-0.05, 0.05], (rows, n)), 0.0)
    stepping: Floats = 0.01 * rng.standard_normal((rows, n)) + jumps.cumsum(axis=1)
    return stepping


def bimodal(rng: np.random.Generator, rows: int, n: int) -> Floats:
    """1 %, and three samples in ten land in a mode that is 4 % slower."""
    return 0.01 * rng.standard_normal((rows, n)) + 0.04 * (rng.random((rows, n)) < 0.3)


def replay(values: list[float]) -> Draw:
    """A recorded trace from a random start, round and round; short ones are drawn from with replacement."""
    log = np.log(np.asarray(values, float))
    log -= np.median(log)

    def draw(rng: np.random.Generator, rows: int, n: int) -> Floats:
        start = rng.integers(log.size, size=(rows, 1))
        index = start + np.arange(n) if log.size >= 30 else rng.integers(log.size, size=(rows, n))
        trace: Floats = log[index % log.size]
        return trace

    return draw


def simulated() -> list[NoiseModel]:
    return [
        NoiseModel("Gaussian 0.5 %", "light", gaussian(0.005)),
        NoiseModel("Gaussian 2 %", "light", gaussian(0.02)),
        NoiseModel("Gaussian 5 %", "light", gaussian(0.05)),
        NoiseModel("Gaussian 10 %", "light", gaussian(0.10)),
        NoiseModel("lognormal", "heavy", lognormal),
        NoiseModel("spikes", "heavy", spikes),
        NoiseModel("Student t2", "heavy", student),
        NoiseModel("AR(1)", "drift", autoregressive),
        NoiseModel("linear drift", "drift", drift),
        NoiseModel("steps", "drift", steps),
        NoiseModel("bimodal", "light", bimodal),
    ]


def busy_machine() -> NoiseModel:
    trace = json.loads((DATA / "busy_machine.json").read_text())
    return NoiseModel("a busy machine", "recorded", replay(trace["wall"]))


def recorded(least: int = 20) -> list[NoiseModel]:
    """Reruns of unchanged code, every set of at least `least` values with any spread, and the busy machine."""
    sets = json.loads((DATA / "real_noise.json").read_text())
    usable = [s for s in sets if len(s["values"]) >= least and 0 < min(s["values"]) < max(s["values"])]
    traces = [NoiseModel(f"{s['metric']} #{i}", "recorded", replay(s["values"])) for i, s in enumerate(usable)]
    return [busy_machine(), *traces]
