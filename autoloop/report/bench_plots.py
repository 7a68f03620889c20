"""The plots of a bench: pass rates with their intervals, times, turns, and the course of iterations and nights."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Any

from autoloop.core.evidence.trials import Rate
from autoloop.core.suite.nights import TrendSeries
from autoloop.core.suite.summary import ArmSummary
from autoloop.core.suite.tasks import TrialKey, TrialResult
from autoloop.core.text import percent
from autoloop.report.plots import ACCENT, CRASH, DISCARD, INK, KEEP, MUTED, WARN, Plot, label

Results = Sequence[tuple[TrialKey, TrialResult]]

_COLOURS = (ACCENT, WARN, KEEP, CRASH, MUTED)
_MARKERS = "osD^v"
_MOST_GROUPS = 24
_BINS = 8


def rates(arms: Sequence[ArmSummary]) -> Plot:
    """The pass rate of each group, with its interval."""
    groups = list(dict.fromkeys(name for arm in arms for name in arm.groups))[:_MOST_GROUPS]
    rows = [("all", {arm.arm: arm.rate for arm in arms})]
    if len(groups) > 1:
        rows += [(name, {arm.arm: arm.groups[name].rate for arm in arms if name in arm.groups}) for name in groups]
    return Plot(
        "rates",
        "Pass rate",
        "A point for each arm and group with its 95 % interval, from 0 to 100 %. "
        + "; ".join(f"{arm.arm} {_said(arm.rate)}" for arm in arms),
        lambda figure: _draw_rates(figure, rows, [arm.arm for arm in arms]),
        height=1.0 + 0.34 * len(rows) * max(1.0, 0.6 * len(arms)),
    )


def _said(rate: Rate) -> str:
    return "has no trial that counts" if rate.value is None else percent(rate.value, ".0f")


def _draw_rates(figure: Any, rows: Sequence[tuple[str, Mapping[str, Rate]]], arms: Sequence[str]) -> None:
    axes = figure.subplots()
    for number, arm in enumerate(arms):
        shift = 0.5 * (number - (len(arms) - 1) / 2) / max(len(arms), 2)
        known = [(at, row[arm]) for at, (_, row) in enumerate(rows) if arm in row and row[arm].of]
        _with_interval(
            axes, [100 * (rate.value or 0.0) for _, rate in known], [at + shift for at, _ in known],
            [rate for _, rate in known], number, arm, across=True,
        )  # fmt: skip
    axes.set(xlim=(-1, 101), xlabel="passed, %", ylim=(len(rows) - 0.5, -0.5))
    axes.set_yticks(range(len(rows)), [label(name or "no group") for name, _ in rows], color=INK)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", visible=True)
    _legend(axes, len(arms))


def _with_interval(
    axes: Any, x: list[float], y: list[float], rates: Sequence[Rate], number: int, name: str, *, across: bool
) -> None:
    centre = x if across else y
    reach = [
        [max(0.0, at - 100 * rate.low) for at, rate in zip(centre, rates, strict=True)],
        [max(0.0, 100 * rate.high - at) for at, rate in zip(centre, rates, strict=True)],
    ]
    axes.errorbar(
        x, y, **{"xerr" if across else "yerr": reach}, fmt=_MARKERS[number % 5] + ("" if across else "-"), markersize=5,
        color=_COLOURS[number % 5], label=label(name), linewidth=1.3, capsize=2,
    )  # fmt: skip


def _legend(axes: Any, names: int) -> None:
    if names > 1:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, fontsize=9.5)


def progress(series: Sequence[TrendSeries], name: str, point: str) -> Plot:
    """Pass rates in the course of time, each with its interval."""
    return Plot(
        name,
        f"Pass rate over {point}s",
        "; ".join(f"{one.name}: {one.trend.sentence(point)}" for one in series),
        lambda figure: _draw_progress(figure, series, point),
    )


def _draw_progress(figure: Any, series: Sequence[TrendSeries], point: str) -> None:
    axes = figure.subplots()
    labels = list(dict.fromkeys(at.label for one in series for at in sorted(one.points, key=lambda at: at.at)))
    for number, one in enumerate(series):
        shift = 0.06 * (number - (len(series) - 1) / 2)
        at = [labels.index(point.label) + shift for point in one.points]
        known = [point.rate for point in one.points]
        _with_interval(axes, at, [100 * (rate.value or 0.0) for rate in known], known, number, one.name, across=False)
    step = max(1, len(labels) // 16)
    axes.set(ylabel="passed, %", ylim=(-2, 102), xlabel=point)
    axes.set_xticks(range(0, len(labels), step), [label(text, 18) for text in labels[::step]])
    _legend(axes, len(series))


def durations(results: Results, arms: Sequence[str]) -> Plot:
    """How long trials took, passed and not, arm by arm."""
    return Plot(
        "durations",
        "Time of a trial",
        "A histogram for each arm: how many trials that count took how long, those that passed apart from the others.",
        lambda figure: _draw_durations(figure, results, arms),
        height=2.6 if len(arms) == 1 else 1.0 + 1.5 * len(arms),
    )


def _draw_durations(figure: Any, results: Results, arms: Sequence[str]) -> None:
    rows = figure.subplots(len(arms), 1, sharex=True, squeeze=False)
    longest = max((one.seconds for _, one in results if one.outcome.counts), default=1.0)
    minutes = longest > 300
    unit = 60.0 if minutes else 1.0
    for (axes,), arm in zip(rows, arms, strict=True):
        own = [one for key, one in results if key.arm == arm and one.outcome.counts]
        parts = [[one.seconds / unit for one in own if one.passed is passed] for passed in (True, False)]
        axes.hist(
            parts, bins=30, range=(0, longest / unit or 1), stacked=True, color=[KEEP, DISCARD],
            label=["passed", "not"], linewidth=0,
        )  # fmt: skip
        axes.set_ylabel(label(arm, 20) if len(arms) > 1 else "trials")
    rows[0][0].legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=9.5)
    rows[-1][0].set_xlabel("minutes" if minutes else "seconds")


def turns(results: Results, arms: Sequence[str]) -> Plot | None:
    """How likely trials passed that took so many turns; None where turns are not known."""
    known = [(key, one) for key, one in results if one.outcome.counts and one.turns is not None]
    if len({one.turns for _, one in known}) < 2:
        return None
    return Plot(
        "turns",
        "Turns against success",
        "Trials that count in order of their turns, in equal parts: the share of each part that passed, with its 95 % "
        "interval, at its median number of turns.",
        lambda figure: _draw_turns(figure, known, arms),
    )


def _draw_turns(figure: Any, known: Results, arms: Sequence[str]) -> None:
    axes = figure.subplots()
    for number, arm in enumerate(arms):
        own = sorted(((one.turns or 0, one.passed) for key, one in known if key.arm == arm), key=lambda one: one[0])
        parts = _parts(own)
        found = [Rate.of_counts(sum(passed for _, passed in part), len(part)) for part in parts]
        at = [float(median(taken for taken, _ in part)) for part in parts]
        _with_interval(axes, at, [100 * (rate.value or 0.0) for rate in found], found, number, arm, across=False)
    axes.set(xlabel="turns", ylabel="passed, %", ylim=(-2, 102))
    _legend(axes, len(arms))


def _parts(own: list[tuple[int, bool]]) -> list[list[tuple[int, bool]]]:
    count = max(1, min(_BINS, len(own) // 5))
    edges = [number * len(own) // count for number in range(count + 1)]
    return [own[a:b] for a, b in pairwise(edges) if b > a]
