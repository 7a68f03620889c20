"""Small suites, written by tests."""

import json
from pathlib import Path

TASK_TOML = 'version = "1.0"\n'


def written(root: Path, files: dict[str, str]) -> Path:
    """A directory with these files."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def harbor(root: Path, toml: str = TASK_TOML, *, dockerfile: str = "", **files: str) -> Path:
    """A task directory; names of further files have `__` for `/`."""
    parts = {"task.toml": toml, "instruction.md": "Say hello.\n", "tests/test.sh": "echo 1\n"}
    if dockerfile:
        parts["environment/Dockerfile"] = dockerfile
    return written(root, {**parts, **{name.replace("__", "/"): text for name, text in files.items()}})


def json_task(task_id: str = "t1", /, **fields: object) -> dict[str, object]:
    """A task of a JSON suite."""
    verification = {"type": "command", "command": "test -f hello.txt"}
    return {"id": task_id, "description": "Make hello.txt.", "verification": verification, **fields}


def json_suite(root: Path, *tasks: dict[str, object], **fields: object) -> Path:
    """A JSON suite in a file."""
    root.mkdir(parents=True, exist_ok=True)
    path = root / "mine.json"
    path.write_text(json.dumps({"name": "mine", "version": "3", "tasks": tasks, **fields}))
    return path


def exercise(root: Path, config: dict[str, object] | None = None, **files: str) -> Path:
    """A Python exercise in a directory of its name."""
    name = root.name.replace("-", "_")
    test = f"import unittest\nfrom {name} import f\n\n\nclass T(unittest.TestCase):\n    def test_f(self):\n"
    parts = {
        ".docs/instructions.md": "# Instructions\n\nReturn 7.\n",
        ".meta/example.py": "def f():\n    return 7\n",
        f"{name}.py": "def f():\n    pass\n",
        f"{name}_test.py": f"{test}        self.assertEqual(f(), 7)\n",
    }
    if config is not None:
        parts[".meta/config.json"] = json.dumps(config)
    return written(root, {**parts, **{name.replace("__", "/"): text for name, text in files.items()}})
