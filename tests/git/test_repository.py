from pathlib import Path

import pytest

from autoloop.errors import AutoloopError
from autoloop.git.repository import find, is_dirty
from tests.real_git import commit_all, git, make_repository, write


def test_a_repository_is_found_from_a_folder_inside_it(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "my repo")
    found = find(root / "src" / "deep")
    assert found.root == root
    assert found.git_dir == found.common_dir == root / ".git"
    assert found.head == git(root, "rev-parse", "HEAD")
    assert found.branch == git(root, "branch", "--show-current")


def test_a_detached_head_has_no_branch(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repo")
    git(root, "checkout", "--quiet", "--detach")
    assert find(root).branch is None


def test_a_worktree_shares_the_directory_of_its_repository(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repo")
    git(root, "worktree", "add", "--quiet", "../side", "-b", "side")
    found = find(tmp_path / "side")
    assert found.root == tmp_path / "side"
    assert found.branch == "side"
    assert found.git_dir == root / ".git/worktrees/side"
    assert found.common_dir == root / ".git"


def test_the_checkout_of_a_submodule_is_a_repository_of_its_own(tmp_path: Path) -> None:
    inner = make_repository(tmp_path / "inner")
    root = make_repository(tmp_path / "repo")
    git(root, "submodule", "--quiet", "add", str(inner), "libs/inner")
    commit_all(root)
    found = find(root / "libs/inner/src")
    assert found.root == root / "libs/inner"
    assert found.common_dir == root / ".git/modules/libs/inner"


def test_what_cannot_be_worked_on_is_one_line_with_a_hint(tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    git(tmp_path, "init", "--quiet", "--bare", str(bare))
    empty = tmp_path / "empty"
    git(tmp_path, "init", "--quiet", str(empty))
    root = make_repository(tmp_path / "repo")
    plain = tmp_path / "plain"
    plain.mkdir()
    cases = {
        plain: "not in a git repository",
        bare: "a bare repository",
        root / ".git": "inside a git directory",
        empty: "no commit yet",
        tmp_path / "nowhere": "not a directory",
    }
    for path, words in cases.items():
        with pytest.raises(AutoloopError) as caught:
            find(path)
        assert words in caught.value.message
        assert "\n" not in caught.value.message
        assert caught.value.hint


def test_only_tracked_edits_make_a_checkout_dirty(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repo")
    repository = find(root)
    write(root, {"notes.txt": "mine\n"})
    index = (root / ".git/index").read_bytes()
    assert not is_dirty(repository)
    write(root, {"app.py": "print(2)\n"})
    assert is_dirty(repository)
    assert (root / ".git/index").read_bytes() == index


def test_a_borrowed_repository_in_the_environment_is_not_taken_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_repository(tmp_path / "repo")
    other = make_repository(tmp_path / "other", {"b": "b\n"})
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git/index"))
    assert find(root).root == root
