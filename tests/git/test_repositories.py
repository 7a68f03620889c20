import os
import shutil
from pathlib import Path

import pytest

from autoloop.errors import AutoloopError
from autoloop.git.repository import find
from tests.real_git import Case, commit_all, git, kinds, look, make_repository, open_trees, write


def cycle(case: Case) -> None:
    """One experiment, kept, and back."""
    start = look(case.tree)
    write(case.tree, {"app.py": "print(2)\n", "src/new.py": "1\n"})
    capture = case.capture()
    assert kinds(capture) == {"app.py": "modified", "src/new.py": "added"}
    assert capture.candidate
    commit = capture.candidate.commit
    changed = look(case.tree)
    assert look(case.trees.place("a", commit)) == changed
    assert git(case.trees.path("a"), "status", "--porcelain") == ""
    assert case.trees.settle(head=commit, previous=case.start) is None
    assert look(case.trees.place("a", case.start)) == look(case.trees.place("agent", case.start)) == start
    assert case.git("rev-parse", "refs/autoloop/r1/head") == commit


def test_a_path_with_spaces_and_letters(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "my répo (copy)")
    write(root, {"a b/ü.txt": "1", 'quo"te': "1"})
    (root / os.fsdecode(b"latin-\xe9")).write_text("1")
    commit_all(root)
    case = Case(tmp_path / "ho me", root)
    assert look(case.tree) == look(root)
    cycle(case)


def test_a_home_whose_name_is_not_utf8(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    cycle(Case(folder))


def test_a_detached_head(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repo")
    git(root, "checkout", "--quiet", "--detach")
    cycle(Case(tmp_path, root))


def test_a_worktree(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repo")
    git(root, "worktree", "add", "--quiet", "../side")
    cycle(Case(tmp_path, tmp_path / "side"))


def test_a_repository_with_sha256(tmp_path: Path) -> None:
    case = Case(tmp_path, make_repository(tmp_path / "repo", None, "--object-format=sha256"))
    assert len(case.start) == 64
    cycle(case)


def test_objects_that_are_borrowed_from_another_repository(tmp_path: Path) -> None:
    make_repository(tmp_path / "origin")
    git(tmp_path, "clone", "--quiet", "--shared", "origin", "repo")
    cycle(Case(tmp_path, tmp_path / "repo"))


def test_a_shallow_clone_is_said(tmp_path: Path) -> None:
    origin = make_repository(tmp_path / "origin")
    commit_all(origin, "second")
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{origin}", "repo")
    case = Case(tmp_path, tmp_path / "repo")
    assert "shallow" in case.trees.open(case.start).warnings[0]
    assert git(case.tree, "log", "--format=%s") == "second"
    cycle(case)


@pytest.mark.parametrize("left_out", ["blob:none", "tree:0"])
def test_a_partial_clone_fetches_what_it_needs_once(tmp_path: Path, left_out: str) -> None:
    origin = make_repository(tmp_path / "origin")
    write(origin, {f"data/{number}.txt": f"{number}\n" for number in range(30)})
    commit_all(origin)
    git(tmp_path, "clone", "--quiet", "--no-checkout", f"--filter={left_out}", f"file://{origin}", "repo")
    repository = find(tmp_path / "repo")
    packs = tmp_path / "repo/.git/objects/pack"
    before = len(list(packs.glob("*.pack")))
    trees = open_trees(repository, tmp_path / "run-home")
    assert len(list(packs.glob("*.pack"))) <= before + (1 if left_out == "blob:none" else 4)
    shutil.move(origin, tmp_path / "unreachable")
    assert look(trees.place("agent", repository.head)) == look(tmp_path / "unreachable")
    case = Case(tmp_path, tmp_path / "repo")
    cycle(case)


def test_a_partial_clone_whose_remote_is_gone_says_so(tmp_path: Path) -> None:
    origin = make_repository(tmp_path / "origin")
    git(tmp_path, "clone", "--quiet", "--no-checkout", "--filter=blob:none", f"file://{origin}", "repo")
    shutil.rmtree(origin)
    with pytest.raises(AutoloopError, match="partial clone"):
        open_trees(find(tmp_path / "repo"), tmp_path / "run-home")


@pytest.mark.parametrize("partial", [False, True])
def test_sparse_limits_the_trees_and_the_candidate(tmp_path: Path, partial: bool) -> None:
    files = {f"{folder}/x.txt": f"{folder}\n" for folder in ("src", "src/deep", "libs/one", "libs/two", "data")}
    root = make_repository(tmp_path / "repo", {**files, "app.py": "1\n", "libs/readme": "1\n"})
    if partial:
        git(tmp_path, "clone", "--quiet", "--no-checkout", "--filter=blob:none", f"file://{root}", "part")
        root = tmp_path / "part"
    case = Case(tmp_path, root, sparse=("src", "libs/one/"))
    files_in = [name for name, entry in look(case.tree).items() if entry != ("d",)]
    assert files_in == ["app.py", "libs/one/x.txt", "libs/readme", "src/deep/x.txt", "src/x.txt"]
    assert git(case.tree, "status", "--porcelain") == ""
    cycle(case)
    write(case.tree, {"data/x.txt": "changed\n", "libs/two/new": "1\n", "app.py": "2\n"})
    capture = case.capture()
    assert sorted(capture.breaches) == [
        "data/x.txt: outside the sparse folders",
        "libs/two/new: outside the sparse folders",
    ]
    assert kinds(capture) == {"app.py": "modified"}
    assert case.git("ls-tree", "-r", "--name-only", case.start).count("\n") == 6
    assert case.git("ls-tree", "-r", "--name-only", case.commit()).count("\n") == 6


@pytest.fixture
def with_submodules(tmp_path: Path) -> Path:
    inner = make_repository(tmp_path / "inner", {"inner.py": "i\n"})
    middle = make_repository(tmp_path / "middle", {"m.py": "m\n", ".gitignore": "*.tmp\n"})
    git(middle, "submodule", "--quiet", "add", str(inner), "deep/inner")
    commit_all(middle)
    root = make_repository(tmp_path / "repo")
    git(root, "submodule", "--quiet", "add", "--name", "mid", str(middle), "libs/middle")
    commit_all(root)
    git(root, "submodule", "--quiet", "update", "--init", "--recursive")
    return root


def test_submodules_are_plain_files(tmp_path: Path, with_submodules: Path) -> None:
    case = Case(tmp_path, with_submodules)
    without_git = {name: entry for name, entry in look(with_submodules).items() if not name.endswith("/.git")}
    assert look(case.tree) == without_git
    assert case.trees.open(case.start).warnings == ()
    cycle(case)


def test_edits_inside_submodules_are_named_and_undone(tmp_path: Path, with_submodules: Path) -> None:
    case = Case(tmp_path, with_submodules)
    expected = look(case.tree)
    write(case.tree, {"libs/middle/m.py": "evil\n", "libs/middle/new.py": "1\n", "libs/middle/x.tmp": "1\n"})
    (case.tree / "libs/middle/deep/inner/inner.py").unlink()
    git(case.tree / "libs/middle", "init", "--quiet")
    commit_all(case.tree / "libs/middle")
    write(case.tree, {"app.py": "2\n"})
    capture = case.capture()
    assert sorted(capture.breaches) == [
        "libs/middle/deep/inner/inner.py: inside a submodule",
        "libs/middle/m.py: inside a submodule",
        "libs/middle/new.py: inside a submodule",
    ]
    assert kinds(capture) == {"app.py": "modified"}
    assert capture.ignored == ("libs/middle/x.tmp",)
    case.trees.place("agent", case.start)
    assert look(case.tree) == expected
    shutil.rmtree(case.tree / "libs")
    (case.tree / "libs").symlink_to("/etc")
    assert any("libs/middle" in breach for breach in case.capture().breaches)
    case.trees.place("agent", case.start)
    assert look(case.tree) == expected


def test_a_submodule_that_moves_on_is_followed(tmp_path: Path, with_submodules: Path) -> None:
    case = Case(tmp_path, with_submodules)
    expected = look(case.tree)
    write(with_submodules, {"libs/middle/m.py": "newer\n", "libs/middle/more.py": "1\n"})
    commit_all(with_submodules / "libs/middle")
    newer = commit_all(with_submodules)
    tree = case.trees.place("agent", newer)
    assert (tree / "libs/middle/m.py").read_text() == "newer\n"
    git(with_submodules, "rm", "--quiet", "-r", "libs/middle")
    write(with_submodules, {"libs/middle/plain.py": "1\n"})
    plain = commit_all(with_submodules)
    tree = case.trees.place("agent", plain)
    assert [name for name in look(tree) if name.startswith("libs/")] == ["libs/middle", "libs/middle/plain.py"]
    assert look(case.trees.place("agent", case.start)) == expected


def test_a_submodule_that_was_never_initialised_is_said(tmp_path: Path, with_submodules: Path) -> None:
    git(tmp_path, "clone", "--quiet", str(with_submodules), "fresh")
    case = Case(tmp_path, tmp_path / "fresh")
    assert "libs/middle is not initialised" in case.trees.open(case.start).warnings[0]
    assert list((case.tree / "libs/middle").iterdir()) == []
    write(case.tree, {"libs/middle/x": "1"})
    capture = case.capture()
    assert (capture.candidate, capture.breaches) == (None, ("libs/middle/x: inside a submodule",))
    cycle_case = Case(tmp_path / "again", tmp_path / "fresh")
    cycle(cycle_case)


def test_the_checkout_of_a_submodule_is_worked_on_like_any_other(tmp_path: Path, with_submodules: Path) -> None:
    case = Case(tmp_path, with_submodules / "libs/middle")
    assert (case.tree / "deep/inner/inner.py").read_text() == "i\n"
    write(case.tree, {"m.py": "2\n"})
    assert case.trees.settle(head=case.commit(), previous=case.start) is None
    assert git(with_submodules, "status", "--porcelain") == ""


def test_a_worktree_has_the_submodules_of_its_repository(tmp_path: Path, with_submodules: Path) -> None:
    git(with_submodules, "worktree", "add", "--quiet", "../side")
    case = Case(tmp_path, tmp_path / "side")
    assert (case.tree / "libs/middle/deep/inner/inner.py").read_text() == "i\n"


def test_lfs_pointers_stay_pointers_and_are_said(tmp_path: Path) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12345\n"
    root = make_repository(tmp_path / "repo", {"app.py": "1\n", "src/x": "1", "data/big.bin": pointer})
    write(root, {"data/.gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "data/big.bin": pointer})
    git(root, "-c", "filter.lfs.clean=cat", "add", "--all")
    git(root, "-c", "filter.lfs.clean=cat", "commit", "--quiet", "-m", "lfs")
    git(root, "config", "filter.lfs.smudge", "touch smudged; cat")
    git(root, "config", "filter.lfs.required", "true")
    case = Case(tmp_path, root)
    assert "data/big.bin stay LFS pointers" in case.trees.open(case.start).warnings[0]
    assert (case.tree / "data/big.bin").read_text() == pointer
    cycle(case)
    assert not list(tmp_path.rglob("smudged"))


def test_thousands_of_files(tmp_path: Path) -> None:
    files = {f"pkg{number % 40}/mod{number % 7}/f{number}.py": f"x = {number}\n" for number in range(3000)}
    case = Case(tmp_path, make_repository(tmp_path / "repo", {**files, "app.py": "1\n", "src/x": "1"}))
    assert look(case.tree) == look(case.checkout)
    cycle(case)
