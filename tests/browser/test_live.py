"""The live page in a browser: what people see while a bench or a run goes, and whether a keyboard suffices."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from autoloop.core.suite.events import BenchStop
from autoloop.hud.server import ShownPage, keep_looking, listen, shown
from tests.browser.conftest import complaints
from tests.real_run import Checkout
from tests.suites.benches import key, plan, result
from tests.suites.live import LiveBench, going

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
PLAN = plan(["fix-git", "regex-log", "sqlite", "tls-cert"], arms=["sonnet", "opus"], iterations=2)  # type: ignore[arg-type]


@contextmanager
def page_of(folder: Path, name: str | None = None, port: int = 0) -> Iterator[ShownPage]:
    """The page, kept up to date as `autoloop hud` does it."""
    over = threading.Event()
    with shown(folder, name, "127.0.0.1", port) as page:
        looking = threading.Thread(target=keep_looking, args=(page.hub, over))
        looking.start()
        try:
            yield page
        finally:
            over.set()
            looking.join()


def text_of(browser: Chrome, name: str) -> str:
    return str(browser.execute_script("return document.getElementById(arguments[0]).textContent", name))


def wait_for(what: Callable[[], object], seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.1)


def scheme(browser: Chrome, mode: str) -> None:
    feature = {"name": "prefers-color-scheme", "value": mode}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


def some_work(bench: LiveBench) -> None:
    bench.ends(key("fix-git", "sonnet"), result("pass", cost_usd=0.21, seconds=41.0))
    bench.ends(key("fix-git", "opus"), result("fail", cost_usd=0.5, failure_mode="wrong_result", detail="3 != 4"))
    bench.ends(key("regex-log", "opus"), result("timeout", failure_mode="timeout"))
    bench.ends(key("regex-log", "sonnet"), result("error", failure_mode="malformed"))
    bench.works(1, key("sqlite", "sonnet"), "agent", f"reads {HOSTILE}")


def test_the_page_of_a_bench_follows_it_while_it_goes(browser: Chrome, tmp_path: Path, screenshots: Path) -> None:
    with going(tmp_path / "results/20260101", PLAN) as bench, page_of(tmp_path) as page:
        some_work(bench)
        browser.get(page.url)
        wait_for(lambda: "3/16" in text_of(browser, "arms"))
        assert (text_of(browser, "state"), text_of(browser, "link")) == ("running", "live")
        assert [one for one in ("sonnet", "opus", "total", "2/8", "1/8") if one not in text_of(browser, "arms")] == []
        for mode in ("light", "dark"):
            scheme(browser, mode)
            browser.save_screenshot(str(screenshots / f"bench-{mode}.png"))
        bench.ends(key("sqlite", "sonnet"), result("pass"))
        bench.works(1, key("tls-cert", "sonnet"), "setup")
        wait_for(lambda: "4/16" in text_of(browser, "arms"))
        wait_for(lambda: "tls-cert" in text_of(browser, "workers"))
        assert "4/16" in browser.title
        bench.stop(BenchStop.MAX_HOURS)
        wait_for(lambda: text_of(browser, "state").startswith("running"))
    assert complaints_but_of_the_end(browser) == []


def complaints_but_of_the_end(browser: Chrome) -> list[str]:
    """Without those that say that the hud is gone, which the page says itself."""
    return [said for said in complaints(browser) if "WebSocket connection to" not in said]


def test_what_agents_print_is_text_and_nothing_else(browser: Chrome, tmp_path: Path) -> None:
    with going(tmp_path / "results/20260101", PLAN) as bench, page_of(tmp_path) as page:
        some_work(bench)
        bench.ends(key("tls-cert", "opus"), result("fail", failure_mode="x", detail=HOSTILE))
        browser.get(page.url)
        wait_for(lambda: HOSTILE in text_of(browser, "workers") and HOSTILE in text_of(browser, "done"))
        assert browser.title.endswith("autoloop")
        assert browser.find_elements(By.CSS_SELECTOR, "img, body script, iframe") == []
        assert complaints(browser) == []


def test_a_keyboard_suffices(browser: Chrome, tmp_path: Path) -> None:
    with going(tmp_path / "results/20260101", PLAN) as bench, page_of(tmp_path) as page:
        some_work(bench)
        browser.get(page.url)
        wait_for(lambda: "wrong_result" in text_of(browser, "done"))
        reached, outlined = [], []
        for _ in range(7):
            browser.switch_to.active_element.send_keys(Keys.TAB)
            focus = browser.switch_to.active_element
            reached.append(focus.get_attribute("id") or focus.get_attribute("aria-labelledby") or focus.text)
            outlined.append(browser.execute_script("return getComputedStyle(document.activeElement).outlineStyle"))
            if reached[-1] in ("only", "hold"):
                focus.send_keys(Keys.SPACE)
        places = ("arms-title", "workers-title", "only", "done-title", "hold", "log")
        assert [one for one in places if one not in reached] == []
        assert "none" not in outlined, "people see where they are"
        wait_for(lambda: "pass" not in text_of(browser, "done"))
        assert "fail" in text_of(browser, "done")
        assert browser.find_element(By.ID, "hold").get_attribute("aria-pressed") == "true"
        assert complaints(browser) == []


def test_the_page_comes_back_by_itself_when_the_hud_does(browser: Chrome, tmp_path: Path) -> None:
    with listen("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    with going(tmp_path / "results/20260101", PLAN) as bench:
        with page_of(tmp_path, port=port) as page:
            browser.get(page.url)
            wait_for(lambda: "0/16" in text_of(browser, "arms"))
        wait_for(lambda: "trying again" in text_of(browser, "link"))
        bench.ends(key("fix-git", "opus"), result("pass"))
        with page_of(tmp_path, port=port):
            wait_for(lambda: text_of(browser, "link") == "live", 20)
            wait_for(lambda: "1/16" in text_of(browser, "arms"))
    assert complaints_but_of_the_end(browser) == []


def test_the_page_of_a_run_follows_it_while_it_goes(browser: Chrome, checkout: Checkout, screenshots: Path) -> None:
    checkout.agent(
        'echo reading the code; sleep 1; test "$n" = 2 || echo "x = $((100 - n * 20))" > code.py\n'
        'echo "tried <b>$n</b>"; sleep 1'
    )
    running = threading.Thread(target=lambda: checkout.run(limits={"max_experiments": 4}))
    running.start()
    try:
        wait_for(lambda: list(checkout.root.glob(".autoloop/runs/p/*/state.json")), 30)
        with page_of(checkout.root, "p") as page:
            browser.get(page.url)
            wait_for(lambda: "agent" in text_of(browser, "workers"), 20)
            wait_for(lambda: "keep" in text_of(browser, "done"), 20)
            browser.save_screenshot(str(screenshots / "run-going.png"))
            wait_for(lambda: text_of(browser, "state") == "ended: max_experiments", 40)
            wait_for(lambda: "4 of 4" in text_of(browser, "figures"))
            assert "tried <b>" in text_of(browser, "log")
            assert len(browser.find_elements(By.CSS_SELECTOR, "#chart circle")) >= 4
            assert browser.find_element(By.CSS_SELECTOR, "#chart .stair").size["width"] > 100
            for mode in ("light", "dark"):
                scheme(browser, mode)
                browser.save_screenshot(str(screenshots / f"run-{mode}.png"))
            assert complaints(browser) == []
    finally:
        running.join()


def test_the_page_fits_a_telephone(browser: Chrome, tmp_path: Path, screenshots: Path) -> None:
    with going(tmp_path / "results/20260101", PLAN) as bench, page_of(tmp_path) as page:
        some_work(bench)
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
        )
        browser.get(page.url)
        wait_for(lambda: "3/16" in text_of(browser, "arms"))
        assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
        browser.save_screenshot(str(screenshots / "bench-telephone.png"))
