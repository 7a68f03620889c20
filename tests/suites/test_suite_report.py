"""Reports of benches: every trial is in them, rates come with intervals, and what agents left stays text."""

import os
import re
import time
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from autoloop import api
from autoloop.core.suite.contrast import contrast
from autoloop.core.suite.events import BenchStop, BenchStopped
from autoloop.core.suite.state import replay
from autoloop.report.bench_material import worth_tracing
from tests.pages import Page
from tests.suites.benches import bench, key, plan, result, trials
from tests.suites.shown import BEGAN, Shown, drawn, large_bench, tasks

os.environ.setdefault("MPLCONFIGDIR", str(Path.home() / ".cache/matplotlib"))
"""Fonts are looked for once, and not once in every home that a test gets."""
HOSTILE = "</pre></td><script>alert(1)</script> | [a](http://evil) `x`\u202e"


def page_of(shown: Shown, **options: object) -> Page:
    target = shown.directory.path / "out.html"
    api.report(shown.directory.path, ".", api.ReportOptions(html=target, **options))  # type: ignore[arg-type]
    return Page(target.read_text())


def markdown_of(shown: Shown) -> str:
    return api.report(shown.directory.path, ".", api.ReportOptions(markdown=Path("-"))).printed


def trial_ids(page: Page) -> list[str]:
    return [one for one in page.ids if re.fullmatch(r"t\d+", one)]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    return large_bench(tmp_path_factory.mktemp("results") / "20260101", 12)


@pytest.fixture(scope="module")
def page(shown: Shown) -> Page:
    return page_of(shown)


def test_a_page_of_a_bench_is_well_formed_and_reaches_nowhere(page: Page) -> None:
    assert page.wrong == []
    assert page.headings.count(1) == 1
    assert [b for a, b in zip(page.headings, page.headings[1:], strict=False) if b > a + 1] == []
    outside = [one for one in page.references if not one.startswith("#")]
    assert [one for one in outside if not re.fullmatch(r"iterations/\d{3}/[ab]/task-\d+/[\w.-]+", one)] == []
    assert [one for one in page.references if one.startswith("#") and one[1:] not in page.ids] == []


def test_every_trial_and_every_task_is_in_the_page(shown: Shown, page: Page) -> None:
    assert len(trial_ids(page)) == len(list(shown.plan.trials()))
    text = page.with_id("tasks").text
    assert all(task.id in text for task in shown.plan.tasks)
    assert len([one for one in page.all("a") if "title" in one.attributes]) == len(trial_ids(page))


def test_rates_come_with_their_intervals_and_errors_are_in_none(tmp_path: Path) -> None:
    shown = Shown(tmp_path / "b", plan([f"t{n}" for n in range(5)]))
    shown.tried(trials({"t0": "p", "t1": "p", "t2": "f", "t3": "t", "t4": "e"})).ended()
    page = page_of(shown)
    assert "50 %15 % to 85 %2111" in page.with_id("arms").text
    assert "1 trial errored: in no rate." in page.all("header")[0].text


def test_arms_are_told_in_the_words_of_their_contrast(shown: Shown, page: Page) -> None:
    state = replay(shown.events)
    seen = contrast(state.of(arm="a"), state.of(arm="b"), names=("a", "b"))
    assert page.with_id("contrast-1").text == seen.sentence()
    assert page.all("h1")[0].text == "a and b cannot be told apart on s"


def test_a_single_arm_is_told_by_its_rate(tmp_path: Path) -> None:
    shown = Shown(tmp_path / "one", plan([f"t{n}" for n in range(4)], iterations=1))
    shown.tried(trials({"t0": "p", "t1": "p", "t2": "p", "t3": "f"})).ended()
    assert markdown_of(shown).startswith("## a passes 75 % (30 to 95 %) of s\n")
    assert "### Arms against" not in markdown_of(shown)


def test_every_plot_of_a_bench_is_there(page: Page) -> None:
    plots = [one.attributes["id"] for one in page.all("svg") if one.attributes.get("role") == "img"]
    assert plots == ["rates", "iterations", "durations", "turns"]


def test_traces_of_failed_trials_are_shown_or_left_out(tmp_path: Path) -> None:
    shown = Shown(tmp_path / "b", plan(["t1", "t2"])).tried(trials({"t1": "f", "t2": "p"}))
    shown.left(key("t1"), output="what it did\n", verification="what did not hold\n").ended()
    text = page_of(shown).with_id("t1").text
    assert "what it did" in text and "what did not hold" in text
    assert '20 agent: step 20 > shell {"command": "ls"}' in text and "step 8" not in text and "8 earlier" in text
    bare = page_of(shown, traces=False).with_id("t1").text
    assert "what it did" not in bare and "step 20" not in bare


def test_a_long_output_is_shown_from_its_end(tmp_path: Path) -> None:
    shown = Shown(tmp_path / "b", plan(["t1"])).tried(trials({"t1": "f"}))
    shown.left(key("t1"), output="begin\n" + "x\n" * 400_000 + "the very end\n").ended()
    page = page_of(shown)
    text = page.with_id("t1").text
    assert "the very end" in text and "begin" not in text and "bytes are left out here" in text
    assert len(page.text) < 300_000


def test_an_example_of_every_way_to_fail_is_traced_before_any_second_one() -> None:
    of = plan([f"t{n}" for n in range(30)])
    rare = {key("t29"): result("fail", failure_mode="rare")}
    common = {key(f"t{n}"): result("fail", failure_mode="common") for n in range(29)}
    assert key("t29") in worth_tracing(bench(of, [*common.items(), *rare.items()]), 4)


def test_hostile_texts_of_a_bench_stay_text(tmp_path: Path) -> None:
    shown = Shown(tmp_path / "b", plan(["t1", "<b>t2"]))
    failed = result("fail", failure_mode=HOSTILE, detail=HOSTILE, model=HOSTILE)
    shown.tried({key("t1"): failed, key("<b>t2"): failed}).left(key("t1"), output=HOSTILE, verification=HOSTILE).ended()
    page = page_of(shown)
    assert page.wrong == [] and len(page.all("script")) == 1 and not page.all("b")
    assert "<script>alert(1)</script>" in page.with_id("t1").text and "\u202e" not in page.text
    rendered = MarkdownIt().enable("table").render(markdown_of(shown))
    assert "<script>" not in rendered and "<b>" not in rendered and "<a " not in rendered
    assert "&lt;script&gt;alert(1)&lt;/script&gt; | [a](http:" in rendered


def test_recommendations_follow_from_the_results(tmp_path: Path) -> None:
    of = plan(["t1", "t2"], attempts=4)
    flaky = Shown(tmp_path / "flaky", of).tried(trials({"t1": "pfpf", "t2": "pppp"})).ended()
    wins = [one.text for one in page_of(flaky).all("li")]
    assert "t1" in wins[0] and "t2" not in wins[0]
    fine = Shown(tmp_path / "fine", of).tried(trials({"t1": "pppp", "t2": "pppp"})).ended()
    assert "### Quick wins" not in markdown_of(fine) and "### Next steps" not in markdown_of(fine)


def test_nights_are_told_and_a_worse_one_is_an_alert(tmp_path: Path) -> None:
    of = plan([f"t{n}" for n in range(12)], iterations=4)
    good = {one: result("pass", seconds=1.0) for one in of.trials()}
    for night in range(4):
        Shown(tmp_path / f"2026010{night}", of, began=BEGAN + 86400 * night).tried(good).ended()
    bad = {one: result("fail", seconds=1.0) for one in of.trials()}
    tonight = Shown(tmp_path / "20260109", of, began=BEGAN + 86400 * 9).tried(bad).ended()
    page = page_of(tonight)
    assert "tonight is worse than the nights before" in page.with_id("alerts-1").text
    assert "over 5 nights" in page.text
    assert "tonight is worse" in markdown_of(tonight)
    first = Shown(tmp_path / "other/20260109", of, began=BEGAN).tried(bad).ended()
    assert "no noise" not in markdown_of(first)


def test_a_torn_line_among_the_episodes_is_left_out(tmp_path: Path) -> None:
    shown = Shown(tmp_path / "b", plan(["t1"])).tried(trials({"t1": "p"})).ended()
    with shown.directory.shared_episodes.open("ab") as file:
        file.write(b'{"id": "torn')
    assert "1 of 1 trial" in markdown_of(shown)


def test_a_bench_that_has_not_ended_says_what_is_outstanding(tmp_path: Path) -> None:
    shown = Shown(tmp_path / "b", plan(["t1", "t2"])).tried(trials({"t1": "p"}))
    page = page_of(shown)
    assert "its process was killed, 1 trial outstanding" in page.with_id("unfinished").text
    shown.add(BenchStopped(at=shown.at, reason=BenchStop.MAX_HOURS))
    page = page_of(shown)
    assert "unfinished" not in page.ids and "ended: max_hours, 1 trial outstanding" in page.text


def test_a_bench_without_any_trial_has_a_page(tmp_path: Path) -> None:
    shown = Shown(tmp_path / "b", plan(["t1"]))
    page = page_of(shown)
    assert page.wrong == [] and "No trial has ended yet." in page.text
    assert "no trial has come to a result that counts" in page.all("h1")[0].text
    assert "### Tasks" in markdown_of(shown)


def test_a_cost_that_is_not_known_is_told_as_unknown(tmp_path: Path) -> None:
    shown = Shown(tmp_path / "b", plan(["t1"])).tried(trials({"t1": "p"})).ended()
    markdown = markdown_of(shown)
    assert "unknown, 1 trial of unknown cost" in markdown and "$0.00" not in markdown


def test_the_markdown_has_a_row_for_every_arm_and_every_task(shown: Shown) -> None:
    markdown = markdown_of(shown)
    parts = dict(part.split("\n", 1) for part in markdown.split("### ")[1:])
    assert len(re.findall(r"^\| [ab] \|", parts["Arms"], re.MULTILINE)) == 2
    rows = re.findall(r"^\| task-\d+ \|.*$", parts["Tasks"], re.MULTILINE)
    assert len(rows) == len(shown.plan.tasks)
    assert {row.count("|") for row in rows} == {7}


@pytest.mark.suites
def test_five_thousand_trials_make_a_page_of_less_than_ten_megabytes(tmp_path: Path) -> None:
    of = plan(tasks(500), "ab", iterations=5)
    shown = Shown(tmp_path / "big", of).tried(drawn(of, {"a": 0.9, "b": 0.7})).ended()
    began = time.process_time()
    target = tmp_path / "out.html"
    api.report(tmp_path, "big", api.ReportOptions(html=target))
    assert time.process_time() - began < 20
    assert target.stat().st_size < 10_000_000
    assert len(re.findall(r'<tbody id="t\d+"', target.read_text())) == len(list(shown.plan.trials())) == 5000


def test_the_newest_bench_is_reported_without_a_name(tmp_path: Path) -> None:
    shown = Shown(tmp_path / "results/20260101", plan(["t1"])).tried(trials({"t1": "p"})).ended()
    made = api.report(tmp_path)
    assert made.written == (shown.directory.path / "report.html",)
    assert made.about == "bench 20260101"
