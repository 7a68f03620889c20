"""Exercises of exercism: the parts of each, and that their tests judge."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autoloop.core.suite.tasks import Placed, SuiteTask
from autoloop.errors import AutoloopError
from autoloop.ports import Suite
from autoloop.suites.sources.exercism import ExercismExercises
from autoloop.suites.sources.registry import load_suite
from tests.suites.written import exercise, written

FILES = {"solution": ["two_fer.py"], "test": ["two_fer_test.py"], "example": [".meta/example.py"]}


def place(suite: Suite, files: tuple[Placed, ...], workspace: Path) -> None:
    for placed in files:
        source, target = suite.root / placed.source, workspace / placed.target
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)


def passes(suite: Suite, task: SuiteTask, workspace: Path, *, solved: bool, path: str = "") -> bool:
    """Whether the tests pass, with or without the reference solution, in a fresh workspace."""
    workspace.mkdir()
    place(suite, task.files, workspace)
    assert not list(workspace.rglob("*test*")), "the agent sees a test"
    if solved:
        solve(suite, task, workspace)
    return judged(suite, task, workspace, path)


def solve(suite: Suite, task: SuiteTask, workspace: Path) -> None:
    """As an oracle does: place the solution, run its command, take away what was placed."""
    assert task.solution is not None
    place(suite, task.solution.files, workspace)
    subprocess.run(["bash", "-c", *task.solution.commands], cwd=workspace, check=True)
    for placed in task.solution.files:
        (workspace / placed.target).unlink()


def judged(suite: Suite, task: SuiteTask, workspace: Path, path: str = "") -> bool:
    verification = task.steps[0].verification
    place(suite, verification.files, workspace)
    env = {"PATH": path or f"{Path(sys.executable).parent}:{os.environ['PATH']}", **verification.env}
    done = subprocess.run(["bash", "-c", verification.command], cwd=workspace, env=env, capture_output=True, text=True)
    print(done.stdout, done.stderr)
    return done.returncode == 0


@pytest.mark.parametrize("config", [None, {"files": FILES}, {"files": {"exemplar": [".meta/example.py"]}}])
def test_config_and_layout_name_the_same_parts(tmp_path: Path, config: dict[str, object] | None) -> None:
    exercise(tmp_path / "t" / "two-fer", config)
    (task,) = load_suite(tmp_path / "t").tasks
    assert [placed.target for placed in task.files] == ["two_fer.py", ".docs"]
    assert [placed.target for placed in task.steps[0].verification.files] == ["two_fer_test.py"]
    assert task.solution is not None
    (example,) = task.solution.files
    assert example.source == "two-fer/.meta/example.py" and example.target not in ("two_fer.py", "two_fer_test.py")
    assert task.instruction.startswith("# Instructions\n\nReturn 7.\n")
    assert "`two_fer.py`" in task.instruction and not task.unsupported


def test_the_example_passes_and_the_stub_does_not(tmp_path: Path) -> None:
    exercise(tmp_path / "t" / "two-fer")
    suite = load_suite(tmp_path / "t")
    (task,) = suite.tasks
    assert passes(suite, task, tmp_path / "oracle", solved=True)
    assert not passes(suite, task, tmp_path / "nop", solved=False)


def test_unittest_judges_where_there_is_no_pytest(tmp_path: Path) -> None:
    base = Path(sys.base_prefix) / "bin" / "python3"
    shim = written(tmp_path / "bin", {"python3": f'#!/bin/sh\nexec {base} -S -E -P "$@"\n'})
    (shim / "python3").chmod(0o755)
    exercise(tmp_path / "t" / "two-fer")
    suite = load_suite(tmp_path / "t")
    (task,) = suite.tasks
    path = f"{shim}:/usr/bin:/bin"
    assert passes(suite, task, tmp_path / "oracle", solved=True, path=path)
    assert not passes(suite, task, tmp_path / "nop", solved=False, path=path)


def test_what_an_agent_leaves_for_the_test_runner_does_not_judge(tmp_path: Path) -> None:
    exercise(tmp_path / "t" / "two-fer")
    suite = load_suite(tmp_path / "t")
    (task,) = suite.tasks
    workspace = written(tmp_path / "w", {
        "two_fer.py": "def f():\n    pass\n",
        "two_fer_test.py": "def test_nothing():\n    pass\n",
        "conftest.py": "def pytest_runtest_call(item):\n    item.obj = lambda: None\n",
        "pytest.py": "raise SystemExit(0)\n",
        "pytest.ini": "[pytest]\naddopts = --collect-only\n",
    })  # fmt: skip
    assert not judged(suite, task, workspace)


def test_a_track_names_its_suite_and_says_how_hard_an_exercise_is(tmp_path: Path) -> None:
    practice = [{"slug": "two-fer", "difficulty": 5}, {"slug": "leap", "difficulty": 1}]
    written(tmp_path, {"config.json": json.dumps({"slug": "python", "exercises": {"practice": practice}})})
    for slug in ("two-fer", "leap", "unlisted"):
        exercise(tmp_path / "exercises" / "practice" / slug)
    suite = load_suite(tmp_path)
    assert suite.name == "python"
    assert {task.id: task.group for task in suite.tasks} == {"leap": "easy", "two-fer": "medium", "unlisted": ""}


def test_introduction_and_appendix_belong_to_the_instruction(tmp_path: Path) -> None:
    texts = {".docs__introduction.md": "First.", ".docs__instructions.append.md": "Last."}
    (task,) = load_suite(exercise(tmp_path / "two-fer", **texts)).tasks
    assert task.instruction.startswith("First.\n\n# Instructions\n\nReturn 7.\n\nLast.\n\n")


def test_a_test_that_the_editor_shows_is_hidden_and_build_files_are_put_back(tmp_path: Path) -> None:
    files = {
        "solution": ["two_fer.go"], "test": ["two_fer_test.go"], "example": [".meta/example.go"],
        "editor": ["cases_test.go"],
    }  # fmt: skip
    written(tmp_path / "t" / "two-fer", {
        ".docs/instructions.md": "x", ".meta/config.json": json.dumps({"files": files}), ".meta/example.go": "e",
        "two_fer.go": "s", "two_fer_test.go": "t", "cases_test.go": "c", "go.mod": "m",
    })  # fmt: skip
    (task,) = ExercismExercises(has=lambda program: True).load(tmp_path / "t").tasks
    assert [placed.target for placed in task.files] == ["two_fer.go", "go.mod", ".docs"]
    judging = {placed.target: placed.again for placed in task.steps[0].verification.files}
    assert judging == {"two_fer_test.go": False, "cases_test.go": False, "go.mod": True}
    assert not task.unsupported
    (task,) = ExercismExercises(has=lambda program: False).load(tmp_path / "t").tasks
    assert task.unsupported == "its tests need go, which is not here"


def test_javascript_needs_jest_unless_its_tests_are_for_node(tmp_path: Path) -> None:
    files = {"solution": ["a.js"], "test": ["a.spec.js"]}
    parts = {".docs/instructions.md": "x", ".meta/config.json": json.dumps({"files": files}), "a.js": "s"}
    written(tmp_path / "t" / "jest", {**parts, "a.spec.js": "import { test } from '@jest/globals'"})
    written(tmp_path / "t" / "node", {**parts, "a.spec.js": "import test from 'node:test'"})
    tasks = ExercismExercises(has=lambda program: program == "node").load(tmp_path / "t").tasks
    assert [task.unsupported for task in tasks] == ["its tests need jest, which is not here", ""]


def test_an_unknown_language_is_unsupported_and_missing_parts_are_refused(tmp_path: Path) -> None:
    files = {"solution": ["a.zig"], "test": ["test_a.zig"]}
    written(tmp_path / "zig", {
        ".docs/instructions.md": "x", ".meta/config.json": json.dumps({"files": files}), "test_a.zig": "t",
    })  # fmt: skip
    (task,) = load_suite(tmp_path / "zig").tasks
    assert task.unsupported == "no way is known to run the tests of .zig files" and not task.solution
    for broken, said in (
        ({"files": {**FILES, "test": ["gone_test.py"]}}, 'there is no "gone_test.py"'),
        ({"files": {**FILES, "solution": "two_fer.py"}}, "files.solution"),
        ({"files": {**FILES, "example": ["../../other.py"]}}, "leads out of the suite"),
    ):
        with pytest.raises(AutoloopError, match=said):
            load_suite(exercise(tmp_path / "two-fer", broken))
