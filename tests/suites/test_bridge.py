"""A prompt tuned by the loop against a suite: the shipped example, with a solver whose habits are known."""

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from string import Template
from typing import Any

import pytest

from tests.real_git import commit_all, git

EXAMPLE = Path(__file__).parents[2] / "programs/prompt-tuning"


def laid_out(directory: Path) -> Path:
    """The example as a repository of its own, with a solver that never slips."""
    shutil.copytree(EXAMPLE / "project", directory)
    shutil.copytree(EXAMPLE, directory / "programs/prompt-tuning", ignore=shutil.ignore_patterns("project"))
    settings = directory / "autoloop.toml"
    settings.write_text(settings.read_text().replace("--chance 0.04", "--chance 0"))
    git(directory, "init", "--quiet")
    commit_all(directory)
    return directory


def autoloop(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin", "HOME": str(root / ".home"),
               "AUTOLOOP_CACHE_DIR": str(root.with_name("cache"))}  # fmt: skip
    command = [sys.executable, "-m", "autoloop", "-C", str(root), *words]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


def test_each_edit_of_the_example_fits_the_prompt_that_those_kept_before_it_leave() -> None:
    prompt = (EXAMPLE / "project/prompt.md").read_text()
    steps = tomllib.loads((EXAMPLE / "edits.toml").read_text())["steps"]
    for step in steps:
        edited = prompt
        for action in step["actions"]:
            assert action["old"] in edited, step["hypothesis"]
            edited = edited.replace(action["old"], action["new"])
        assert Template(edited).get_identifiers() == ["instruction"]
        if step["hypothesis"].startswith("say that"):
            prompt = edited


def test_the_solver_never_has_the_suite_among_what_it_may_read() -> None:
    solver = tomllib.loads((EXAMPLE / "project/autoloop.toml").read_text())["profiles"]["solver"]
    assert solver["reads"] == ["programs/prompt-tuning/model.py"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first three experiments: nothing, a habit mended, harm done."""
    root = laid_out(tmp_path_factory.mktemp("bridge") / "shop")
    done = autoloop(root, "run", "prompt-tuning", "--max-experiments", "3", "--seed", "1", "--json")
    assert done.returncode == 0, done.stderr
    return root


@pytest.mark.suites
def test_the_suite_of_the_example_is_sound(tmp_path: Path) -> None:
    root = laid_out(tmp_path / "shop")
    done = autoloop(root, "bench", "programs/prompt-tuning/suite", "--check", "--json", "--min-free-gb", "0.1")
    assert json.loads(done.stdout) == {"wrong": [], "unsupported": [], "trials": 36}, done.stderr


def rows(root: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(autoloop(root, "results", "--json").stdout)
    return found


def shown(root: Path, number: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(autoloop(root, "show", str(number), "--json").stdout)
    return found


@pytest.mark.suites
def test_a_good_edit_is_kept_and_neither_one_that_does_nothing_nor_one_that_does_harm(run: Path) -> None:
    baseline, nothing, good, harm = rows(run)
    assert [row["status"] for row in (baseline, nothing, good, harm)] == ["baseline", "discard", "keep", "discard"]
    assert (nothing["reason"], good["reason"], harm["reason"]) == ("within_noise", "improved", "regressed")
    assert (baseline["metric"], good["metric"]) == (pytest.approx(5 / 18), pytest.approx(8 / 18))
    assert "fixed first-product, largest-order, stock-of-lamp" in shown(run, 2)["why"]


@pytest.mark.suites
def test_no_trial_of_the_screen_is_taken_again_by_the_measurement(run: Path) -> None:
    samples = shown(run, 2)["samples_taken"]
    screens = [one["metrics"] for one in samples if one["script"] == "screen.sh" and one["arm"] == "candidate"]
    whole = [one["metrics"] for one in samples if one["script"] == "measure.sh" and one["arm"] == "candidate"]
    assert [one["model_calls"] for one in screens] == [6] * len(screens)
    assert [one["reused"] for one in whole[: len(screens)]] == [6] * len(screens)
    assert shown(run, 2)["model_calls"] == sum(one["metrics"]["model_calls"] for one in samples)


@pytest.mark.suites
def test_what_the_baseline_did_in_the_calibration_is_not_asked_again(run: Path) -> None:
    for number in (1, 2, 3):
        of_screens = [one for one in shown(run, number)["samples_taken"] if one["script"] == "screen.sh"]
        baseline = [one["metrics"]["model_calls"] for one in of_screens if one["arm"] == "baseline"]
        assert baseline and not any(baseline)


@pytest.mark.suites
def test_the_screen_begins_with_what_fails(run: Path) -> None:
    screens = [one for one in shown(run, 1)["samples_taken"] if one["script"] == "screen.sh"]
    assert {one["metrics"]["pass_rate"] for one in screens} == {0.0}
