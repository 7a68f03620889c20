"""The reports in a browser: plots that can be seen, tables that sort, rows that open by keyboard, no complaint."""

import os
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from autoloop import api
from tests.browser.conftest import complaints
from tests.nights import long_night
from tests.suites.benches import key, plan, result
from tests.suites.live import going

pytestmark = pytest.mark.browser
os.environ.setdefault("MPLCONFIGDIR", str(Path.home() / ".cache/matplotlib"))
PLAN = plan([f"t{number}" for number in range(8)], arms=["sonnet", "opus"], iterations=2)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def of_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("night")
    long_night(root, 20)
    api.report(root, None, api.ReportOptions(html=root / "out.html"))
    return root / "out.html"


@pytest.fixture(scope="module")
def of_bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("bench") / "results/20260101"
    outcomes = {
        "sonnet": "pass pass pass fail timeout pass error pass",
        "opus": "pass fail pass fail fail pass pass fail",
    }
    with going(place, PLAN) as bench:
        for arm, words in outcomes.items():
            for iteration in (1, 2):
                for number, outcome in enumerate(words.split()):
                    fields = {"turns": 5 + number, "seconds": 10.0 + 7 * number, "cost_usd": 0.1}
                    failed = {} if outcome == "pass" else {"failure_mode": "wrong_result", "detail": "3 != 4"}
                    bench.ends(key(f"t{number}", arm, iteration), result(outcome, **fields, **failed))
        bench.stop()
    api.report(place, str(place), api.ReportOptions(html=place / "out.html"))
    return place / "out.html"


@pytest.mark.parametrize("about", ["run", "bench"])
def test_the_report_opens_without_a_complaint_and_its_plots_are_seen(
    browser: Chrome, screenshots: Path, about: str, request: pytest.FixtureRequest
) -> None:
    browser.get(request.getfixturevalue(f"of_{about}").as_uri())
    plots = browser.find_elements(By.CSS_SELECTOR, "svg")
    assert len(plots) >= 2
    for plot in plots:
        assert plot.size["width"] > 300 and plot.size["height"] > 80
        assert len(plot.find_elements(By.CSS_SELECTOR, "path, use, rect")) > 5
    grounds = set()
    for mode in ("light", "dark"):
        feature = {"name": "prefers-color-scheme", "value": mode}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        grounds.add(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
        browser.set_window_size(1280, 3600)
        browser.save_screenshot(str(screenshots / f"report-{about}-{mode}.png"))
    assert len(grounds) == 2, "light and dark differ"
    assert browser.execute_cdp_cmd("Page.printToPDF", {})["data"]
    assert complaints(browser) == []


def test_tables_sort_and_rows_open_by_keyboard(browser: Chrome, of_run: Path) -> None:
    browser.get(of_run.as_uri())
    heads = browser.find_elements(By.CSS_SELECTOR, "#experiments th button")
    first = next(head for head in heads if head.text == "#")
    for direction in ("ascending", "descending"):
        first.send_keys(Keys.ENTER)
        ids = [body.get_attribute("id") for body in browser.find_elements(By.CSS_SELECTOR, "#experiments tbody")]
        numbers = [int(name[1:]) for name in ids if name and name.startswith("e")]
        assert numbers == sorted(numbers, reverse=direction == "descending")
    row = browser.find_element(By.CSS_SELECTOR, "#experiments .more summary")
    row.send_keys(Keys.ENTER)
    details = browser.find_element(By.CSS_SELECTOR, "#experiments .more details")
    assert details.get_attribute("open") is not None and len(details.text) > 100
    row.send_keys(Keys.ARROW_DOWN)
    assert browser.switch_to.active_element != row and browser.switch_to.active_element.tag_name == "summary"
    assert complaints(browser) == []


def test_a_filter_leaves_the_rows_that_hold_its_words(browser: Chrome, of_bench: Path) -> None:
    browser.get(of_bench.as_uri())
    tools = browser.find_element(By.CSS_SELECTOR, ".tools[data-for=trials]")
    tools.find_element(By.CSS_SELECTOR, "input").send_keys("opus fail")
    shown = [body for body in browser.find_elements(By.CSS_SELECTOR, "#trials tbody") if body.is_displayed()]
    assert len(shown) == 8 and all("opus" in body.text and "fail" in body.text for body in shown)
    assert complaints(browser) == []
