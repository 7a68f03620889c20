import os
import random
import shutil
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from autoloop.core.gaming.patches import read_patch
from tests.measure.test_seal import too_deep_in
from tests.real_git import AT, Case, commit_all, git, kinds, look, make_repository, write


@pytest.fixture
def case(tmp_path: Path) -> Case:
    files = {
        "app.py": "print(1)\n", "src/lib.py": "x = 1\n", "src/deep/a.txt": "a\n", "src/deep/b.txt": "b\n",
        ".gitignore": "*.log\nbuilt/\n.env*\n",
    }  # fmt: skip
    return Case(tmp_path, make_repository(tmp_path / "repo", files))


def edit(tree: Path) -> None:
    write(tree, {"app.py": "print(2)\n", "new.py": "n = 1\n"})
    (tree / "src/deep/a.txt").unlink()


def hidden_by_filter(tree: Path) -> None:
    git(tree, "config", "filter.evil.clean", "touch planted; cat /dev/null")
    write(tree, {".git/info/attributes": "* filter=evil\n"})


WAYS: dict[str, Callable[[Path], object]] = {
    "not at all": lambda tree: None,
    "once": lambda tree: commit_all(tree),
    "twice": lambda tree: (git(tree, "add", "new.py"), git(tree, "commit", "-qm", "1"), commit_all(tree)),
    "amended": lambda tree: (git(tree, "add", "-A"), git(tree, "commit", "-q", "--amend", "-m", "mine")),
    "on another branch": lambda tree: (git(tree, "checkout", "-qb", "other"), commit_all(tree)),
    "detached": lambda tree: (git(tree, "checkout", "-q", "--detach"), commit_all(tree)),
    "staged only": lambda tree: git(tree, "add", "--all"),
    "then soft reset": lambda tree: (commit_all(tree), git(tree, "reset", "-q", "--soft", "HEAD~1")),
    "as an orphan": lambda tree: (git(tree, "checkout", "-q", "--orphan", "x"), commit_all(tree)),
    "after deleting .git": lambda tree: shutil.rmtree(tree / ".git"),
    "after a fresh init": lambda tree: (shutil.rmtree(tree / ".git"), git(tree, "init", "-q"), commit_all(tree)),
    "with skip-worktree": lambda tree: git(tree, "update-index", "--skip-worktree", "app.py", "src/lib.py"),
    "with assume-unchanged": lambda tree: git(tree, "update-index", "--assume-unchanged", "app.py"),
    "with info/exclude": lambda tree: write(tree, {".git/info/exclude": "*\n"}),
    "with a filter": hidden_by_filter,
    "with a broken index": lambda tree: (tree / ".git/index").write_bytes(b"junk"),
    "with a lock": lambda tree: (tree / ".git/index.lock").write_bytes(b""),
    "with a hook": lambda tree: write(tree, {".git/hooks/pre-commit": "#!/bin/sh\nexit 1\n"}),
    "with a sparse checkout": lambda tree: git(tree, "config", "core.sparseCheckout", "true"),
}


@pytest.mark.parametrize("way", WAYS)
def test_how_the_agent_commits_makes_no_difference(case: Case, tmp_path: Path, way: str) -> None:
    plain = Case(tmp_path / "plain", case.checkout)
    edit(plain.tree)
    edit(case.tree)
    WAYS[way](case.tree)
    capture = case.capture()
    assert kinds(capture) == {"app.py": "modified", "new.py": "added", "src/deep/a.txt": "deleted"}
    assert capture == plain.capture()
    assert capture.breaches == ()
    assert not (case.tree / "planted").exists()


def test_a_candidate_is_a_child_of_its_parent_and_pinned(case: Case) -> None:
    edit(case.tree)
    capture = case.capture(7)
    assert capture.candidate
    commit = capture.candidate.commit
    assert case.git("rev-parse", "refs/autoloop/r1/7") == commit
    assert case.git("rev-parse", f"{commit}^") == case.start == capture.candidate.parent
    assert (capture.candidate.lines_added, capture.candidate.lines_removed) == (2, 2)
    assert capture.patch == case.git("diff", "--no-renames", case.start, commit) + "\n"


def test_a_capture_that_is_repeated_gives_the_same_commit(case: Case) -> None:
    edit(case.tree)
    first = case.capture()
    assert case.capture() == first
    case.again()
    assert case.capture() == first
    shutil.rmtree(case.trees.home / "index")
    case.again()
    assert case.capture() == first


def test_nothing_changed_is_no_candidate(case: Case) -> None:
    assert case.capture().candidate is None
    for path in (case.tree / "app.py", case.tree / "src/lib.py"):
        os.utime(path, (1, 1))
    (case.tree / "empty/folder").mkdir(parents=True)
    capture = case.capture()
    assert (capture.candidate, capture.breaches, capture.ignored, capture.patch) == (None, (), (), "")


def test_a_captured_candidate_is_placed_as_it_was_found(case: Case) -> None:
    edit(case.tree)
    (case.tree / "app.py").chmod(0o755)
    (case.tree / "inner").symlink_to("src/deep/../lib.py")
    write(case.tree, {"raw.bin": "a\r\nb\0c", 'a name\nwith "all"\tsorts': "1", ":(top)x": "1", "-n": "1"})
    (case.tree / os.fsdecode(b"caf\xe9")).write_text("1")
    capture = case.capture()
    assert capture.breaches == ()
    assert "caf\\xe9" in kinds(capture)
    assert capture.candidate
    assert look(case.trees.place("a", capture.candidate.commit)) == look(case.tree)


@pytest.mark.parametrize("seed", range(12))
def test_any_mess_is_captured_and_placed_and_undone(case: Case, seed: int) -> None:
    """Random edits over a few names, so that files, folders and links take one another's place."""
    rng = random.Random(seed)
    start = look(case.tree)
    parts = ["app.py", "src", "deep", "lib.py", "a.txt", "new", "x y"]
    for _ in range(25):
        path = case.tree / "/".join(rng.sample(parts, rng.randint(1, 3)))
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif path.is_dir() and rng.random() < 0.5:
            shutil.rmtree(path)
        if rng.random() < 0.2 or os.path.lexists(path):
            continue
        for parent in reversed(path.relative_to(case.tree).parents[:-1]):
            if (case.tree / parent).is_symlink() or (case.tree / parent).is_file():
                (case.tree / parent).unlink()
        path.parent.mkdir(parents=True, exist_ok=True)
        if rng.random() < 0.2:
            path.symlink_to("nowhere")
        else:
            path.write_text(str(rng.random()))
            path.chmod(rng.choice([0o644, 0o755]))
    files = {name: entry for name, entry in look(case.tree).items() if entry != ("d",)}
    capture = case.capture()
    commit = capture.candidate.commit if capture.candidate else case.start
    placed = look(case.trees.place("b", commit))
    assert {name: entry for name, entry in placed.items() if entry != ("d",)} == files
    assert look(case.trees.place("agent", case.start)) == start
    assert look(case.trees.place("agent", commit)) == placed
    assert look(case.again().place("a", commit)) == placed
    case.git("fsck", "--strict")


def test_what_no_candidate_may_hold_is_named(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(case.tree / "pipe")
    (case.tree / "app.py").unlink()
    os.mkfifo(case.tree / "app.py")
    with socket.socket(socket.AF_UNIX) as server, monkeypatch.context() as there:
        there.chdir(case.tree)
        server.bind("socket")
    (case.tree / "absolute").symlink_to("/etc/passwd")
    (case.tree / "src/up").symlink_to("../../b/app.py")
    (case.tree / "src/fine").symlink_to("../app.py")
    (case.tree / "first").symlink_to("src")
    (case.tree / "second").symlink_to("absolute")
    write(case.tree, {".GIT/config": "1", "good.py": "1\n"})
    capture = case.capture()
    assert sorted(capture.breaches) == [
        ".GIT/config: a name that git refuses",
        "absolute: symlink out of the tree",
        "app.py: fifo",
        "pipe: fifo",
        "second: symlink out of the tree",
        "socket: socket",
        "src/up: symlink out of the tree",
    ]
    assert kinds(capture)["good.py"] == "added"


@pytest.mark.skipif(os.getuid() != 0, reason="only root makes devices")
def test_a_device_is_named(case: Case) -> None:
    os.mknod(case.tree / "null", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    assert case.capture().breaches == ("null: device",)


def test_a_link_that_was_always_there_is_no_breach(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repo")
    (root / "out").symlink_to("/etc/passwd")
    commit_all(root)
    case = Case(tmp_path, root)
    (case.tree / "out").unlink()
    (case.tree / "out").symlink_to("/etc/passwd")
    write(case.tree, {"app.py": "2\n"})
    assert case.capture().breaches == ()
    (case.tree / "out").unlink()
    (case.tree / "out").symlink_to("/etc/shadow")
    assert case.capture().breaches == ("out: symlink out of the tree",)


def test_a_link_into_a_shared_path_is_no_breach(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repo")
    write(root, {"data/set.csv": "1"})
    case = Case(tmp_path, root, share_paths=("data",))
    (case.tree / "set.csv").symlink_to("data/set.csv")
    capture = case.capture()
    assert kinds(capture) == {"set.csv": "added"}
    assert capture.breaches == ()


def test_what_stands_in_the_way_of_a_cache_is_a_breach(tmp_path: Path) -> None:
    case = Case(tmp_path, cache_paths=("web/cache",))
    shutil.rmtree(case.tree / "web")
    (case.tree / "web").symlink_to("src")
    assert case.capture().breaches == ("web: stands in the way of a cache or shared path",)


def test_new_ignored_files_are_named_and_left_out(case: Case) -> None:
    write(case.tree, {
        "run.log": "1", "built/out/1": "1", "built/2": "2", ".env": "SECRET", "src/.env.local": "1",
        "__pycache__/x.pyc": "1", "src/__pycache__/y.pyc": "1", ".gitignore": "*.log\nbuilt/\n.env*\n*.pyc\n",
    })  # fmt: skip
    capture = case.capture()
    assert capture.ignored == (".env", "built/", "run.log", "src/.env.local")
    assert kinds(capture) == {".gitignore": "modified"}
    for number in range(80):
        write(case.tree, {f"{number}.log": "1"})
    assert len(case.capture().ignored) == 50


def test_a_persons_own_ignore_file_hides_nothing(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"home/.config/git/ignore": "*.py\n", "home/.config/git/attributes": "* text eol=crlf\n"})
    write(tmp_path, {"home/.gitconfig": "[core]\nexcludesFile = ~/ignore\n", "home/ignore": "*\n"})
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home/.config"))
    write(case.checkout, {".git/info/exclude": "*.py\n", ".git/info/attributes": "* filter=x\n"})
    case.git("config", "core.sparseCheckout", "true")
    case.git("config", "filter.x.clean", "false")
    case.git("config", "filter.x.required", "true")
    write(case.tree, {"hidden.py": "1\r\n"})
    case.again()
    assert kinds(case.capture()) == {"hidden.py": "added"}
    commit = case.commit()
    assert (case.trees.place("a", commit) / "hidden.py").read_bytes() == b"1\r\n"


def test_attributes_change_no_byte_and_run_no_filter(case: Case) -> None:
    write(case.tree, {".gitattributes": "* text eol=crlf working-tree-encoding=UTF-16 filter=lfs ident diff=evil\n"})
    write(case.tree, {"unix.txt": "a\n$Id$\n", "dos.txt": "a\r\n"})
    capture = case.capture()
    assert "+a\r\n" in capture.patch
    assert capture.candidate
    assert look(case.trees.place("b", capture.candidate.commit)) == look(case.tree)
    assert git(case.trees.path("b"), "status", "--porcelain") == ""


def test_a_nested_repository_is_set_aside_and_its_files_taken(case: Case) -> None:
    make_repository(case.tree / "vendor/lib", {"v.py": "1\n"})
    git(case.tree / "src", "init", "--quiet")
    write(case.tree, {"linked/x.py": "1\n", "linked/.git": "gitdir: /nowhere\n"})
    capture = case.capture()
    assert kinds(capture) == {"linked/x.py": "added", "vendor/lib/v.py": "added"}
    assert capture.breaches == ()


def test_a_candidate_that_is_too_large_is_refused_before_it_is_stored(tmp_path: Path) -> None:
    case = Case(tmp_path, max_candidate_mb=0.5)
    write(case.tree, {"big.bin": "1" * 400_000, "src/lib.py": "2" * 200_000})
    objects = len(list((case.checkout / ".git/objects").rglob("*")))
    capture = case.capture()
    assert capture.candidate is None
    assert capture.breaches == ("big.bin: makes a candidate of 1 MB, over max_candidate_mb",)
    assert len(list((case.checkout / ".git/objects").rglob("*"))) == objects
    (case.tree / "big.bin").unlink()
    assert kinds(case.capture()) == {"src/lib.py": "modified"}


def test_files_that_were_only_touched_do_not_count_for_the_size(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repo", {"big.bin": "1" * 400_000, "app.py": "1\n"})
    case = Case(tmp_path, root, max_candidate_mb=0.1)
    os.utime(case.tree / "big.bin", (1, 1))
    write(case.tree, {"app.py": "2\n"})
    assert kinds(case.capture()) == {"app.py": "modified"}


def test_a_long_patch_keeps_its_head(case: Case) -> None:
    write(case.tree, {"a.txt": "a longer line\n" * 300_000, "b.txt": "b\n"})
    capture = case.capture()
    assert 1_900_000 < len(capture.patch) < 2_100_000
    assert capture.patch.startswith("diff --git a/a.txt b/a.txt")
    assert capture.patch.endswith("left out]\n")
    assert capture.candidate
    assert [change.added for change in capture.candidate.changes] == [300_000, 1]


def test_the_lines_of_a_diff_are_found_whatever_a_file_is_called(case: Case) -> None:
    names = ("a b.py", 'quo"te.py', "back\\slash.py", "tab\there.py", "\u00fc\u4e2d.py", "-x.py", "line\nbreak.py")
    write(case.tree, {name: f"x = {number}\n" for number, name in enumerate(names)})
    (case.tree / "app.py").unlink()
    (case.tree / "app.py").symlink_to("a b.py")
    capture = case.capture()
    assert capture.candidate
    read = read_patch(capture.patch, capture.candidate)
    assert {patch.path for patch in read} == {*names, "app.py"} and all(patch.is_whole for patch in read)
    assert {patch.added[0] for patch in read} == {*(f"x = {number}" for number in range(len(names))), "a b.py"}


def test_a_binary_file_has_no_line_count(case: Case) -> None:
    (case.tree / "x.bin").write_bytes(bytes(range(256)))
    candidate = case.capture().candidate
    assert candidate
    assert candidate.changes[0].added is None
    assert candidate.lines_added == 0


def test_paths_that_are_kept_out_never_enter_a_candidate(tmp_path: Path) -> None:
    case = Case(tmp_path, keep_out=("notes", "src/lib.py"))
    write(case.tree, {"notes/x": "1", "src/lib.py": "2", "app.py": "3"})
    assert kinds(case.capture()) == {"app.py": "modified"}


def test_an_ignored_link_in_place_of_a_tracked_folder_is_a_deletion(case: Case) -> None:
    (case.tree / "src").rename(case.tree / "built")
    (case.tree / "src").symlink_to("built")
    write(case.tree, {".gitignore": "built/\nsrc\n"})
    capture = case.capture()
    assert kinds(capture) == {
        ".gitignore": "modified",
        **dict.fromkeys(("src/lib.py", "src/deep/a.txt", "src/deep/b.txt"), "deleted"),
    }


def test_a_later_experiment_starts_from_the_kept_one(case: Case) -> None:
    edit(case.tree)
    first = case.commit()
    case.trees.settle(head=first, previous=case.start)
    tree = case.trees.place("agent", first)
    write(tree, {"new.py": "n = 2\n"})
    capture = case.trees.capture(2, first, at=AT, message="second")
    assert kinds(capture) == {"new.py": "modified"}
    assert capture.candidate
    assert case.git("rev-list", "--count", f"{case.start}..{capture.candidate.commit}") == "2"


def test_a_tree_that_became_a_link_is_not_followed(case: Case) -> None:
    elsewhere = make_repository(case.folder / "elsewhere/project")
    write(case.folder / "elsewhere", {"key": "private"})
    shutil.rmtree(case.tree)
    case.tree.symlink_to(elsewhere.parent)
    before = look(elsewhere, skip=lambda path: False)
    capture = case.capture()
    assert (capture.candidate, capture.breaches) == (None, ("the tree itself: gone, or moved away",))
    assert look(elsewhere, skip=lambda path: False) == before
    assert look(case.trees.place("agent", case.start)) == look(case.checkout)


def test_a_path_that_is_too_long_is_a_breach(case: Case) -> None:
    with too_deep_in(case.tree):
        write(case.tree, {"app.py": "print(2)\n"})
        capture = case.capture()
        assert capture.breaches == (f"{'d/' * 30}…: the path has more than 3,000 bytes",)
        assert look(case.trees.place("agent", case.start)) == look(case.checkout)
