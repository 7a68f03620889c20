"""A public set of exercises with reference solutions, fetched and rebuilt, and benches of it that are killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from autoloop.core.evidence.trials import wilson
from autoloop.core.suite.events import TrialEnded
from autoloop.core.suite.state import replay
from autoloop.core.suite.tasks import TrialKey
from autoloop.suites.record import read_bench

pytestmark = pytest.mark.suites

BUILD = Path(__file__).parents[2] / "docs/examples/exercises/build.py"
KILLS = 20
SOLVES = """
name=$(head -1 "$AUTOLOOP_PACKET" | cut -c3-)
test -f "$KNOWN/$name.py" && cp "$KNOWN/$name.py" "$name.py"
exit 0
"""


@pytest.fixture(scope="module")
def exercises(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All 164 tasks, made of what PyPI has."""
    place = tmp_path_factory.mktemp("fetched") / "exercises"
    subprocess.run([sys.executable, BUILD, place], check=True, capture_output=True, timeout=300)
    return place


@pytest.fixture
def project(tmp_path: Path, exercises: Path) -> Path:
    """A directory with an agent that knows the solution of every third task."""
    root = tmp_path / "project"
    (root / "known").mkdir(parents=True)
    (root / "agent.sh").write_text(SOLVES.replace("$KNOWN", str(root / "known")))
    for folder in sorted(exercises.iterdir())[::3]:
        solution = next((folder / "solution").glob("*.py"))
        (root / "known" / solution.name).write_text(solution.read_text())
    profile = f'agent = "command"\ncommand = "sh {root}/agent.sh"\nreads = ["agent.sh", "known"]\n'
    (root / "autoloop.toml").write_text(f'sandbox = "auto"\n[profiles.third]\n{profile}')
    return root


def autoloop(root: Path, *words: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "autoloop", "bench", *map(str, words)]
    env = {name: value for name, value in os.environ.items() if name != "AUTOLOOP_SANDBOX"}
    return subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=check, timeout=600)


def results_of(output: Path) -> dict[TrialKey, tuple[str, float | None]]:
    state = replay(read_bench(output / "journal.jsonl"))
    return {key: (result.outcome.value, result.reward) for key, result in state.results.items()}


def test_solutions_pass_every_task_and_doing_nothing_passes_none(project: Path, exercises: Path) -> None:
    done = autoloop(project, exercises, "--check", "-o", "checked", "--json", "--workers", 2)
    assert json.loads(done.stdout) == {"wrong": [], "unsupported": [], "trials": 2 * 164}


def test_a_known_subset_gives_exactly_its_rate_and_the_right_interval(project: Path, exercises: Path) -> None:
    done = autoloop(project, exercises, "-m", "third", "-i", 1, "-o", "out", "--json", "--workers", 2)
    line: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    known = {path.read_text() for path in (project / "known").iterdir()}
    right = {
        folder.name
        for folder in exercises.iterdir()
        if any(solution.read_text() in known for solution in (folder / "solution").glob("*.py"))
    }
    assert {task for task, reward in line["cases"].items() if reward == 1} == right
    assert (line["passed"], line["failed"], line["pass_rate"]) == (len(right), 164 - len(right), len(right) / 164)
    summary = json.loads((project / "out/summary.json").read_text())
    low, high = wilson(len(right), 164)
    assert summary["arms"][0]["rate"] == {"passed": len(right), "of": 164, "low": low, "high": high}


def test_killed_twenty_times_it_ends_with_the_same_results(project: Path, exercises: Path) -> None:
    chance, names = random.Random(4), ",".join(sorted(path.name for path in exercises.iterdir())[:60])
    how = ("-m", "third", "-i", "1", "-t", names, "--seed", "1", "--workers", "2")
    autoloop(project, exercises, *how, "-o", "undisturbed")
    words: tuple[object, ...] = (exercises, *how, "-o", "killed")
    kills = 0
    env = {name: value for name, value in os.environ.items() if name != "AUTOLOOP_SANDBOX"}
    while kills < KILLS:
        process = subprocess.Popen(
            [sys.executable, "-m", "autoloop", "bench", *map(str, words)],
            cwd=project, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(chance.uniform(0.4, 1.6))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
        begun = (project / "killed/journal.jsonl").exists()
        words = ("--resume", "killed") if begun else words
        if begun and not list(replay(read_bench(project / "killed/journal.jsonl")).outstanding()):
            break
    autoloop(project, *words)
    assert results_of(project / "killed") == results_of(project / "undisturbed")
    ended = [event.key for event in read_bench(project / "killed/journal.jsonl") if isinstance(event, TrialEnded)]
    assert len(ended) == len(set(ended)) == 60, "no trial is lost or counted twice"
    episodes = [json.loads(line)["id"] for line in (project / "episodes.jsonl").read_text().splitlines()]
    assert len(episodes) == len(set(episodes)) == 2
    marks = subprocess.run(
        ["pgrep", "-f", f"autoloop.suites.worker {project}"], capture_output=True, text=True
    ).stdout.split()
    assert not marks, "no worker is left"
    print(f"\nkilled {kills} times")
