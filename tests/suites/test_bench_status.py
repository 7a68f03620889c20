"""`status` tells of benches: of those that go, else of the latest one, without reading their journals."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from autoloop import api
from autoloop.core.suite.events import BenchStop
from tests.real_run import Checkout
from tests.suites.benches import key, plan, result
from tests.suites.live import going

TWO = plan(["t1", "t2"], arms="ab")
PASS, FAIL = result("pass"), result("fail")


def some(root: Path, name: str, *, stop: BenchStop | None = BenchStop.DONE, trials: int = 4) -> Path:
    """A bench with some trials of two arms, of which the first passes all."""
    folder = root / "results" / name
    with going(folder, TWO) as bench:
        for task, arm in [("t1", "a"), ("t1", "b"), ("t2", "a"), ("t2", "b")][:trials]:
            bench.ends(key(task, arm=arm), PASS if arm == "a" else FAIL)
        bench.views._write_state(now=True)
        if stop is not None:
            bench.stop(stop)
    return folder


def status(root: Path, *words: str, expect: int = 0) -> str:
    command = [sys.executable, "-m", "autoloop", "-C", str(root), "status", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def facts(root: Path, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(status(root, *words, "--json"))
    return found


def test_the_latest_bench_is_told_where_there_is_no_run(tmp_path: Path) -> None:
    some(tmp_path, "first")
    folder = some(tmp_path, "second", stop=BenchStop.MAX_HOURS, trials=3)
    text = status(tmp_path)
    for said in ("bench s b", "3 of 4 trials", "a 100.0 %, b 0.0 %", f"autoloop bench --resume {folder}", "max_hours"):
        assert said in text
    assert text.count("bench s") == 1 and facts(tmp_path)["run_id"] is None
    (told,) = facts(tmp_path)["benches"]
    assert (told["path"], told["alive"], told["stop_reason"]) == (str(folder), False, "max_hours")
    assert [(arm["arm"], arm["done"], arm["planned"], arm["pass_rate"]) for arm in told["arms"]] == [
        ("a", 2, 2, 1.0), ("b", 1, 2, 0.0)
    ]  # fmt: skip


def test_benches_that_go_are_told_before_one_that_ended(tmp_path: Path) -> None:
    with going(tmp_path / "results/going", TWO):
        some(tmp_path, "ended")
        (told,) = facts(tmp_path)["benches"]
        assert (told["path"], told["alive"], told["done"]) == (str(tmp_path / "results/going"), True, 0)
        assert "state    alive" in status(tmp_path) and "a nothing yet" in status(tmp_path)


def test_a_bench_that_was_killed_is_said_to_be(tmp_path: Path) -> None:
    some(tmp_path, "killed", stop=None, trials=1)
    assert "it was killed; to go on: `autoloop bench --resume" in status(tmp_path)


def test_a_bench_is_named_by_its_directory(tmp_path: Path) -> None:
    folder = some(tmp_path, "first")
    some(tmp_path, "second")
    assert f"files    {folder}" in status(tmp_path, "results/first")
    assert "to go on" not in status(tmp_path, "results/first")
    assert "not in a git repository" in status(tmp_path, "results/third", expect=2)


def test_a_run_and_the_bench_beside_it_are_told_together(checkout: Checkout) -> None:
    checkout.run(limits={"max_experiments": 1})
    some(checkout.root, "latest")
    found = facts(checkout.root)
    assert found["program"] == "p" and [bench["suite"] for bench in found["benches"]] == ["s"]
    assert facts(checkout.root, "p")["benches"] == [], "who names a run asks for that"
    text = status(checkout.root)
    assert text.startswith("p ") and "\nbench s b\n" in text


def test_no_journal_is_read_and_no_model_loaded_for_it(tmp_path: Path) -> None:
    journal = some(tmp_path, "long") / "journal.jsonl"
    first, *_ = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(first + b"no event\n" * 9)
    call = "import sys; from autoloop.cli import main; sys.argv[1:] = ['status']; main(); print(*sys.modules)"
    seen = subprocess.run([sys.executable, "-c", call], cwd=tmp_path, capture_output=True, check=True)
    assert b"4 of 4 trials" in seen.stdout
    assert not {b"pydantic", b"rich", b"typer", b"numpy"} & set(seen.stdout.split())


@pytest.mark.parametrize("state", ["", "{", "[]", '{"arms": []}', '{"arms": [{}]}'])
def test_a_damaged_view_is_passed_over(tmp_path: Path, state: str) -> None:
    (some(tmp_path, "damaged") / "state.json").write_text(state)
    assert api.benches(tmp_path) == []
