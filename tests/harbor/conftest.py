"""The authority: the format's own package, asked in a process of its own."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

INSTALLED = "AUTOLOOP_TEST_HARBOR"
"""The Python that has the package."""
PYTHON = os.environ.get(INSTALLED, "")
ANSWERS = Path(__file__).parent / "answers.py"


@dataclass(frozen=True)
class Authority:
    """What the package says."""

    python: str

    def says(self, of: str, questions: list[Any]) -> list[Any]:
        """Its answer to each question of a kind."""
        done = subprocess.run(
            [self.python, "-I", ANSWERS, of], input=json.dumps(questions), capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        answers: list[Any] = json.loads(done.stdout)
        assert len(answers) == len(questions)
        return answers

    def refuses(self, trajectory: Path) -> str:
        """What its validator has against a file; empty when it has nothing."""
        words = [self.python, "-I", "-m", "harbor.utils.trajectory_validator", trajectory]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        assert done.returncode or "is valid" in done.stdout
        return done.stderr if done.returncode else ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and not Path(PYTHON).is_file():
            item.add_marker(
                pytest.mark.skip(reason=f"the package harbor is not installed: `make test-harbor` ({INSTALLED})")
            )


@pytest.fixture(scope="session")
def authority() -> Authority:
    """The package."""
    return Authority(PYTHON)
