"""The plots of a run: what was gained, by which evidence, and where the time and the money went."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from autoloop.core.text import signed_percent
from autoloop.report.chronicle import Experiment
from autoloop.report.plots import ACCENT, CRASH, DISCARD, INK, KEEP, LINE, MUTED, WARN, Plot

_FARTHEST = 3.0
"""A discarded point farther out than so many times the span of what matters stands at the edge."""
_NAMED = 14
_MOST_BARS = 400


def staircase(experiments: Sequence[Experiment]) -> Plot:
    """The kept gain after each experiment, and what each of the others measured."""
    kept = [one for one in experiments if one.kept]
    last = experiments[-1].after if experiments else 0.0
    return Plot(
        "staircase",
        "Gain over the original",
        f"A staircase of {len(kept)} kept changes over {len(experiments)} experiments "
        f"that ends at {signed_percent(last)}. "
        "Each discarded experiment is a point at the gain that it would have brought.",
        lambda figure: _draw_staircase(figure, experiments),
        height=4.4,
        says={f"#e{one.number}": _said(one) for one in experiments},
    )


def _said(one: Experiment) -> str:
    gain = "" if one.row.gain is None else f" {signed_percent(one.row.gain)}"
    return f"{one.number}: {one.row.reason}{gain}, {one.row.description}"


def _draw_staircase(figure: Any, experiments: Sequence[Experiment]) -> None:
    axes = figure.subplots()
    numbers = [0, *(one.number for one in experiments)]
    levels = [0.0, *(100 * one.after for one in experiments)]
    axes.step(numbers, levels, where="post", color=KEEP, label="kept", zorder=3)
    low, high = _window(experiments, levels)
    for colour, marker, name, chosen in _groups(experiments):
        heights = [min(max(_height(one), low), high) for one in chosen]
        size = 18 if len(experiments) < 300 else 8
        at = [one.number for one in chosen]
        points = axes.scatter(at, heights, s=size, c=colour, marker=marker, linewidths=1, label=name or None, zorder=4)
        points.set_urls([f"#e{one.number}" for one in chosen])
    pad = 0.06 * (high - low)
    axes.set(xlabel="experiment", ylabel="gain over the original, %", ylim=(low - pad, high + pad))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=9)


def _groups(experiments: Sequence[Experiment]) -> Iterator[tuple[str, str, str, list[Experiment]]]:
    """Colour, marker and name of each kind of point, with the experiments of that kind."""
    groups: dict[tuple[str, str, str], list[Experiment]] = {}
    for one in experiments:
        measured = one.course.point is not None
        look = (
            (KEEP, "o", "") if one.kept else (DISCARD, "o", "discarded") if measured else (CRASH, "x", "not measured")
        )
        groups.setdefault(look, []).append(one)
    yield from ((*look, chosen) for look, chosen in groups.items())


def _height(one: Experiment) -> float:
    return 100 * (one.course.before if one.course.point is None else one.course.point)


def _window(experiments: Sequence[Experiment], levels: Sequence[float]) -> tuple[float, float]:
    """From which gain to which one: one wild measurement must not flatten everything else."""
    points = sorted(100 * one.course.point for one in experiments if one.course.point is not None)
    middle = points[len(points) // 10 : len(points) - len(points) // 10] or points or [0.0]
    low, high = min(*levels, *middle, 0.0), max(*levels, *middle, 0.0)
    span = (high - low) or 1.0
    least, most = min([low, *points]), max([high, *points])
    return max(least, low - _FARTHEST * span), max(min(most, high + _FARTHEST * span), low + span)


def evidence(keeps: Sequence[Experiment], bound: float) -> Plot:
    """How the evidence of each keep grew, pair by pair, up to what a keep needs."""
    return Plot(
        "evidence",
        "Evidence of the keeps",
        f"The logarithm of the evidence after each pair, for {len(keeps)} kept experiments. A keep needs {bound:.2f}.",
        lambda figure: _draw_evidence(figure, keeps, bound),
    )


def _draw_evidence(figure: Any, keeps: Sequence[Experiment], bound: float) -> None:
    axes = figure.subplots()
    for one in keeps:
        trace = _trace(one)
        axes.plot(range(len(trace)), trace, color=KEEP, alpha=0.9 if len(keeps) <= _NAMED else 0.5, linewidth=1.3)
    ends: dict[int, list[Experiment]] = {}
    for one in keeps if len(keeps) <= _NAMED else ():
        ends.setdefault(len(_trace(one)), []).append(one)
    for at, together in ends.items():
        highest = max(_trace(one)[-1] for one in together)
        name = ", ".join(str(one.number) for one in together)
        axes.annotate(name, (at - 1, highest), xytext=(0, 5), textcoords="offset points", color=INK, ha="center")
    axes.axhline(bound, color=WARN, linestyle=(0, (4, 3)), linewidth=1.2)
    axes.annotate(
        f"a keep needs {math.exp(bound):.0f} : 1", (0, bound), xycoords=("axes fraction", "data"), xytext=(4, 4),
        textcoords="offset points", color=MUTED, fontsize=8.5,
    )  # fmt: skip
    axes.set(xlabel="pair", ylabel="log evidence", xlim=(0, None))
    axes.margins(y=0.12)
    axes.xaxis.get_major_locator().set_params(integer=True)


def _trace(one: Experiment) -> list[float]:
    assert one.course.decision is not None, "a keep was decided"
    return [0.0, *one.course.decision.trace]


def spending(experiments: Sequence[Experiment]) -> Plot:
    """Time of each experiment by what it went to, and its cost where that is known."""
    costs = any(one.row.cost_usd for one in experiments)
    return Plot(
        "spending",
        "Time and cost of each experiment",
        "Bars of seconds for the agent, for measuring and for everything else"
        + (", and below them the cost in US dollars." if costs else "."),
        lambda figure: _draw_spending(figure, experiments, costs),
        height=4.8 if costs else 3.4,
    )


def _draw_spending(figure: Any, experiments: Sequence[Experiment], costs: bool) -> None:
    rows = figure.subplots(2 if costs else 1, 1, sharex=True, squeeze=False, height_ratios=[2, 1] if costs else [1])
    times, numbers = rows[0][0], [one.number for one in experiments]
    minutes = max((one.row.seconds or 0.0 for one in experiments), default=0.0) > 300
    unit = 60.0 if minutes else 1.0
    bottom = [0.0] * len(experiments)
    for name, colour, values in (
        ("agent", ACCENT, [one.course.agent_seconds / unit for one in experiments]),
        ("measuring", MUTED, [one.course.measuring_seconds / unit for one in experiments]),
        ("everything else", LINE, [one.other_seconds / unit for one in experiments]),
    ):
        _bars(times, numbers, values, bottom, colour, name)
        bottom = [below + value for below, value in zip(bottom, values, strict=True)]
    times.set_ylabel("minutes" if minutes else "seconds")
    times.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=9)
    times.margins(y=0.2)
    if costs:
        _bars(rows[1][0], numbers, [one.row.cost_usd or 0.0 for one in experiments], None, ACCENT, None)
        rows[1][0].set_ylabel("US dollars")
    rows[-1][0].set_xlabel("experiment")
    rows[-1][0].xaxis.get_major_locator().set_params(integer=True)


def _bars(
    axes: Any, at: list[int], values: list[float], bottom: list[float] | None, colour: str, name: str | None
) -> None:
    """Bars, or one outline where there are too many to be seen apart."""
    floor = bottom or [0.0] * len(values)
    if len(values) <= _MOST_BARS:
        axes.bar(at, values, 0.8, floor, color=colour, label=name, linewidth=0)
        return
    top = [below + value for below, value in zip(floor, values, strict=True)]
    axes.fill_between(at, floor, top, step="mid", color=colour, label=name, linewidth=0)
