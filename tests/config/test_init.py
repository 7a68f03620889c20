"""`init` writes a program that fits the repository, loads, and measures."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from autoloop.config.init import write_scaffold
from autoloop.config.programs import load_program
from autoloop.config.prompts import prompt, shipped
from autoloop.core.run.measurement import Sample, parse_output
from autoloop.errors import AutoloopError


def put(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


PYTHON = {
    "pyproject.toml": '[project]\nname = "My-Thing"\n',
    "src/my_thing/__init__.py": "X = 1\n",
    "src/aaa/__init__.py": "",
}
REPOSITORIES: dict[str, dict[str, str]] = {
    "python src": PYTHON,
    "python flat": {"setup.py": "", "tests/__init__.py": "", "thing/__init__.py": "", "tests/test_a.py": ""},
    "python module": {"pyproject.toml": "[project]\nname = 'one'\n", "setup.py": "", "one.py": "", "conftest.py": ""},
    "npm": {"package.json": '{"scripts": {"test": "x", "bench": "node b.js"}}', "package-lock.json": "{}"},
    "npm without scripts": {"package.json": "{}", "yarn.lock": ""},
    "cargo program": {"Cargo.toml": '[package]\nname = "fast"\n', "src/main.rs": ""},
    "cargo library": {"Cargo.toml": "[workspace]\n", "benches/a.rs": ""},
    "go": {"go.mod": "module x\n", "a_test.go": "func BenchmarkA(b *testing.B) {}"},
    "cmake": {"CMakeLists.txt": "project(x)\nadd_executable(tool a.c)\n", "a.c": ""},
    "cmake with a build folder": {"CMakeLists.txt": "enable_testing()\n", "build/rules.cmake": ""},
    "make": {"Makefile": "all:\n\ttrue\nbench: all\n\ttrue\n"},
    "damaged": {"pyproject.toml": "[", "package.json": "[", "Cargo.toml": "="},
    "nothing": {"README.md": "hello"},
}


@pytest.mark.parametrize("files", REPOSITORIES.values(), ids=list(REPOSITORIES))
def test_what_is_written_loads_and_every_script_is_sound_bash(tmp_path: Path, files: dict[str, str]) -> None:
    made = write_scaffold(put(tmp_path, files))
    program = load_program(tmp_path, made.directory)
    assert program.slug == made.slug
    assert program.text.startswith(f"# {made.slug}")
    assert set(made.written) == {f"programs/{made.slug}/{path.name}" for path in made.directory.iterdir()}
    assert f"autoloop validate {made.slug}" in made.notes[-1]
    for script in made.directory.glob("*.sh"):
        assert "@" not in script.read_text().replace('"${COMMAND[@]}"', "")
        subprocess.run(["bash", "-n", script], check=True)


def test_a_python_repository_measures_its_own_package_at_once(tmp_path: Path) -> None:
    made = write_scaffold(put(tmp_path, PYTHON))
    program = load_program(tmp_path, made.directory)
    done = subprocess.run(
        ["bash", made.directory / "measure.sh"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.count("\n") == 1
    assert isinstance(parse_output(done.stdout, program.criteria), Sample)
    assert program.criteria.metric_field == "import_ms"
    assert program.scope.editable == ("src/my_thing/**",)


def test_a_broken_package_gives_no_number(tmp_path: Path) -> None:
    made = write_scaffold(put(tmp_path, PYTHON | {"src/my_thing/__init__.py": "raise SystemExit(3)"}))
    done = subprocess.run(["bash", made.directory / "measure.sh"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert done.stdout == ""
    assert "ended with 3" in done.stderr


def test_what_is_measured_cannot_print_the_number_nor_replace_the_clock(tmp_path: Path) -> None:
    forged = "import atexit\nprint('{\"import_ms\": 0.001}')\natexit.register(print, 'METRIC import_ms=0.001')\n"
    stolen = "print('METRIC import_ms=0.001')\nraise SystemExit"
    planted = dict.fromkeys(("json.py", "src/json.py", "sitecustomize.py"), stolen)
    made = write_scaffold(put(tmp_path, PYTHON | {"src/my_thing/__init__.py": forged} | planted))
    done = subprocess.run(
        ["bash", made.directory / "measure.sh"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["import_ms"] > 1


def test_the_users_environment_is_shared_and_the_tree_comes_before_it(tmp_path: Path) -> None:
    put(tmp_path, PYTHON | {".venv/bin/python": "", "tests/test_a.py": "def test_a(): pass"})
    (tmp_path / ".venv/lib/python3.11/site-packages/pytest").mkdir(parents=True)
    made = write_scaffold(tmp_path)
    program = load_program(tmp_path, made.directory)
    assert program.scope.share_paths == (".venv",)
    assert program.has("checks.sh")
    assert program.scope.is_protected("tests/test_a.py")
    assert 'export PYTHONPATH="$PWD/src"' in (made.directory / "measure.sh").read_text()


def test_tests_without_pytest_guard_nothing_and_that_is_said(tmp_path: Path) -> None:
    made = write_scaffold(put(tmp_path, PYTHON | {".venv/bin/python": "", "tests/test_a.py": "def test_a(): pass"}))
    assert not (made.directory / "checks.sh").exists()
    assert any("pytest is not installed" in note for note in made.notes)


def test_an_npm_repository_keeps_node_modules_and_installs_them_once(tmp_path: Path) -> None:
    made = write_scaffold(put(tmp_path, REPOSITORIES["npm"]))
    program = load_program(tmp_path, made.directory)
    assert program.scope.cache_paths == ("node_modules",)
    assert "npm ci" in (made.directory / "prepare.sh").read_text()
    assert "npm run --silent bench" in (made.directory / "measure.sh").read_text()


def test_a_compiled_repository_is_built_apart_from_its_measurement(tmp_path: Path) -> None:
    for name, cache, build in (
        ("cargo program", "target", "cargo build --release"),
        ("cmake", "build", "cmake --build build"),
        ("cmake with a build folder", "build-autoloop", "cmake --build build-autoloop"),
    ):
        root = put(tmp_path / name, REPOSITORIES[name])
        made = write_scaffold(root)
        assert load_program(root, made.directory).scope.cache_paths == (cache,)
        assert build in (made.directory / "build.sh").read_text()


def test_a_repository_that_nobody_can_read_gets_a_script_that_says_what_to_fill_in(tmp_path: Path) -> None:
    made = write_scaffold(tmp_path, "mine")
    assert any("put your command into COMMAND" in note for note in made.notes)
    done = subprocess.run(["bash", made.directory / "measure.sh"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert "put your command into COMMAND" in done.stderr


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    put(tmp_path, PYTHON | {"programs/mine/program.md": "my words"})
    made = write_scaffold(tmp_path, "mine")
    assert (made.directory / "program.md").read_text() == "my words"
    assert "programs/mine/program.md" not in made.written
    with pytest.raises(AutoloopError, match=r"programs/mine exists already, with config\.toml"):
        write_scaffold(tmp_path, "mine")
    with pytest.raises(AutoloopError, match="cannot name a program"):
        write_scaffold(tmp_path, "../x")


def test_the_example_of_a_measure_script_runs_as_it_is(tmp_path: Path) -> None:
    example = shipped("measure.sh.example")
    env = os.environ | {"AUTOLOOP_DIAGNOSTICS": str(tmp_path / "said"), "AUTOLOOP_SAMPLE_DIR": str(tmp_path)}
    done = subprocess.run(["bash", example], cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)) == {"latency_ms", "peak_kb"}
    assert "milliseconds" in (tmp_path / "said").read_text()


def test_a_prompt_is_known_by_its_digest_wherever_it_lies(tmp_path: Path) -> None:
    ours = prompt("experiment")
    assert "$goal" in ours.text
    (tmp_path / "mine.md").write_text(ours.text)
    assert prompt("mine.md", tmp_path) == ours
    assert prompt(str(tmp_path / "mine.md")) == ours
    with pytest.raises(AutoloopError, match="nothing") as caught:
        prompt("nothing")
    assert "experiment" in caught.value.hint
