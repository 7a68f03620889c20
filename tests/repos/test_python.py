"""A Python package in a src layout, installed as editable in `.venv`, as most are."""

import sys
from pathlib import Path

import pytest

from autoloop.core.run.reasons import Reason
from tests.real_git import commit_all, git, write
from tests.repos.strange import Strange, fetch

pytestmark = pytest.mark.repos

PYPROJECT = """\
[build-system]
requires = ["setuptools>=64"]
build-backend = "setuptools.build_meta"

[project]
name = "gauge"
version = "1.0"
dependencies = ["iniconfig"]

[tool.setuptools.packages.find]
where = ["src"]
"""
BENCH = """\
import json
import iniconfig  # a dependency from the environment
from gauge import score
print(json.dumps({"score": score()}))
"""
BETTER = "echo 'def score(): return 20' > src/gauge/__init__.py\n"


@pytest.fixture
def package(tmp_path: Path) -> Strange:
    root = tmp_path / "gauge"
    write(
        root,
        {
            "pyproject.toml": PYPROJECT,
            ".gitignore": ".venv/\n__pycache__/\n*.egg-info/\n",
            "src/gauge/__init__.py": "def score(): return 10\n",
            "bench.py": BENCH,
        },
    )
    git(root, "init", "--quiet")
    commit_all(root)
    fetch([sys.executable, "-m", "venv", ".venv"], root, "venv")
    fetch([".venv/bin/python", "-m", "pip", "install", "--quiet", "--editable", "."], root, "the package index")
    return Strange(root)


def test_the_trees_own_source_first_is_the_right_setting(package: Strange) -> None:
    measure = "PYTHONPATH=src .venv/bin/python -B bench.py\n"
    package.program({"measure.sh": measure}, 'share_paths = [".venv"]\neditable = ["src/**"]\n')
    package.run(BETTER)
    assert package.decided(Reason.IMPROVED).metric == 20


def test_it_is_also_right_when_everything_may_be_edited(package: Strange) -> None:
    measure = "PYTHONPATH=src .venv/bin/python -B bench.py\n"
    package.program({"measure.sh": measure}, 'share_paths = [".venv"]\n')
    package.run(BETTER)
    assert package.decided(Reason.IMPROVED).metric == 20


def test_an_environment_of_each_trees_own_is_the_right_setting(package: Strange) -> None:
    prepare = f"""\
set -e
'{sys.executable}' -m venv .venv
.venv/bin/python -m pip install --quiet --editable .
"""
    package.program(
        {"measure.sh": ".venv/bin/python -B bench.py\n", "prepare.sh": prepare}, 'cache_paths = [".venv"]\n'
    )
    package.run(BETTER)
    assert package.decided(Reason.IMPROVED).metric == 20


@pytest.mark.parametrize("editable", ['["src/**"]', '["**"]'])
def test_the_editable_install_alone_is_refused_and_named(package: Strange, editable: str) -> None:
    config = f'share_paths = [".venv"]\neditable = {editable}\n'
    package.program({"measure.sh": ".venv/bin/python -B bench.py\n"}, config)
    said = package.refused()
    assert "__editable__.gauge" in said
    assert "PYTHONPATH=src" in said
    assert "prepare.sh" in said


def test_validate_names_what_a_tree_lacks(package: Strange) -> None:
    package.program({"measure.sh": "PYTHONPATH=src .venv/bin/python -B bench.py\n"})
    said = package.autoloop("validate", "p", accept=(2,))
    assert "works in the checkout, and not in a tree made from HEAD" in said
    assert "share_paths" in said
    assert ".venv/" in said
