"""How the paired test compares: `python -m benchmarks.decision [--quick] [--svg FILE]`.

Prints false keeps, power and claims of six rules under every kind of noise, the nights with their
confirmed keeps, the equal-hours table, and the figures that the test must reach with what was measured.
"""

import argparse
import json
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

from autoloop.core.evidence.betting import PairedRule
from autoloop.core.evidence.noise import NoisePool, Scale
from autoloop.core.evidence.paired import judge
from autoloop.core.evidence.power import outcomes
from benchmarks.bounds import all_bounds
from benchmarks.campaigns import Campaigns, Morning, Night, mornings, play
from benchmarks.noise_models import DATA, NoiseModel, busy_machine, simulated
from benchmarks.paired import COMPARED, Paired

Table = dict[tuple[str, str], Campaigns]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run of some seconds")
    parser.add_argument("--seed", type=int, default=19_770_525)
    parser.add_argument("--svg", type=Path, help="draw the comparison into this file (needs matplotlib)")
    options = parser.parse_args()
    size, started = (0.04 if options.quick else 1.0), time.perf_counter()
    agrees(options.seed)
    table, nights = compare([*simulated(), busy_machine()], max(4, int(150 * size)), options.seed)
    print_table(table)
    print_nights(nights)
    print_real_pairs()
    report: list[str] = []
    bounds = all_bounds(options.seed, size, report)
    print("\nEqual hours              rule                      experiments  false keeps  true gain")
    print("\n".join(report))
    print("\nFigures to reach" + " " * 46 + "measured    bound         closest case")
    print("\n".join(map(str, bounds)))
    if options.svg:
        draw(table, options.svg)
    misses = sum(not bound.holds for bound in bounds)
    if options.quick:
        print("\nA smoke run: far too few experiments to judge by.")
    print(f"\n{misses} missed; seed {options.seed}; {time.perf_counter() - started:.0f} s")
    return 1 if misses and not options.quick else 0


def agrees(seed: int) -> None:
    """The vectorised outcomes are what `judge` says pair by pair."""
    rng = np.random.default_rng(seed)
    for i in range(200):
        rule = PairedRule(min_gain=(0.0, 0.5)[i % 2])
        gains = rng.standard_normal(rule.max_pairs) + rng.choice([0.0, 1.0, 2.0])
        end = outcomes(gains[None], sigma=1.0, df=9.0, rule=rule)
        taken = int(end.pairs[0])
        verdicts = [judge(gains[:n], sigma=1.0, df=9.0, rule=rule).verdict for n in range(1, taken + 1)]
        assert verdicts == ["continue"] * (taken - 1) + ["keep" if end.kept[0] else "discard"]


def compare(models: list[NoiseModel], campaigns: int, seed: int) -> tuple[Table, dict[str, Morning]]:
    table, nights = {}, {}
    for model in models:
        for make in COMPARED:
            rule = make()
            played = table[model.name, rule.name] = play(rule, model, campaigns, Night(), seed)
            if isinstance(rule, Paired):
                nights[model.name] = mornings(rule, played, model, 100, seed + 1)
    return table, nights


def print_table(table: Table) -> None:
    print("100 experiments: 60 % nothing, 16 % harm (-2 %), 12 % +1 %, 8 % +2 %, 4 % +5 %\n")
    print(
        "| noise | rule | no effect: kept | keeps that are false | kept at +1 / +2 / +5 % | true gain |"
        " claimed / true | samples |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for (model, rule), played in table.items():
        power = " / ".join(f"{100 * played.power(effect):.0f}" for effect in (0.01, 0.02, 0.05))
        print(
            f"| {model} | {rule} | {100 * played.false_keeps:.1f} % | {100 * played.false_share:.0f} % | {power} | "
            f"{played.true_gain:.2f} | {played.inflation:.2f} | {played.samples:.1f} |"
        )


def print_nights(nights: dict[str, Morning]) -> None:
    print("\n| noise | keeps a night, of these false | confirmed, of these false | extra pairs |\n|---|---|---|---|")
    for model, m in nights.items():
        print(
            f"| {model} | {m.kept:.1f}, {100 * m.false_kept:.0f} % | "
            f"{m.confirmed:.1f}, {100 * m.false_confirmed:.1f} % | +{100 * m.extra_pairs:.0f} % |"
        )


def print_real_pairs() -> None:
    """Published baselines and candidates, paired in the order of the publication; noise from the baseline."""
    print("\n| real change, as its authors judged it | metric | verdict | pairs | claimed |\n|---|---|---|---|---|")
    for change in json.loads((DATA / "real_pairs.json").read_text()):
        for metric in ("val_loss", "train_time_s", "val_bpb"):
            arms = change.get(metric)
            if arms is None or len(arms["baseline"]) < 6:
                continue
            scale = Scale.of(arms["baseline"], "lower")
            pool = NoisePool([scale.gain(a, b) for a, b in pairwise(arms["baseline"])])
            gains = [scale.gain(a, b) for a, b in zip(arms["baseline"], arms["candidate"], strict=False)]
            said = [judge(gains[:n], sigma=pool.sigma, df=pool.df / 2) for n in range(1, len(gains) + 1)]
            end = next((j for j in said if j.verdict != "continue"), said[-1])
            claim = f"{100 * end.claimed:+.2f} %"
            print(f"| {change['verdict']} | {metric} | {end.verdict} | {len(end.trace)} | {claim} |")


def draw(table: Table, target: Path) -> None:
    """False keeps and power by rule, and how the evidence grows."""
    try:
        import matplotlib
    except ImportError:
        print("no picture: matplotlib is not installed (pip install matplotlib)", file=sys.stderr)
        return
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "autoloop"
    from matplotlib import pyplot

    figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
    models = list(dict.fromkeys(model for model, _ in table))
    for rule in dict.fromkeys(rule for _, rule in table):
        style = {"marker": "o", "lw": 2.2 if rule == "paired" else 0.8, "ms": 4, "label": rule}
        left.plot([100 * table[m, rule].false_keeps for m in models], models, **style)
        middle.plot([100 * table[m, rule].power(0.02) for m in models], models, **style)
    left.set(title="changes without effect that are kept, %", xlim=0)
    middle.set(title="changes of +2 % that are kept, %", xlim=(0, 102), yticklabels=[])
    left.invert_yaxis()
    middle.invert_yaxis()
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower left", ncols=6, fontsize=8)
    stories = {"a gain of 2 sigma": (2.0, 2), "no effect": (0.0, 20), "a gain of 0.7 sigma": (0.7, 20)}
    for label, (gain, seed) in stories.items():
        gains = (np.random.default_rng(seed).standard_normal(16) + gain).tolist()
        said = next(j for n in range(1, 17) if (j := judge(gains[:n], sigma=1.0, df=30)).verdict != "continue")
        pairs = range(len(said.trace) + 1)
        right.plot(pairs, np.exp([0.0, *said.trace]), marker="o", ms=4, label=f"{label}: {said.verdict}")
    right.axhline(50, color="0.5", ls="--", lw=1)
    right.set(title="the evidence, pair by pair", xlabel="pairs", ylabel="odds for a gain", yscale="log")
    right.legend(fontsize=7)
    figure.savefig(target, metadata={"Date": None})


if __name__ == "__main__":
    sys.exit(main())
