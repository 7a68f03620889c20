"""Which format a path has, what every format must hold to, and suites in JSON."""

import json
import os
from pathlib import Path

import pytest

from autoloop.core.suite.tasks import SuiteTask
from autoloop.errors import AutoloopError
from autoloop.suites.sources.registry import load_suite
from tests.suites.written import exercise, harbor, json_suite, json_task, written


def refusal(path: Path) -> str:
    with pytest.raises(AutoloopError) as caught:
        load_suite(path)
    return str(caught.value)


def only(path: Path) -> SuiteTask:
    (task,) = load_suite(path).tasks
    return task


def test_each_format_is_recognised(tmp_path: Path) -> None:
    harbor(tmp_path / "dataset" / "one")
    exercise(tmp_path / "track" / "exercises" / "practice" / "two-fer")
    json_suite(tmp_path / "json", json_task())
    found = {
        path: [task.id for task in load_suite(tmp_path / path).tasks]
        for path in ("dataset", "dataset/one", "track", "track/exercises/practice", "json/mine.json")
    }
    assert found == {
        "dataset": ["one"], "dataset/one": ["one"], "track": ["two-fer"],
        "track/exercises/practice": ["two-fer"], "json/mine.json": ["t1"],
    }  # fmt: skip


def test_what_no_format_claims_is_one_error_that_says_what_was_looked_for(tmp_path: Path) -> None:
    said = refusal(written(tmp_path / "d", {"README.md": "nothing"}))
    for word in ("d is no suite", "JSON file", "task.toml", "exercises/practice"):
        assert word in said
    assert "there is no suite at" in refusal(tmp_path / "gone")
    assert "task.yaml" in refusal(written(tmp_path / "old", {"task/task.yaml": ""}))


def test_a_class_of_the_users_own_is_a_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    code = (
        "from autoloop.ports import Suite\nfrom autoloop.suites.sources.assemble import make_task\n"
        "class Mine:\n    def load(self, path):\n        verification = {'reward': 'exit_code', 'command': 'true'}\n"
        "        step = {'instruction': 'x', 'verification': verification}\n"
        "        return Suite(path.name, '1', path, (make_task('mine', id='a', steps=(step,)),))\n"
        "class Wrong:\n    def load(self, path):\n        return None\n"
    )
    written(tmp_path, {"my_tasks_of_tests.py": code})
    assert load_suite(Path(f"my_tasks_of_tests:Mine@{tmp_path}")).name == tmp_path.name
    assert "returned no autoloop.ports.Suite" in refusal(Path("my_tasks_of_tests:Wrong"))
    assert "cannot be imported" in refusal(Path("my_tasks_of_tests:Gone"))
    assert "cannot be imported" in refusal(Path("no_such_module_at_all:Gone"))


def test_a_json_task_is_read_whole(tmp_path: Path) -> None:
    suite = load_suite(json_suite(tmp_path, json_task(
        name="Hello", category="files", difficulty="easy", setup=["mkdir d"], timeout_seconds=12, max_turns=7,
        solution=["echo a", "touch hello.txt"],
    )))  # fmt: skip
    (task,) = suite.tasks
    assert (suite.name, suite.version, suite.root) == ("mine", "3", tmp_path)
    assert (task.name, task.group, task.difficulty, task.setup) == ("Hello", "files", "easy", ("mkdir d",))
    assert (task.timeout, task.max_turns, task.needs_paths) == (12.0, 7, False)
    (step,) = task.steps
    assert (step.instruction, step.verification.command) == ("Make hello.txt.", "test -f hello.txt")
    assert (step.verification.reward, step.verification.timeout) == ("exit_code", 600.0)
    assert task.solution is not None and len(task.solution.commands) == 1


def test_levels_bring_their_repetitions_and_a_task_may_have_its_own(tmp_path: Path) -> None:
    levels = {"L1": {"repetitions": 10}, "L3": {"repetitions": 3}}
    tasks = [json_task("a", level="L1"), json_task("b", level="L3", repetitions=5), json_task("c")]
    suite = load_suite(json_suite(tmp_path, *tasks, levels=levels))
    assert [(task.group, task.repetitions) for task in suite.tasks] == [("L1", 10), ("L3", 5), ("", None)]
    assert 'tasks[0].level is "L2"' in refusal(json_suite(tmp_path, json_task(level="L2"), levels=levels))


@pytest.mark.parametrize("kind", ["expectations", "outputs"])
def test_an_open_task_counts_what_was_expected(tmp_path: Path, kind: str) -> None:
    expected = [{"path": "*.md", "contains": "hello"}, {"path": "src/**/*.py", "matches": "def .*:"}]
    verification = only(json_suite(tmp_path, json_task(verification={"type": kind, "expected": expected}))).steps[0]
    assert verification.verification.reward == "expectations"
    assert [one.path for one in verification.verification.expectations] == ["*.md", "src/**/*.py"]


BAD = {
    "tasks[0].timeout_seconds": json_task(timeout_seconds="60"),
    "tasks[0].timeout_seconds is 0": json_task(timeout_seconds=0),
    "tasks[0].max_turns is 2.5": json_task(max_turns=2.5),
    "tasks[0].repetitions is 0": json_task(repetitions=0),
    '"timeout_secs"': json_task(timeout_secs=60),
    "tasks[0].description is missing": {key: value for key, value in json_task().items() if key != "description"},
    "tasks[0].id is 3": json_task(3),  # type: ignore[arg-type]
    "tasks[0].setup": json_task(setup="mkdir d"),
    "tasks[0].verification.type": json_task(verification={"type": "substring", "command": "x"}),
    'needs "command"': json_task(verification={"type": "command", "command": " "}),
    'needs "expected"': json_task(verification={"type": "outputs"}),
    "is no regular expression": json_task(
        verification={"type": "outputs", "expected": [{"path": "a", "matches": "("}]}
    ),
    "is no glob below the workspace": json_task(verification={"type": "outputs", "expected": [{"path": "../a"}]}),
    "is no name for a directory": json_task("a/b"),
    "the id \".x\" is no name": json_task(".x"),
    "is the name of a file of results": json_task("results.json"),
    'there is no "grader.py"': json_task(files=[{"source": "grader.py", "target": "g.py"}]),
    "leads out of the suite": json_task(files=[{"source": "../grader.py", "target": "g.py"}]),
}  # fmt: skip


@pytest.mark.parametrize("said", BAD)
def test_what_does_not_fit_is_refused_with_file_and_field(tmp_path: Path, said: str) -> None:
    message = refusal(json_suite(tmp_path, BAD[said])).replace("'", '"')
    assert said in message and "mine.json" in message


def test_duplicates_and_empty_suites_are_refused(tmp_path: Path) -> None:
    said = refusal(json_suite(tmp_path, json_task("a"), json_task("b"), json_task("a")))
    assert '"a" stands twice, in tasks 1 and 3' in said
    assert "the suite has no tasks" in refusal(json_suite(tmp_path))
    assert "holds [1]" in refusal(written(tmp_path, {"list.json": "[1]"}) / "list.json")
    assert "line 1" in refusal(written(tmp_path, {"torn.json": "{"}) / "torn.json")


def test_a_grader_among_the_files_that_the_agent_finds_is_refused(tmp_path: Path) -> None:
    written(tmp_path, {"data/in.txt": "1", "data/grade.py": "x"})
    judging = {"type": "command", "command": "python3 g.py", "files": [{"source": "data/grade.py", "target": "g.py"}]}
    shown = json_task(files=[{"source": "data", "target": "data"}], verification=judging)
    assert 'task "t1" shows the agent data/grade.py' in refusal(json_suite(tmp_path, shown))
    hidden = json_task(files=[{"source": "data/in.txt", "target": "in.txt"}], verification=judging)
    assert only(json_suite(tmp_path, hidden)).steps[0].verification.files[0].source == "data/grade.py"


def test_a_digest_follows_what_a_task_consists_of(tmp_path: Path) -> None:
    task = json_task(files=[{"source": "in.txt", "target": "in.txt"}])
    written(tmp_path, {"in.txt": "1"})
    first = only(json_suite(tmp_path, task)).digest
    assert only(json_suite(tmp_path, task, version="4")).digest == first
    written(tmp_path, {"in.txt": "2"})
    assert only(json_suite(tmp_path, task)).digest != first
    assert only(json_suite(tmp_path, {**task, "max_turns": 3})).digest != first


def test_a_suite_without_a_version_has_a_digest_of_its_tasks(tmp_path: Path) -> None:
    harbor(tmp_path / "d" / "one")
    first = load_suite(tmp_path / "d").version
    assert first == load_suite(tmp_path / "d").version
    written(tmp_path / "d" / "one", {"tests/__pycache__/x.pyc": "left by a tool", ".git/HEAD": "ref"})
    assert load_suite(tmp_path / "d").version == first
    (tmp_path / "d" / "one" / "tests" / "test.sh").chmod(0o755)
    executable = load_suite(tmp_path / "d").version
    harbor(tmp_path / "d" / "two")
    assert len({first, executable, load_suite(tmp_path / "d").version}) == 3


def test_links_that_leave_the_suite_and_files_that_never_end_are_refused(tmp_path: Path) -> None:
    harbor(tmp_path / "d" / "one", environment__data="x")
    (tmp_path / "d" / "one" / "environment" / "inner").symlink_to("data")
    assert load_suite(tmp_path / "d").tasks
    (tmp_path / "d" / "one" / "environment" / "outer").symlink_to("/etc/passwd")
    assert "one/environment/outer is a link that leads out of the suite, to /etc/passwd" in refusal(tmp_path / "d")
    (tmp_path / "d" / "one" / "environment" / "outer").unlink()
    os.mkfifo(tmp_path / "d" / "one" / "tests" / "pipe")
    assert "pipe is neither a file" in refusal(tmp_path / "d")


def test_a_directory_may_have_its_suite_as_suite_json(tmp_path: Path) -> None:
    written(tmp_path, {"suite.json": json.dumps({"name": "n", "tasks": [json_task()]})})
    suite = load_suite(tmp_path)
    assert suite.name == "n" and len(suite.version) == 16
