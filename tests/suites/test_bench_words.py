"""What people type after `bench`, as they type it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autoloop.cli.app import app
from autoloop.core.suite.plan import BenchConfig
from autoloop.errors import AutoloopError
from tests.real_git import write
from tests.suites.written import harbor

TASK = {"description": "d", "verification": {"type": "command", "command": "false"}}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite of two tasks, and a bench of it that is done."""
    root = tmp_path_factory.mktemp("words")
    tasks = [{"id": "one", "category": "a", **TASK}, {"id": "two", "category": "b", **TASK}]
    write(root, {"suite.json": json.dumps({"name": "s", "version": "1", "tasks": tasks})})
    said = bench(root, "-s", "suite.json", "-o", "done", "-m", "nop", "-i", "2", "-t", "one", "--timeout", "7.5",
                 "--max-turns", "9", "--ollama-endpoint", "http://h:1", "--claude-validation-rate", "0")  # fmt: skip
    assert "nop: pass rate 0.0 %" in said
    return root


def bench(root: Path, *words: str) -> str:
    done = CliRunner().invoke(
        app, ["-C", str(root), "bench", *words, "--min-free-gb", "0"], env={"HOME": str(root), "OLLAMA_ENDPOINT": None}
    )
    if isinstance(done.exception, AutoloopError):
        raise done.exception
    assert done.exit_code in (0, 2), done.output
    return done.output


def test_the_words_of_other_runners_mean_what_they_meant(place: Path) -> None:
    config = json.loads((place / "done/config.json").read_text())
    assert (config["iterations"], config["tasks"], config["timeout"], config["max_turns"]) == (2, ["one"], 7.5, 9)
    assert [arm["profile"] for arm in config["arms"]] == ["nop"]
    assert (place / "done/iterations/002/one/workspace").is_dir()
    assert "2 of 2 trials have a result" in bench(place, "--resume", "done/state.json")


def test_what_is_left_out_is_as_they_had_it() -> None:
    config = BenchConfig(bench_id="b", suite="s", arms=({"name": "a", "profile": "a"},))  # type: ignore[arg-type]
    assert (config.iterations, config.timeout, config.max_turns, config.min_free_gb) == (10, 3600, 300, 5)


def test_the_tasks_that_are_listed_are_those_that_would_be_tried(place: Path) -> None:
    assert bench(place, "suite.json", "--list", "-t", "two").startswith("two  b")
    assert "1 task in s" in bench(place, "suite.json", "--list", "--group", "a")
    with pytest.raises(AutoloopError, match="s has no task 'tow'; did you mean"):
        bench(place, "suite.json", "--list", "-t", "tow")


def test_a_list_says_what_nothing_enforces(place: Path) -> None:
    bounds = 'schema_version = "1.1"\n[environment]\ncpus = 1\nmemory = "2G"\nstorage_mb = 1024.5\n'
    harbor(place / "tasks/one", bounds)
    harbor(place / "tasks/two")
    assert "1 task bounds what it uses of cores, memory or storage: a container enforces the first two" in bench(
        place, "tasks", "--list"
    )
    assert "nothing enforces" not in bench(place, "tasks", "--list", "-t", "two")
    found = json.loads(bench(place, "tasks", "--list", "--json"))
    assert [task["bounds"] for task in found] == [["cpus = 1", "storage_mb = 1024.5", 'memory = "2G"'], []]


@pytest.mark.parametrize("flag", ["--tasks", "--group", "--arms"])
def test_a_list_without_a_name_is_not_all_of_them(place: Path, flag: str) -> None:
    assert "a list of names" in bench(place, "suite.json", flag, ",")


def test_two_suites_are_one_too_many(place: Path) -> None:
    assert "two suites are named" in bench(place, "suite.json", "-s", "suite.json")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--list"], "--list is for a suite"),
        (["--check"], "--check is for a suite"),
        (["--failing-first", "done"], "so failing_first cannot be given"),
        (["--claude-validation-rate", "0.5"], "so the arms cannot be given"),
        (["-i", "3", "--seed", "0"], "so iterations, seed cannot be given"),
        (["suite.json"], "so the suite cannot be given"),
    ],
)
def test_what_a_resume_would_pass_over_is_refused(place: Path, words: list[str], said: str) -> None:
    with pytest.raises(AutoloopError, match=said):
        bench(place, "--resume", "done", *words)
