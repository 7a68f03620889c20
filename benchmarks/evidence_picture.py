"""How the evidence grows, drawn from published runs: `python -m benchmarks.evidence_picture docs/evidence.svg`.

Both arms are reruns of a public training record and of the change that was proposed to it, paired in the order of
their publication. Only matplotlib is needed beside numpy.
"""

import json
import math
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from autoloop.core.evidence.betting import PairedRule, Traces, traces
from autoloop.core.evidence.noise import Floats, NoisePool, Scale
from autoloop.core.evidence.paired import Judgement, judge
from benchmarks.noise_models import DATA

RULE = PairedRule()
STORIES = (("a real gain", 1, "train_time_s"), ("a tie", 1, "val_loss"), ("a real loss", 3, "train_time_s"))
"""Which change of `real_pairs.json`, and which of its metrics."""
GREY, FOR, AGAINST = "#808080", "#2f8fd0", "#d9822b"
"""Readable on white and on black: the background stays open."""


@dataclass(frozen=True)
class Story:
    """A change, pair by pair, up to the verdict."""

    title: str
    gains: Floats
    seen: Traces
    verdict: Judgement


def story(title: str, index: int, metric: str) -> Story:
    """Judge the pairs one after the other; half of the pool counts, since its residuals share their samples."""
    arms = json.loads((DATA / "real_pairs.json").read_text())[index][metric]
    scale = Scale.of(arms["baseline"], "lower")
    pool = NoisePool([scale.gain(a, b) for a, b in pairwise(arms["baseline"])])
    gains = [scale.gain(a, b) for a, b in zip(arms["baseline"], arms["candidate"], strict=False)]
    said = (judge(gains[:n], sigma=pool.sigma, df=pool.df / 2, rule=RULE) for n in range(1, len(gains) + 1))
    verdict = next(judged for judged in said if judged.verdict != "continue")
    taken = np.array(gains[: len(verdict.trace)])
    return Story(title, taken, traces(taken, sigma=pool.sigma, df=pool.df / 2, rule=RULE), verdict)


def draw(stories: list[Story], target: Path) -> None:
    """One column a story: the gains above, what they say below."""
    import matplotlib

    matplotlib.use("svg")
    grey = dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), GREY)
    matplotlib.rcParams.update({"svg.hashsalt": "autoloop", "savefig.transparent": True, "font.size": 9, **grey})
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, len(stories), figsize=(10, 5), layout="constrained", height_ratios=(2, 3))
    for told, (above, below) in zip(stories, axes.T, strict=True):
        draw_gains(above, told)
        draw_odds(below, told)
    axes[0, 0].set_ylabel("gain, % a pair")
    axes[1, 0].set_ylabel("odds")
    for axis in axes[1, 1:]:
        axis.set_yticklabels([])
    figure.legend(*axes[1, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(target, metadata={"Date": None})


def draw_gains(axis: Any, told: Story) -> None:
    pairs, claimed = np.arange(1, told.gains.size + 1), 100 * told.verdict.claimed
    axis.axhline(0, color=GREY, lw=0.8)
    axis.plot(pairs, 100 * told.gains, "o", color=FOR, ms=5)
    axis.set(title=f"{told.title}: {told.verdict.verdict}", xlim=(0, 10), xticklabels=[])
    room = 1.5 * float(np.abs(100 * told.gains).max())
    axis.set_ylim(-room, room)
    side = {"y": 0.06, "va": "bottom"} if claimed > 0 else {"y": 0.94, "va": "top"}
    low, high = 100 * told.verdict.low, 100 * told.verdict.high
    words = f"{claimed:+.2f} % (95 %: {low:+.2f} to {high:+.2f})"
    axis.text(0.97, s=words, ha="right", transform=axis.transAxes, fontsize=8, **side)


def draw_odds(axis: Any, told: Story) -> None:
    top = 3000.0
    bounds = (
        (told.seen.evidence, 1 / RULE.alpha, FOR, "-", "for a gain; 50 : 1 keeps"),
        (told.seen.futility, 1 / RULE.beta, AGAINST, "--", "against a gain worth having; 20 : 1 discards"),
    )
    for log_odds, bound, colour, dashes, label in bounds:
        odds = np.clip(np.exp(np.minimum([0.0, *log_odds], math.log(top))), 1 / top, top)
        axis.axhline(bound, color=colour, lw=0.8, ls=":")
        axis.plot(range(odds.size), odds, dashes, marker="o", ms=4, color=colour, label=label)
    axis.axhline(1, color=GREY, lw=0.8)
    axis.set(yscale="log", ylim=(1 / top, 2 * top), xlim=(0, 10), xlabel="pairs")
    axis.set_yticks([0.001, 0.02, 1, 50, 1000], ["1 : 1000", "1 : 50", "1 : 1", "50 : 1", "1000 : 1"])
    axis.minorticks_off()


if __name__ == "__main__":
    draw([story(*which) for which in STORIES], Path(sys.argv[1]))
