"""The figures that the paired test must reach, measured."""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from autoloop.core.evidence.betting import PairedRule
from autoloop.core.evidence.noise import NoisePool
from autoloop.core.evidence.paired import judge
from autoloop.core.evidence.power import Outcomes, outcomes
from benchmarks.campaigns import Night, mornings, play
from benchmarks.noise_models import NoiseModel, gaussian, recorded, simulated
from benchmarks.paired import COMPARED, Paired, PairedReuse
from benchmarks.rules import Rule, WaldStored

CALIBRATION = 10


@dataclass(frozen=True)
class Bound:
    what: str
    measured: float
    limit: float
    at_least: bool = False
    where: str = ""
    """The case that comes closest to the limit."""
    form: str = "{:.2f}"

    @property
    def holds(self) -> bool:
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    def __str__(self) -> str:
        sign, verdict = (">=" if self.at_least else "<="), ("ok" if self.holds else "MISS")
        measured, limit = self.form.format(self.measured), self.form.format(self.limit)
        return f"{self.what:<58} {measured:>9} {sign} {limit:<8} {verdict:<5} {self.where}"


def worst(what: str, cases: Iterable[tuple[str, float]], limit: float, *, at_least: bool = False, form: str) -> Bound:
    """The bound over several cases, held by the worst of them."""
    where, value = (min if at_least else max)(cases, key=lambda case: case[1])
    return Bound(what, value, limit, at_least, where, form)


def one_experiment(model: NoiseModel, effect: float, rule: PairedRule, rows: int, seed: int) -> Outcomes:
    """Each row a run of its own: ten A/A pairs for calibration, then one experiment."""
    rng = np.random.default_rng(seed)
    calibration = model.gains(rng, rows, CALIBRATION)
    pools = [NoisePool(row) for row in calibration.tolist()]
    sigma, df = np.array([pool.sigma for pool in pools]), np.array([pool.df for pool in pools])
    gains = model.gains(rng, rows, rule.max_pairs, effect)
    return outcomes(gains, sigma=sigma[:, None], df=df[:, None], rule=rule)


def all_bounds(seed: int, size: float, report: list[str]) -> list[Bound]:
    """Every bound; `size` scales the number of simulated experiments, `report` gets the equal-hours table."""
    models, traces = simulated(), recorded()
    short = [m for m in recorded(least=8) if m.name not in {t.name for t in traces}]
    return [
        *no_effect([*models, *traces], short, seed, int(20000 * size)),
        *effects([*models, *traces], seed + 1, int(3000 * size)),
        *threshold(models, seed + 2, int(10000 * size)),
        outlier(),
        confirmed_keeps(models, "every noise model", seed + 4, max(4, int(200 * size))),
        confirmed_keeps([t.scaled(0.03) for t in traces], "recorded, at 3 %", seed + 4, max(4, int(60 * size))),
        *equal_hours(seed + 5, max(10, int(250 * size)), report),
        judge_time(),
    ]


def no_effect(models: list[NoiseModel], short: list[NoiseModel], seed: int, rows: int) -> list[Bound]:
    ends = {m.name: one_experiment(m, 0.0, PairedRule(), rows, seed) for m in models}
    brief = {m.name: one_experiment(m, 0.0, PairedRule(), rows // 4, seed) for m in short}
    kept = {name: 100 * end.kept.mean() for name, end in ends.items()}
    pooled = 100 * float(np.mean([end.kept.mean() for end in brief.values()]))
    pairs = {name: end.pairs.mean() for name, end in ends.items()}
    return [
        worst("no effect: kept, %", kept.items(), 1.2, form="{:.2f}"),
        Bound("no effect: kept, %, short recorded traces together", pooled, 1.2, where=f"{len(short)} traces"),
        worst("no effect: pairs", pairs.items(), 5.0, form="{:.2f}"),
    ]


def effects(models: list[NoiseModel], seed: int, rows: int) -> list[Bound]:
    plain = {m.name for m in models if m.family in ("light", "drift")}
    ends = {
        (m.name, k): one_experiment(m, k * m.sigma(), PairedRule(), rows, seed)
        for m in models
        for k in (1.0, 1.5, 2.0, 3.0)
    }
    true = {(m.name, k): k * m.sigma() for m in models for k in (1.0, 1.5, 2.0, 3.0)}

    def power(k: float, family: bool) -> list[tuple[str, float]]:
        chosen = [(name, end) for (name, size), end in ends.items() if size == k and (name in plain) == family]
        return [(name, 100 * float(end.kept.mean())) for name, end in chosen]

    claims = [
        (f"{name}, {k} sigma", float(end.claimed[end.kept].mean()) / true[name, k]) for (name, k), end in ends.items()
    ]
    pairs = [(name, float(end.pairs.mean())) for (name, k), end in ends.items() if k == 2.0]
    return [
        worst("2 sigma: kept, %, light tails and drift", power(2.0, True), 95.0, at_least=True, form="{:.1f}"),
        worst(
            "2 sigma: kept, %, heavy tails and recorded",
            power(2.0, False),
            88.0,
            at_least=True,
            form="{:.1f}",
        ),
        worst("2 sigma: pairs", pairs, 8.5, form="{:.2f}"),
        worst("1.5 sigma: kept, %, light tails and drift", power(1.5, True), 93.0, at_least=True, form="{:.1f}"),
        worst(
            "1.5 sigma: kept, %, heavy tails and recorded",
            power(1.5, False),
            80.0,
            at_least=True,
            form="{:.1f}",
        ),
        worst("claimed / true, 1 to 3 sigma, smallest", claims, 0.9, at_least=True, form="{:.3f}"),
        worst("claimed / true, 1 to 3 sigma, largest", claims, 1.1, form="{:.3f}"),
    ]


def threshold(models: list[NoiseModel], seed: int, rows: int) -> list[Bound]:
    rule = PairedRule(min_gain=0.02)
    quiet = [m for m in models if m.family == "drift" or m.name in ("Gaussian 0.5 %", "Gaussian 2 %")]
    ends = {m.name: one_experiment(m, 0.04, rule, rows, seed) for m in quiet}
    kept = [(name, 100 * float(end.kept.mean())) for name, end in ends.items()]
    pairs = [(name, float(end.pairs.mean())) for name, end in ends.items()]
    return [
        worst("threshold 2 %, effect 4 %: kept, %", kept, 95.0, at_least=True, form="{:.1f}"),
        worst("threshold 2 %, effect 4 %: samples of the candidate", pairs, 9.0, form="{:.2f}"),
    ]


def outlier() -> Bound:
    """One pair at +40 % among pairs that go up and down by turns, at every place, and alone."""
    kept = 0
    for sigma in (0.0, 0.001, 0.005, 0.02, 0.05):
        for place in range(16):
            gains = [sigma * (-1) ** i for i in range(16)]
            gains[place] = 0.4
            kept += any(judge(gains[:n], sigma=sigma, df=9).verdict == "keep" for n in range(1, 17))
    return Bound("one outlier of +40 %: keeps", kept, 0, form="{:.0f}")


def confirmed_keeps(models: list[NoiseModel], which: str, seed: int, campaigns: int) -> Bound:
    shares = []
    for model in models:
        rule = Paired()
        played = play(rule, model, campaigns, Night(), seed)
        shares.append((model.name, 100 * mornings(rule, played, model, 100, seed + 1).false_confirmed))
    return worst(f"confirmed keeps: false, %, {which}", shares, 10.0, form="{:.1f}")


HOURS = {1: 10.0, 30: 10.0, 300: 10.0, 1800: 60.0}
"""Length of the night for a measurement of so many seconds; half an hour needs a weekend."""


def equal_hours(seed: int, campaigns: int, report: list[str]) -> list[Bound]:
    """True gain against that of the best rule of which at most 10 % of the keeps are false."""
    still = NoiseModel("no drift", "light", gaussian(0.01))
    drifting = next(m for m in simulated() if m.name == "linear drift")
    bounds = []
    for model, ours in ((still, PairedReuse), (drifting, Paired)):
        for seconds, hours in HOURS.items():
            night = Night(600, hours, seconds, session_seconds=300)
            pairs = CALIBRATION if 2 * CALIBRATION * seconds <= 1200 else 3
            rules: list[Rule] = [make() for make in COMPARED if make is not Paired]
            rules += [WaldStored(), Paired(calibration=pairs), PairedReuse(calibration=pairs)]
            gains = {}
            for rule in rules:
                played = play(rule, model, campaigns, night, seed)
                if type(rule) is ours or played.false_share <= 0.10:
                    gains[rule.name] = played.true_gain
                report.append(
                    f"{model.name:<13} {seconds:>5} s  {rule.name:<26} {len(played.kept) / campaigns:7.1f} "
                    f"{100 * played.false_share:7.1f} % {100 * played.true_gain:8.2f} %"
                )
            best = max(gains, key=lambda name: gains[name])
            ratio = gains[ours.name] / gains[best] if gains[best] > 0 else math.nan
            what = f"equal hours, {model.name}, {seconds} s: {ours.name} / best"
            bounds.append(Bound(what, ratio, 0.9, at_least=True, where=best))
    return bounds


def judge_time() -> Bound:
    gains = np.random.default_rng(0).standard_normal(16).tolist()
    started = time.perf_counter()
    for _ in range(100):
        judge(gains, sigma=1.0, df=9)
    return Bound("judge on 16 pairs, ms", 10 * (time.perf_counter() - started), 2.0)
