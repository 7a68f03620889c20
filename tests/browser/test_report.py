"""Reports in a browser, from the disk: no complaint, nothing fetched, tables that sort and open, keys that suffice."""

from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from autoloop import api
from tests.browser.conftest import complaints
from tests.nights import Night, long_night
from tests.suites.shown import large_bench

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=\"document.title='taken'\"></details><script>document.title='taken'</script>"


def opened(browser: Chrome, page: Path, fragment: str = "") -> None:
    browser.get("about:blank")
    browser.get(f"{page.as_uri()}{fragment}")


def report_of(root: Path, name: str | None = None) -> Path:
    return api.report(root, name, api.ReportOptions(html=root / "page.html")).written[0]


def order(browser: Chrome, table: str) -> list[str]:
    script = (
        "return [...document.getElementById(arguments[0]).tBodies].map(b => b.id || b.rows[0].cells[0].textContent)"
    )
    return list(browser.execute_script(script, table))


def fetched(browser: Chrome) -> list[str]:
    return list(browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)"))


def picture(browser: Chrome, folder: Path, name: str) -> None:
    for mode in ("light", "dark"):
        feature = {"name": "prefers-color-scheme", "value": mode}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        browser.save_screenshot(str(folder / f"{name}-{mode}.png"))


def focused(browser: Chrome) -> str:
    return str(browser.execute_script("return document.activeElement.closest('tbody')?.id ?? ''"))


def test_a_report_of_a_run_sorts_filters_and_opens_by_keys_alone(
    browser: Chrome, tmp_path: Path, screenshots: Path
) -> None:
    night = long_night(tmp_path, 40)
    opened(browser, report_of(tmp_path))
    assert fetched(browser) == [] and len(browser.find_elements(By.CSS_SELECTOR, "svg[role=img]")) == 3
    assert all(svg.size["height"] > 100 for svg in browser.find_elements(By.CSS_SELECTOR, "svg[role=img]"))
    picture(browser, screenshots, "report-run")
    gain = browser.find_elements(By.CSS_SELECTOR, "#experiments thead button")[4]
    gain.send_keys(Keys.ENTER)
    gain.send_keys(Keys.ENTER)
    best = max((one.decision.gain or 0.0, one.experiment) for one in night.events if one.kind == "decided")
    assert order(browser, "experiments")[0] == f"e{best[1]}"
    assert order(browser, "experiments")[-1] in {f"e{n}" for n in (0, 5, 8, 17, 20, 29, 32)}, "unknown values stay last"
    first = browser.find_element(By.CSS_SELECTOR, f"#e{best[1]} summary")
    first.send_keys(Keys.ARROW_DOWN)
    assert focused(browser) == order(browser, "experiments")[1]
    assert browser.execute_script("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert browser.find_element(By.CSS_SELECTOR, f"#{focused(browser)} pre.diff").is_displayed()
    browser.find_element(By.ID, "experiments-filter").send_keys("crash agent_failed")
    shown = browser.find_element(By.CSS_SELECTOR, "[data-for=experiments] [role=status]").text
    assert shown == "3 of 41"
    assert complaints(browser) == []


def test_a_fragment_opens_its_experiment(browser: Chrome, tmp_path: Path) -> None:
    long_night(tmp_path, 8)
    opened(browser, report_of(tmp_path), "#e7")
    assert browser.find_element(By.CSS_SELECTOR, "#e7 .inside").is_displayed()
    assert not browser.find_element(By.CSS_SELECTOR, "#e6 .inside").is_displayed()


def test_what_agents_wrote_does_nothing_in_a_browser(browser: Chrome, tmp_path: Path) -> None:
    night = Night(tmp_path).calibrated()
    night.judged(0.2, HOSTILE, diff=f"+{HOSTILE}\n", packet=HOSTILE, text=HOSTILE)
    night.ended()
    opened(browser, report_of(tmp_path), "#e1")
    assert browser.title.startswith("p 2026") and "taken" not in browser.title
    assert complaints(browser) == [] and fetched(browser) == []


def test_the_policy_stops_a_script_that_is_not_the_pages_own(browser: Chrome, tmp_path: Path) -> None:
    night = Night(tmp_path).calibrated()
    night.ended()
    page = report_of(tmp_path)
    page.write_text(page.read_text().replace("</main>", "<script>document.title = 'taken'</script></main>"))
    opened(browser, page)
    assert browser.title != "taken" and "Content Security Policy" in complaints(browser)[0]


def test_a_page_fits_a_narrow_window(browser: Chrome, tmp_path: Path, screenshots: Path) -> None:
    long_night(tmp_path, 20)
    size = {"width": 400, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    opened(browser, report_of(tmp_path))
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 400
    picture(browser, screenshots, "report-narrow")


def test_a_report_of_a_bench_sorts_and_opens(browser: Chrome, tmp_path: Path, screenshots: Path) -> None:
    large_bench(tmp_path / "results/20260101", 20)
    opened(browser, report_of(tmp_path))
    assert fetched(browser) == [] and len(browser.find_elements(By.CSS_SELECTOR, "svg[role=img]")) == 4
    picture(browser, screenshots, "report-bench")
    browser.find_elements(By.CSS_SELECTOR, "#tasks thead button")[2].send_keys(Keys.ENTER)
    rates = (
        "return [...document.querySelectorAll('#tasks tbody td.n')].map(c => c.dataset.v).filter((_, i) => i % 2 == 0)"
    )
    seen = [float(value) for value in browser.execute_script(rates) if value]
    assert seen == sorted(seen)
    link = browser.find_element(By.CSS_SELECTOR, "#tasks .strip a.fail")
    browser.execute_script("arguments[0].click()", link)
    trial = str(link.get_attribute("href")).split("#")[1]
    assert "FAILED test_x" in browser.find_element(By.CSS_SELECTOR, f"#{trial} .inside").text
    assert complaints(browser) == []
