"""The report of a bench, as an HTML page and as Markdown."""

from collections.abc import Iterator

from autoloop.core.suite.advice import AdviceKind
from autoloop.core.suite.failures import mode_of
from autoloop.core.suite.tasks import TrialKey
from autoloop.report import bench_plots, bench_text
from autoloop.report.bench_material import SuiteMaterial
from autoloop.report.plots import Plot, can_draw, drawn
from autoloop.report.rendering import code, markdown, page


def suite_page(material: SuiteMaterial) -> str:
    """The report of a bench as one HTML file that needs nothing beside it."""
    pictures = {plot.name: (plot, drawn(plot)) for plot in _plots(material)} if can_draw() else {}
    anchors = {key: f"t{number}" for number, (key, _) in enumerate(material.results, 1)}
    return page("suite.html", **_values(material), plots=pictures, can_draw=can_draw(), anchors=anchors)


def suite_markdown(material: SuiteMaterial) -> str:
    """Headline, tables and recommendations, for a pull request."""
    return markdown("suite.md", **_values(material), code=code)


def _values(material: SuiteMaterial) -> dict[str, object]:
    return {
        "it": material,
        "made_at": material.made_at,
        "summary": material.summary,
        "headline": bench_text.headline(material),
        "stands": bench_text.how_it_stands(material),
        "facts": bench_text.facts(material),
        "wins": bench_text.steps(material, AdviceKind.QUICK_WIN),
        "steps": bench_text.steps(material, AdviceKind.NEXT_STEP),
        "consistency": bench_text.consistency(material),
        "groups": {task.id: task.group for task in material.plan.tasks},
        "strips": strips(material),
        "mode_of": mode_of,
    }


def _plots(material: SuiteMaterial) -> Iterator[Plot]:
    arms = [arm.name for arm in material.plan.arms]
    if not material.summary.totals.counted:
        return
    yield bench_plots.rates(material.summary.arms)
    if material.iterations:
        yield bench_plots.progress(material.iterations, "iterations", "iteration")
    if material.nights:
        yield bench_plots.progress(material.nights, "nights", "night")
    yield bench_plots.durations(material.results, arms)
    effort = bench_plots.turns(material.results, arms)
    if effort is not None:
        yield effort


def strips(material: SuiteMaterial) -> dict[tuple[str, str], list[TrialKey]]:
    """The trials of each arm and task that have a result, in the order in which they are planned."""
    found: dict[tuple[str, str], list[TrialKey]] = {}
    for key, _ in material.results:
        found.setdefault((key.arm, key.task), []).append(key)
    return found
