"""The views of a bench stay true when trials end late, are tried again, or are graded once more."""

import json
from pathlib import Path
from typing import Any

from autoloop.core.suite.events import BenchStop, Regraded
from autoloop.core.suite.state import MOST_TRIES
from tests.suites.benches import key, plan, result
from tests.suites.live import LiveBench, going

PASS, FAIL, ERROR = result("pass"), result("fail"), result("error", failure_mode="setup_failed", detail="no room")


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text())


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder.parent / "episodes.jsonl").read_text().splitlines()]


def errors(bench: LiveBench, *tasks: str) -> None:
    for task in tasks:
        for _ in range(MOST_TRIES):
            bench.ends(key(task), ERROR)


def test_an_episode_whose_errors_a_resume_mends_is_told_as_it_is_now(tmp_path: Path) -> None:
    of, folder = plan(["t1", "t2", "t3"]), tmp_path / "out"
    with going(folder, of) as bench:
        bench.ends(key("t1"), PASS)
        errors(bench, "t2", "t3")
        bench.stop()
    assert [episode["status"] for episode in read(folder, "episodes.json")] == ["error"]
    with going(folder, of) as bench:
        bench.ends(key("t2"), PASS)
        assert lines(folder)[0]["status"] == "error", "one is still to be tried again"
        bench.ends(key("t3"), PASS)
        bench.stop()
    (told,) = read(folder, "episodes.json")
    assert (told["status"], told["summary"]["passed"]) == ("success", 3)
    assert lines(folder) == [told]


def test_a_regraded_episode_takes_the_place_of_its_line_and_leaves_others_alone(tmp_path: Path) -> None:
    of, folder = plan(["t1"]), tmp_path / "out"
    (tmp_path / "episodes.jsonl").write_text('{"id": "of another tool"}\n')
    with going(folder, of) as bench:
        bench.ends(key("t1"), FAIL)
        bench.add(Regraded(at=1.0, key=key("t1"), result=PASS))
    other, mended = lines(folder)
    assert other == {"id": "of another tool"} and mended["status"] == "success"


def test_a_delta_is_true_when_the_iteration_before_ends_later(tmp_path: Path) -> None:
    of, folder = plan(["t1", "t2"], iterations=2), tmp_path / "out"
    with going(folder, of) as bench:
        bench.ends(key("t1"), FAIL)
        bench.ends(key("t1", iteration=2), PASS)
        bench.ends(key("t2", iteration=2), PASS)
        bench.ends(key("t2"), FAIL)
    assert read(folder, "iterations/002/delta.json")["fixed"] == ["t1", "t2"]


def test_a_delta_follows_what_is_graded_once_more(tmp_path: Path) -> None:
    of, folder = plan(["t1"], iterations=2), tmp_path / "out"
    with going(folder, of) as bench:
        bench.ends(key("t1"), FAIL)
        bench.ends(key("t1", iteration=2), PASS)
        bench.add(Regraded(at=1.0, key=key("t1"), result=PASS))
        bench.stop(BenchStop.DONE)
    delta = read(folder, "iterations/002/delta.json")
    assert (delta["fixed"], delta["unchanged"]) == ([], ["t1"])
