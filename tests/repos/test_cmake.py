"""A C project with CMake, whose build directory survives between experiments."""

from pathlib import Path

import pytest

from autoloop.core.run.reasons import Reason
from tests.real_git import commit_all, git, write
from tests.repos.strange import Strange, need

pytestmark = pytest.mark.repos

LISTS = """\
cmake_minimum_required(VERSION 3.10)
project(gauge C)
add_executable(gauge main.c score.c other.c)
"""
MAIN = """\
#include <stdio.h>
int score(void);
int other(void);
int main(void) { printf("{\\"score\\": %d}\\n", score() + other()); return 0; }
"""
BUILD = """\
set -e
echo "tree $AUTOLOOP_TREE" >> "$BUILD_LOG"
cmake -S . -B build -DCMAKE_BUILD_TYPE=Release > cmake.log
cmake --build build >> "$BUILD_LOG"
"""
AGENT = """\
case $AUTOLOOP_EXPERIMENT in
1) echo 'int score(void) { return 20; }' > score.c ;;
2) echo 'int score(void) { return thirty; }' > score.c ;;
3) echo 'int score(void) { return 30; }' > score.c ;;
esac
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Strange:
    need("cmake", "cc", "make")
    root = tmp_path / "gauge"
    sources = {name: f"int {name}(void) {{ return 0; }}\n" for name in ("score", "other")}
    write(root, {"CMakeLists.txt": LISTS, "main.c": MAIN, ".gitignore": "build/\n*.log\n"})
    write(root, {f"{name}.c": text.replace("0", "10") for name, text in sources.items()})
    git(root, "init", "--quiet")
    commit_all(root)
    monkeypatch.setenv("BUILD_LOG", str(tmp_path / "build.log"))
    return Strange(root)


def test_a_build_directory_in_cache_paths_builds_only_what_changed(project: Strange, tmp_path: Path) -> None:
    config = 'cache_paths = ["build"]\nmeasure_env = ["BUILD_LOG"]\n'
    project.program({"measure.sh": "./build/gauge\n", "build.sh": BUILD}, config)
    project.run(AGENT, "--max-experiments", "3")
    assert project.decided(Reason.IMPROVED, Reason.BUILD_FAILED, Reason.IMPROVED).metric == 40
    last = (tmp_path / "build.log").read_text().split("tree ")[-1]
    assert "Building C object CMakeFiles/gauge.dir/score.c.o" in last
    assert "other.c.o" not in last
    assert not (project.root / "build").exists()


def test_a_missing_build_is_refused_with_what_it_said(project: Strange) -> None:
    project.program({"measure.sh": "./build/gauge\n"})
    said = project.refused()
    assert "cannot be measured" in said
    assert "build/gauge: No such file or directory" in said
