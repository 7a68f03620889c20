"""Reports of runs: everything is in them, nothing of an agent acts, and nothing reaches outside."""

import base64
import hashlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from typer.testing import CliRunner

from autoloop import api
from autoloop.cli.app import app
from autoloop.core.run.flags import Flag, Sign
from autoloop.core.text import signed_percent
from autoloop.errors import AutoloopError
from autoloop.report.excerpts import beginning, room_for
from autoloop.report.rendering import code, plain
from tests.nights import RUN, Night, long_night
from tests.pages import Page
from tests.real_run import Checkout

os.environ.setdefault("MPLCONFIGDIR", str(Path.home() / ".cache/matplotlib"))
"""Fonts are looked for once, and not once in every home that a test gets."""
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)> javascript:alert(1) {{ 7*7 }} \u202e"
HOSTILE_DIFF = (
    "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n+</details></pre></td></table><script src=//evil>\n+]]>\n"
)


def page_of(root: Path, name: str | None = None, **options: object) -> Page:
    target = root / "out.html"
    api.report(root, name, api.ReportOptions(html=target, **options))  # type: ignore[arg-type]
    return Page(target.read_text())


def markdown_of(root: Path) -> str:
    return api.report(root, None, api.ReportOptions(markdown=Path("-"))).printed


def numbers(page: Page) -> list[str]:
    return [one.attributes["id"] for one in page.all("tbody") if re.fullmatch(r"e\d+", one.attributes.get("id", ""))]


def rows_of(markdown: str, title: str) -> list[str]:
    section = markdown.split(f"### {title}\n")[1].split("\n### ")[0]
    return [line for line in section.splitlines() if re.match(r"\| \d", line)]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("night")
    long_night(root, 30)
    return root


@pytest.fixture(scope="module")
def page(night: Path) -> Page:
    return page_of(night)


def test_a_page_is_well_formed_and_its_headings_are_in_order(page: Page) -> None:
    assert page.wrong == []
    assert page.headings[0] == 1 and page.headings.count(1) == 1
    assert [b for a, b in zip(page.headings, page.headings[1:], strict=False) if b > a + 1] == []


def test_nothing_in_a_page_reaches_outside_it(page: Page) -> None:
    outside = [one for one in page.references if not one.startswith("#")]
    beside = [one for one in outside if not re.fullmatch(r"[\w./-]*experiments/\d{4}/(packet\.md|diff\.patch)", one)]
    assert beside == []
    assert "@import" not in page.text and not page.all("link") and not page.all("iframe") and not page.all("img")


def test_every_link_within_a_page_leads_somewhere(page: Page) -> None:
    assert [one for one in page.references if one.startswith("#") and one[1:] not in page.ids] == []


def test_the_policy_allows_no_network_no_eval_and_only_the_script_of_the_page(page: Page) -> None:
    policy = next(one.attributes["content"] for one in page.all("meta") if "http-equiv" in one.attributes)
    (script,) = page.all("script")
    digest = base64.b64encode(hashlib.sha256(script.text.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; ")
    assert f"script-src 'sha256-{digest}';" in policy
    assert "unsafe-eval" not in policy and "http:" not in policy and "*" not in policy
    assert [name for one in page.elements for name in one.attributes if name.startswith("on")] == []


def test_every_experiment_is_in_the_page_with_its_decision_diff_and_packet(night: Path, page: Page) -> None:
    assert numbers(page) == [f"e{row.experiment}" for row in api.results(night)]
    for row in api.results(night)[1:]:
        text = page.with_id(f"e{row.experiment}").text
        assert row.description in text and row.reason in text and row.why in text
        assert f"experiments/{row.experiment:04d}/packet.md" in text and "Lower ms." in text
        assert ("seen.setdefault" in text) == (row.reason != "agent_failed")


def test_a_keep_shows_its_pairs_its_evidence_and_what_the_night_says(night: Path, page: Page) -> None:
    keep = next(row for row in api.results(night) if row.status == "keep")
    shown = api.show(night, keep.experiment)
    text = page.with_id(f"e{keep.experiment}").text
    assert all(signed_percent(gain) in text for gain in shown.gains)
    assert "a keep needs 3.91" in text and keep.confidence in text
    assert keep.description in page.with_id("keeps").text


def test_the_headline_claims_what_was_measured_afresh(night: Path, page: Page) -> None:
    found = api.status(night)["verified"]
    assert f"{signed_percent(found['gain']).lstrip('+')} better, measured afresh" in page.all("h1")[0].text
    assert f"{signed_percent(found['low'])} to {signed_percent(found['high'])}" in page.all("header")[0].text


def test_the_commands_that_look_and_merge_are_there(night: Path, page: Page) -> None:
    commands = [one.text for one in page.all("code")]
    assert f"git merge autoloop/p/{RUN}" in commands
    assert [one for one in commands if one.startswith("autoloop run p --resume")]


def test_flags_of_gaming_are_shown_before_anything_is_merged(tmp_path: Path) -> None:
    night = Night(tmp_path).calibrated()
    night.judged(0.2, "an odd gain", (Flag(sign=Sign.TIMING_TOUCHED, detail="time.sleep is gone"),))
    night.ended()
    page = page_of(tmp_path)
    assert "#e1" in [one.attributes.get("href") for one in page.all("a") if "p" in one.path]
    assert "1 keep shows signs of gaming" in page.with_id("flagged").text
    assert "timing_touched" in page.with_id("e1").text and "time.sleep is gone" in page.with_id("e1").text
    assert page.all("li")[0].text.startswith("Look at experiment 1 before you merge")


def test_plots_have_text_a_title_and_a_description(page: Page) -> None:
    plots = [one for one in page.all("svg") if one.attributes.get("role") == "img"]
    assert [one.attributes["id"] for one in plots] == ["staircase", "evidence", "spending"]
    for plot in plots:
        title, description = plot.attributes["aria-labelledby"].split()
        assert page.with_id(title).text and page.with_id(description).text
    assert "gain over the original" in plots[0].text


def test_the_colours_of_plots_are_those_of_the_page(page: Page) -> None:
    styles = " ".join(one.attributes.get("style", "") for one in page.elements if "svg" in one.path)
    assert "var(--keep)" in styles and "var(--ink)" in styles and "#0101" not in styles
    assert "DejaVu" not in styles


def test_every_experiment_is_a_point_of_the_staircase(night: Path, page: Page) -> None:
    linked = {one.attributes["href"] for one in page.all("a") if "svg" in one.path}
    assert linked == {f"#e{row.experiment}" for row in api.results(night)[1:]}


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    night = Night(tmp_path).calibrated()
    night.judged(0.2, HOSTILE, diff=HOSTILE_DIFF, packet=HOSTILE, text=HOSTILE)
    night.crashed(HOSTILE, diff=HOSTILE_DIFF)
    night.ended()
    page = page_of(tmp_path)
    assert page.wrong == [] and len(page.all("script")) == 1 and not page.all("img")
    assert numbers(page) == ["e0", "e1", "e2"]
    assert "<script>alert(1)</script>" in page.with_id("e1").text
    assert "</details></pre></td></table><script src=//evil>" in page.with_id("e1").text
    assert "{{ 7*7 }}" in page.text and "\u202e" not in page.text
    assert [one for one in page.references if "evil" in one or "javascript" in one] == []


def test_hostile_text_stays_text_in_markdown(tmp_path: Path) -> None:
    night = Night(tmp_path).calibrated()
    night.judged(0.2, "<script> | **bold** `x` [a](http://evil) ![](y) @someone #1\n# Title\n| 9 | forged |")
    night.ended()
    markdown = markdown_of(tmp_path)
    assert "@someone" not in markdown and "http://" not in markdown
    rendered = MarkdownIt().enable("table").render(markdown)
    assert not re.search(r"<(script|a|img|strong|h1|code>x)\b", rendered)
    assert "&lt;script&gt; | **bold** `x` [a](http:" in rendered
    assert len(rows_of(markdown, "Experiments")) == 2


@pytest.mark.parametrize("text", ["a `b` c", "``", "`", "x | y", "plain"])
def test_code_in_markdown_cannot_be_left(text: str) -> None:
    made = str(code(text))
    fence = re.match(r"`+", made)
    assert fence and made.endswith(fence[0])
    inside = made[len(fence[0]) : -len(fence[0])]
    assert fence[0] not in re.findall(r"`+", inside)


def test_names_with_underscores_stay_readable_in_markdown() -> None:
    assert plain("within_noise") == "within_noise"
    assert plain("_x_") == r"\_x\_"


def test_markdown_has_a_row_for_every_experiment(night: Path) -> None:
    markdown = markdown_of(night)
    assert len(rows_of(markdown, "Experiments")) == len(api.results(night))
    assert len(rows_of(markdown, "Keeps")) == api.status(night)["kept"]
    widths = {line.count("|") for line in rows_of(markdown, "Experiments")}
    assert len(widths) == 1


def test_a_run_without_keeps_says_so_and_why(tmp_path: Path) -> None:
    night = Night(tmp_path).calibrated()
    night.crashed()
    night.idle()
    night.ended()
    page = page_of(tmp_path)
    assert page.wrong == [] and page.all("h1")[0].text == "Nothing was kept in 2 experiments"
    assert "candidates break measure.sh" in page.text and "git merge" not in page.text
    assert "keeps" not in page.ids and "evidence" not in page.ids


def test_a_run_in_which_nothing_was_measured_has_a_page(tmp_path: Path) -> None:
    Night(tmp_path)
    page = page_of(tmp_path)
    assert page.wrong == [] and page.all("h1")[0].text == "Nothing was kept yet"
    assert "No experiment has ended yet." in page.text and "staircase" not in page.ids
    assert "### Experiments" in markdown_of(tmp_path)


def test_an_unfinished_run_is_told_as_one_and_its_open_experiment_is_named(tmp_path: Path) -> None:
    night = Night(tmp_path).calibrated()
    night.judged(0.2)
    night.proposed("half done")
    page = page_of(tmp_path)
    assert "Experiment 2 is open" in page.with_id("unfinished").text
    assert numbers(page) == ["e0", "e1"] and page.all("h1")[0].text.startswith("ms: the keeps claim")
    assert f"autoloop verify {RUN}" in page.text


def test_a_cost_that_is_not_known_is_not_a_cost_of_nothing(tmp_path: Path) -> None:
    night = Night(tmp_path, cost=None).calibrated()
    night.judged(0.2)
    night.ended()
    page = page_of(tmp_path)
    assert "$0.00" not in page.text and "1 session of unknown cost" in page.text
    assert "unknown cost" in markdown_of(tmp_path)


def test_without_traces_neither_packets_nor_words_of_agents_are_in_it(tmp_path: Path) -> None:
    night = Night(tmp_path).calibrated()
    night.judged(0.2, packet="the packet's words\n", text="the agent's words")
    night.ended()
    assert "the agent's words" in page_of(tmp_path).with_id("e1").text
    text = page_of(tmp_path, traces=False).with_id("e1").text
    assert "the agent's words" not in text and "the packet's words" not in text and "seen.setdefault" in text


def test_what_is_too_long_is_cut_at_a_line_and_says_how_much_is_missing(tmp_path: Path) -> None:
    night = Night(tmp_path).calibrated()
    night.judged(0.0, diff="+ line of a diff\n" * 100_000)
    night.ended()
    text = page_of(tmp_path).with_id("e1").text
    assert "bytes are left out here" in text and len(text) < 60_000
    found = beginning("one\ntwo\nthree", 6, 13, "f")
    assert (found.text, found.left_out) == ("one\n", 9)
    assert room_for(10_000_000, 0).ordinary == 0


@pytest.mark.suites
def test_a_thousand_experiments_make_a_page_of_less_than_ten_megabytes(tmp_path: Path) -> None:
    long = "+ a <line> & more\n- another\n" * 500
    night = Night(tmp_path).calibrated()
    for number in range(1000):
        if number % 50:
            night.crashed(f"idea {number}", diff=long, packet=long)
        else:
            night.judged(0.1, f"idea {number}", diff=long, packet=long)
    night.ended()
    began = time.process_time()
    api.report(tmp_path, None, api.ReportOptions(html=tmp_path / "out.html"))
    assert time.process_time() - began < 15
    text = (tmp_path / "out.html").read_text()
    assert len(text) < 10_000_000 and len(re.findall(r'<tbody id="e\d+"', text)) == 1001


def test_a_report_lies_beside_its_run_and_links_its_files(night: Path) -> None:
    (target,) = api.report(night).written
    assert target.parent.name == RUN
    page = Page(target.read_text())
    files = {one for one in page.references if not one.startswith("#")}
    assert "experiments/0001/packet.md" in files and all((target.parent / one).exists() for one in files)


def test_a_page_elsewhere_links_the_same_files(night: Path) -> None:
    page = page_of(night)
    files = {one for one in page.references if not one.startswith("#")}
    assert files and all((night / one).exists() for one in files)


def test_a_run_is_named_by_its_directory_too(night: Path, tmp_path: Path) -> None:
    directory = night / ".autoloop/runs/p" / RUN
    made = api.report(tmp_path, str(directory), api.ReportOptions(markdown=Path("-")))
    assert made.about == f"p {RUN}"
    with pytest.raises(AutoloopError, match="no run 'q'"):
        api.report(night, "q")


def test_without_matplotlib_the_page_comes_without_plots_and_names_the_extra(night: Path) -> None:
    hidden = "import sys; sys.modules['matplotlib'] = None\n"
    run = f"from pathlib import Path; from autoloop import api; print(api.report(Path({str(night)!r}), None, OPTIONS))"
    options = f"api.ReportOptions(html=Path({str(night / 'bare.html')!r}))"
    done = subprocess.run(
        [sys.executable, "-c", hidden + run.replace("OPTIONS", options)], capture_output=True, text=True
    )
    assert done.returncode == 0 and "without_plots=True" in done.stdout, done.stderr
    page = Page((night / "bare.html").read_text())
    assert page.wrong == [] and not page.all("svg")
    assert "autoloop-engine[plots]" in page.with_id("no-plots").text


def test_a_status_loads_neither_templates_nor_plots(night: Path) -> None:
    code = "import sys; from pathlib import Path; from autoloop import api; import autoloop.cli.app; "
    code += f"api.status(Path({str(night)!r})); "
    code += "print([m for m in ('jinja2', 'matplotlib', 'autoloop.report') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_report_of_a_real_run_tells_what_its_results_tell(checkout: Checkout) -> None:
    checkout.agent('[ $n = 2 ] || sed -i "1s/.*/x = $((100 - 10 * n))/" code.py')
    checkout.run()
    page = page_of(checkout.root)
    assert page.wrong == [] and numbers(page) == ["e0", "e1", "e2", "e3"]
    assert [page.with_id(f"e{row.experiment}").text.count(row.reason) > 0 for row in checkout.rows[1:]] == [True] * 3
    assert "+x = 90" in page.with_id("e1").text and "no_candidate" in page.with_id("e2").text


def test_the_verb_prints_markdown_or_says_where_the_page_is(night: Path) -> None:
    at = ["-C", str(night), "report"]
    printed = CliRunner().invoke(app, [*at, "--markdown", "-"])
    assert printed.exit_code == 0 and printed.output.startswith("## ms: ")
    written = CliRunner().invoke(app, [*at, "--html", str(night / "made.html")])
    assert str(night / "made.html") in written.output and os.path.getsize(night / "made.html") > 10_000


def test_a_page_that_cannot_be_written_is_an_error_with_its_cause(night: Path) -> None:
    (night / "file").write_text("")
    with pytest.raises(AutoloopError, match="cannot be written"):
        api.report(night, None, api.ReportOptions(html=night / "file/page.html"))
