"""The report of a run, as an HTML page and as Markdown."""

import math
from collections import Counter
from collections.abc import Iterator

from autoloop.core.run.night import labels
from autoloop.core.run.program import Rule
from autoloop.core.text import sum_known
from autoloop.report import run_plots
from autoloop.report.plots import Plot, can_draw, drawn
from autoloop.report.rendering import code, markdown, page
from autoloop.report.run_material import Bar, RunMaterial, bars
from autoloop.report.run_text import bound, facts, headline, how_it_stands, next_steps


def run_page(material: RunMaterial) -> str:
    """The report of a run as one HTML file that needs nothing beside it."""
    pictures = {plot.name: (plot, drawn(plot)) for plot in _plots(material)} if can_draw() else {}
    return page("run.html", **_values(material), plots=pictures, can_draw=can_draw())


def run_markdown(material: RunMaterial) -> str:
    """Headline, tables and next steps, for a pull request."""
    return markdown("run.md", **_values(material), code=code)


def _values(material: RunMaterial) -> dict[str, object]:
    return {
        "it": material,
        "made_at": material.made_at,
        "summary": material.summary,
        "criteria": material.program.criteria,
        "headline": headline(material),
        "stands": how_it_stands(material),
        "facts": facts(material),
        "spent": spent(material),
        "steps": next_steps(material),
        "reasons": reasons(material),
        "labels": {label.experiment: label.confidence.value for label in labels(material.state)},
        "bound": bound(material),
        "exp": math.exp,
    }


def _plots(material: RunMaterial) -> Iterator[Plot]:
    if not material.experiments:
        return
    yield run_plots.staircase(material.experiments)
    traced = [one for one in material.keeps if one.course.decision and one.course.decision.trace]
    if material.program.criteria.rule is Rule.PAIRED and traced:
        yield run_plots.evidence(traced, bound(material))
    yield run_plots.spending(material.experiments)


def reasons(material: RunMaterial) -> list[Bar]:
    """How the experiments ended, commonest first."""
    statuses = {one.row.reason: one.row.status.value for one in material.experiments}
    return bars(Counter(one.row.reason for one in material.experiments), statuses)


def spent(material: RunMaterial) -> dict[str, float | int | None]:
    """Seconds, dollars and tokens, by what they went to."""
    cost: float | None = None
    for one in material.experiments:
        cost = sum_known(cost, one.row.cost_usd)
    return {
        "agent": sum(one.course.agent_seconds for one in material.experiments),
        "measuring": sum(one.course.measuring_seconds for one in material.experiments),
        "other": sum(one.other_seconds for one in material.experiments),
        "cost": cost,
    }
