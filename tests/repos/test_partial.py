"""Repositories that are not all there: submodules, monorepos seen in part, partial clones, LFS pointers."""

from pathlib import Path

import pytest

from autoloop.core.run.reasons import Reason
from tests.real_git import commit_all, git, make_repository, write
from tests.repos.strange import Strange

pytestmark = pytest.mark.repos

MEASURE = 'echo "{\\"score\\": $(cat score)}"\n'


def test_submodules_are_plain_files_and_out_of_scope(tmp_path: Path) -> None:
    inner = make_repository(tmp_path / "factor", {"factor": "3\n"})
    root = make_repository(tmp_path / "outer", {"score": "10\n"})
    git(root, "submodule", "--quiet", "add", str(inner), "vendor/factor")
    commit_all(root)
    repository = Strange(root)
    repository.program({"measure.sh": 'echo "{\\"score\\": $(($(cat score) * $(cat vendor/factor/factor)))}"\n'})
    agent = "[ $AUTOLOOP_EXPERIMENT = 1 ] && echo 100 > vendor/factor/factor || echo 20 > score\n"
    repository.run(agent, "--max-experiments", "2")
    assert repository.decided(Reason.OUT_OF_SCOPE, Reason.IMPROVED).metric == 60


def test_a_submodule_that_is_not_initialised_is_said(tmp_path: Path) -> None:
    inner = make_repository(tmp_path / "factor", {"factor": "3\n"})
    origin = make_repository(tmp_path / "outer", {"score": "10\n"})
    git(origin, "submodule", "--quiet", "add", str(inner), "vendor/factor")
    commit_all(origin)
    git(tmp_path, "clone", "--quiet", "outer", "clone")
    repository = Strange(tmp_path / "clone")
    repository.program({"measure.sh": MEASURE})
    said = repository.run("echo 20 > score\n")
    assert "submodule vendor/factor is not initialised" in said
    assert repository.decided(Reason.IMPROVED).metric == 20


def test_sparse_limits_the_trees_of_a_monorepo(tmp_path: Path) -> None:
    files = {f"services/{name}/{number}.txt": "x\n" for name in "abcdef" for number in range(200)}
    root = make_repository(tmp_path / "mono", {**files, "services/a/score": "10\n", "README.md": "all\n"})
    repository = Strange(root)
    repository.program({"measure.sh": 'echo "{\\"score\\": $(cat services/a/score)}"\n'}, 'sparse = ["services/a"]\n')
    agent = """\
find . -type f -not -path './.git/*' | wc -l > "$HOME/seen"
[ $AUTOLOOP_EXPERIMENT = 1 ] && mkdir -p services/b && echo x > services/b/new.txt
echo 20 > services/a/score
"""
    repository.run(agent, "--max-experiments", "2")
    assert repository.decided(Reason.OUT_OF_SCOPE, Reason.IMPROVED).metric == 20
    assert int((tmp_path / "home/seen").read_text()) == 202
    head = git(root, "for-each-ref", "--format=%(refname)", "refs/autoloop/**/head")
    assert len(git(root, "ls-tree", "-r", "--name-only", head).splitlines()) == len(files) + 2


def test_a_partial_and_sparse_clone_gets_what_the_trees_need(tmp_path: Path) -> None:
    origin = make_repository(
        tmp_path / "origin", {"score": "1000\n", **{f"data/{n}.txt": f"{n + 2000}\n" for n in range(300)}}
    )
    git(tmp_path, "clone", "--quiet", "--filter=blob:none", "--sparse", f"file://{origin}", "part")
    root = tmp_path / "part"
    missing = ("rev-list", "--objects", "--missing=print", "HEAD")
    assert sum(line.startswith("?") for line in git(root, *missing).splitlines()) == 300
    repository = Strange(root)
    repository.program({"measure.sh": 'cat data/*.txt > /dev/null; echo "{\\"score\\": $(cat score)}"\n'})
    repository.run("cat data/299.txt > score\n")
    assert repository.decided(Reason.IMPROVED).metric == 2299
    assert not (root / "data").exists()


def test_lfs_pointers_are_said_and_shared_files_take_their_place(tmp_path: Path) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 3\n"
    attributes = "*.bin filter=lfs diff=lfs merge=lfs -text\n"
    root = make_repository(
        tmp_path / "lfs", {"score": "10\n", ".gitattributes": attributes, "data/weights.bin": pointer}
    )
    write(root, {"data/weights.bin": "2\n"})  # as git-lfs would leave it
    measure = 'echo "{\\"score\\": $(($(cat score) * $(cat data/weights.bin)))}"\n'
    repository = Strange(root)

    repository.program({"measure.sh": f"set -e\n{measure}"})
    said = repository.refused()
    assert "data/weights.bin stay LFS pointers in the trees: share the real files with share_paths" in said
    assert "cannot be measured" in said

    repository.program({"measure.sh": f"set -e\n{measure}"}, 'share_paths = ["data"]\n')
    repository.run("echo 20 > score\n")
    assert repository.decided(Reason.IMPROVED).metric == 40


def test_shared_files_that_git_tracks_are_left_alone(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "sharing", {"score": "10\n", "data/factor": "2\n"})
    repository = Strange(root)
    measure = 'set -e\necho "{\\"score\\": $(($(cat score) * $(cat data/factor)))}"\n'
    repository.program({"measure.sh": measure}, 'share_paths = ["data"]\n')
    repository.run("echo 20 > score\n")
    assert repository.decided(Reason.IMPROVED).metric == 40
    assert (root / "data/factor").read_text() == "2\n"
