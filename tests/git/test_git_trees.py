import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from autoloop.errors import AutoloopError
from autoloop.git.git_trees import GitTrees, TreeOptions
from autoloop.git.repository import find
from tests.real_git import AT, Case, commit_all, git, look, make_repository, open_trees, write


@pytest.fixture
def case(tmp_path: Path) -> Case:
    root = make_repository(tmp_path / "repo")
    (root / "run.sh").write_text("echo\n")
    (root / "run.sh").chmod(0o755)
    (root / "link").symlink_to("src/lib.py")
    write(root, {".gitignore": "*.log\nbuild/\n"})
    commit_all(root)
    return Case(tmp_path, root)


def test_a_placed_tree_equals_the_commit(case: Case) -> None:
    assert look(case.tree) == look(case.checkout)
    assert os.readlink(case.tree / "link") == "src/lib.py"
    assert os.access(case.tree / "run.sh", os.X_OK)


def test_the_paths_of_all_slots_have_one_length(case: Case) -> None:
    assert len({len(str(case.trees.path(slot))) for slot in ("agent", "a", "b")}) == 1


def test_strays_of_every_kind_go(case: Case) -> None:
    expected = look(case.tree)
    write(case.tree, {"stray.txt": "1", "x.log": "1", "build/out": "1", "src/deep/new/n": "1", "src/.git/hooks/h": "1"})
    make_repository(case.tree / "nested/clone")
    git(case.tree / "src/deep", "init", "--quiet")
    (case.tree / "src/.gitignore").write_text("*")
    (case.tree / "out").symlink_to("/etc")
    (case.tree / "dangling").symlink_to("nothing")
    os.mkfifo(case.tree / "src/pipe")
    (case.tree / "empty/folder").mkdir(parents=True)
    (case.tree / os.fsdecode(b"\xff\xfe name")).write_text("1")
    case.trees.place("agent", case.start)
    assert look(case.tree) == expected
    assert Path("/etc").is_dir()


def test_tracked_files_come_back_however_they_were_changed(case: Case, tmp_path: Path) -> None:
    expected = look(case.tree)
    outside = tmp_path / "outside"
    write(outside, {"keep": "1", "lib.py": "evil\n"})
    (case.tree / "app.py").unlink()
    os.mkfifo(case.tree / "app.py")
    (case.tree / "run.sh").chmod(0o600)
    (case.tree / "link").unlink()
    write(case.tree, {"link/is/a": "folder"})
    shutil.rmtree(case.tree / "src")
    (case.tree / "src").symlink_to(outside)
    case.trees.place("agent", case.start)
    assert look(case.tree) == expected
    assert sorted(look(outside)) == ["keep", "lib.py"]


def test_a_folder_that_hides_behind_a_symlink_to_itself_comes_back(case: Case) -> None:
    expected = look(case.tree)
    (case.tree / "src").rename(case.tree / "moved")
    (case.tree / "src").symlink_to("moved")
    case.trees.place("agent", case.start)
    assert look(case.tree) == expected


def test_an_edit_of_the_same_size_with_its_time_set_back_is_undone(case: Case) -> None:
    for _ in range(5):
        path = case.tree / "app.py"
        before = path.stat()
        path.write_text("print(9)\n")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        case.trees.place("agent", case.start)
        assert path.read_text() == "print(1)\n"


def test_a_tree_follows_from_commit_to_commit(case: Case) -> None:
    write(case.checkout, {"src": "now a file\n"} if not shutil.rmtree(case.checkout / "src") else {})
    (case.checkout / "app.py").unlink()
    write(case.checkout, {"app.py/main.py": "now a folder\n"})
    second = commit_all(case.checkout)
    there = look(case.checkout)
    here = look(case.tree)
    case.trees.place("agent", second)
    assert look(case.tree) == there
    case.trees.place("agent", case.start)
    assert look(case.tree) == here


def test_a_home_that_was_deleted_is_rebuilt(case: Case) -> None:
    expected = look(case.tree)
    shutil.rmtree(case.trees.home)
    trees = case.again()
    assert look(trees.place("agent", case.start)) == expected


@pytest.mark.parametrize("damage", ["torn", "empty", "locked", "gone"])
def test_a_damaged_index_is_rebuilt(case: Case, damage: str) -> None:
    expected = look(case.tree)
    index = case.trees.home / "index/0"
    match damage:
        case "torn":
            index.write_bytes(index.read_bytes()[:100])
        case "empty":
            index.write_bytes(b"")
        case "locked":
            index.with_name("0.lock").write_bytes(b"")
        case "gone":
            index.unlink()
    write(case.tree, {"app.py": "changed\n", "stray": "1"})
    case.trees.place("agent", case.start)
    assert look(case.tree) == expected


def test_a_run_forgets_its_trees_and_nothing_else(case: Case) -> None:
    (case.tree / "src").chmod(0o500)
    case.trees.forget()
    assert not case.trees.home.exists()
    assert case.git("rev-parse", "refs/autoloop/r1/start") == case.start
    case.trees.forget(pins=True)
    assert case.git("for-each-ref", "refs/autoloop") == ""


def test_the_users_files_index_refs_and_config_are_never_touched(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repo")
    write(root, {"app.py": "edited, not committed\n", "untracked.txt": "mine\n", "staged.txt": "staged\n"})
    git(root, "add", "staged.txt")
    git(root, "config", "core.excludesFile", "/dev/null")

    def own(path: str) -> bool:
        return path in ("objects", "logs") or path == "refs"

    before = look(root, lambda name: name == ".git"), look(root / ".git", own), git(root, "branch", "--all")
    case = Case(tmp_path, root)
    write(case.tree, {"app.py": "better\n", "new.py": "n\n"})
    commit = case.commit()
    case.trees.place("b", commit)
    (case.trees.path("b") / "app.py").write_text("dirt")
    case.trees.place("b", commit)
    assert (look(root, lambda name: name == ".git"), look(root / ".git", own), git(root, "branch", "--all")) == before
    assert case.trees.settle(head=commit, previous=case.start) is None
    assert (look(root, lambda name: name == ".git"), look(root / ".git", own)) == before[:2]
    git(root, "fsck", "--strict")


def test_caches_survive_and_never_enter_a_candidate(tmp_path: Path) -> None:
    case = Case(tmp_path, cache_paths=("target", "web/node_modules"))
    write(case.tree, {"target/debug/obj": "1", "web/node_modules/m/i.js": "1", "web/junk": "1", "app.py": "2\n"})
    case.trees.trust("agent", True)
    commit = case.commit()
    assert case.git("diff", "--name-only", case.start, commit).splitlines() == ["app.py", "web/junk"]
    case.trees.place("agent", case.start)
    assert (case.tree / "target/debug/obj").exists()
    assert (case.tree / "web/node_modules/m/i.js").exists()
    assert not (case.tree / "web/junk").exists()
    case.trees.place("agent", case.start, keep_caches=False)
    assert look(case.tree) == look(case.checkout)


def test_a_cache_is_a_real_folder_whatever_became_of_it(tmp_path: Path) -> None:
    case = Case(tmp_path, cache_paths=("target", "web/cache"))
    outside = tmp_path / "outside"
    write(outside, {"keep": "1", "cache/keep": "1"})
    shutil.rmtree(case.tree / "target")
    (case.tree / "target").symlink_to(outside)
    shutil.rmtree(case.tree / "web")
    (case.tree / "web").symlink_to(outside)
    case.trees.place("agent", case.start)
    for cache in ("target", "web/cache"):
        assert (case.tree / cache).is_dir()
        assert (case.tree / cache).resolve() == case.tree / cache
        assert not any((case.tree / cache).iterdir())
    assert (outside / "keep").exists()
    assert (outside / "cache/keep").exists()


def test_shared_paths_lead_to_the_checkout_and_never_enter_a_candidate(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repo", {"app.py": "1\n", ".gitignore": ".venv/\n"})
    write(root, {".venv/bin/python": "py", "data/set/x": "1"})
    case = Case(tmp_path, root, share_paths=(".venv", "data/set", "missing"))
    assert (case.tree / ".venv/bin/python").read_text() == "py"
    assert (case.tree / "data/set").resolve() == root / "data/set"
    assert not (case.tree / "missing").exists()
    assert case.capture().candidate is None
    (case.tree / ".venv").unlink()
    write(case.tree, {".venv/bin/python": "planted", ".gitignore": "!.venv\n"})
    assert case.git("diff", "--name-only", case.start, case.commit()) == ".gitignore"
    case.trees.place("agent", case.start)
    assert (case.tree / ".venv/bin/python").read_text() == "py"
    assert (root / ".venv/bin/python").read_text() == "py"


def test_a_shared_path_may_hold_tracked_files(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repo", {"app.py": "1\n", "src/x": "1", "data/big.csv": "1,2\n"})
    (root / "data/big.csv").write_text("edited by the user")
    case = Case(tmp_path, root, share_paths=("data",))
    for _ in range(2):
        assert (case.trees.place("agent", case.start) / "data").resolve() == root / "data"
    write(case.tree, {"app.py": "2\n"})
    commit = case.commit()
    assert case.git("diff", "--name-only", case.start, commit) == "app.py"
    case.trees.place("b", commit)
    case.trees.strip("b", lambda path: path == "app.py")
    assert (root / "data/big.csv").read_text() == "edited by the user"


@pytest.mark.parametrize("field", ["cache_paths", "share_paths", "sparse"])
@pytest.mark.parametrize("path", ["/etc", "../x", "a/../../b", ".git/hooks", "", "."])
def test_paths_outside_the_repository_are_refused(case: Case, field: str, path: str) -> None:
    with pytest.raises(AutoloopError, match=field):
        GitTrees(case.repository, case.folder / "h", "r", "b", TreeOptions(**{field: (path,)}))  # type: ignore[arg-type]


def test_an_agent_finds_a_clean_and_working_repository(case: Case) -> None:
    case.git("tag", "-m", "first", "v1.0")
    case.trees.forget()
    tree = open_trees(find(case.checkout), case.folder / "run-home").place("agent", case.start)
    assert git(tree, "status", "--porcelain") == ""
    assert git(tree, "describe") == "v1.0"
    assert git(tree, "log", "--format=%s").splitlines() == ["a commit", "a commit"]
    assert git(tree, "rev-parse", "HEAD") == case.start
    write(tree, {"app.py": "2\n"})
    refs = case.git("for-each-ref")
    plain = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", "commit", "-qam", "mine"], cwd=tree, env=plain, check=True)
    mine = git(tree, "rev-parse", "HEAD")
    assert case.git("for-each-ref") == refs
    case.git("cat-file", "-e", mine, accept=(1,))


def test_nothing_planted_in_a_trees_own_git_survives(case: Case, tmp_path: Path) -> None:
    expected = look(case.tree / ".git", lambda name: name == "index")
    shutil.rmtree(case.tree / ".git")
    (case.tree / ".git").symlink_to(tmp_path)
    case.trees.place("agent", case.start)
    write(case.tree / ".git", {"hooks/post-checkout": "#!/bin/sh\ntouch planted\n", "info/exclude": "*\n"})
    (case.tree / ".git/hooks/post-checkout").chmod(0o755)
    git(case.tree, "config", "core.fsmonitor", "touch planted; false")
    case.trees.place("agent", case.start)
    assert look(case.tree / ".git", lambda name: name == "index") == expected
    assert not (case.tree / "planted").exists()


def test_what_stands_in_the_place_of_a_folder_of_git_goes_alone(case: Case, tmp_path: Path) -> None:
    folder, elsewhere = case.tree / ".git", tmp_path / "elsewhere"
    expected = look(folder, lambda name: name == "index")
    write(elsewhere, {"alternates": "theirs\n", "heads/main": "theirs\n"})
    shutil.rmtree(folder / "objects/info")
    (folder / "objects/info").symlink_to(elsewhere)
    shutil.rmtree(folder / "refs")
    (folder / "refs").write_text("a file\n")
    write(folder, {"info/deep/er": "planted\n", "objects/ab/cd": "planted\n"})
    (folder / "info/deep").chmod(0)
    (folder / "info").chmod(0)
    case.trees.place("agent", case.start)
    assert look(folder, lambda name: name == "index") == expected
    assert sorted(path.name for path in elsewhere.iterdir()) == ["alternates", "heads"]
    assert (elsewhere / "alternates").read_text() == "theirs\n"


def test_stripping_deletes_tracked_files_and_placing_brings_them_back(case: Case) -> None:
    assert case.trees.strip("agent", lambda path: path.startswith("src/")) == 2
    assert not (case.tree / "src/lib.py").exists()
    assert (case.tree / "app.py").exists()
    case.trees.place("agent", case.start)
    assert look(case.tree) == look(case.checkout)


def test_tracked_files_are_listed_with_mode_and_object(case: Case) -> None:
    listed = {entry.name: entry for entry in case.trees.tracked(case.start)}
    assert listed["run.sh"].mode == "100755"
    assert listed["link"].mode == "120000"
    assert listed["app.py"].oid == case.git("rev-parse", "HEAD:app.py")


def test_opening_says_what_disk_three_trees_need(case: Case) -> None:
    opening = case.trees.open(case.start)
    assert opening.bytes_needed == 3 * 6 * 4096
    assert opening.warnings == ()


def test_a_home_that_cannot_be_made_is_an_error_a_person_can_act_on(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repo")
    (tmp_path / "run-home").write_text("a file stands where the home should be")
    with pytest.raises(AutoloopError, match="home"):
        open_trees(find(root), tmp_path / "run-home")


def test_sockets_and_files_without_permission_go(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = look(case.tree)
    with socket.socket(socket.AF_UNIX) as server, monkeypatch.context() as there:
        there.chdir(case.tree)
        server.bind("socket")
    write(case.tree, {"closed/inner/file": "1"})
    (case.tree / "closed/inner").chmod(0)
    (case.tree / "closed").chmod(0o500)
    (case.tree / "src").chmod(0o500)
    (case.tree / "app.py").chmod(0)
    case.trees.place("agent", case.start)
    assert look(case.tree) == expected


@pytest.mark.skipif(os.getuid() != 0, reason="root gives itself away to become someone else")
def test_someone_without_roots_powers_opens_what_an_agent_closed(tmp_path: Path) -> None:
    script = f"""
import os
from pathlib import Path
from tests.real_git import Case, write, look, kinds
os.setgid(65534); os.setuid(65534)
os.environ['HOME'] = {str(tmp_path)!r}
case = Case(Path({str(tmp_path)!r}) / 'other')
expected = look(case.tree)
write(case.tree, {{'new/a': '1', 'new/b': '2', 'src/lib.py': '3'}})
(case.tree / 'new/a').chmod(0)
(case.tree / 'src/lib.py').chmod(0)
(case.tree / 'new').chmod(0o000)
(case.tree / 'src/deep').chmod(0o000)
(case.tree / 'src').chmod(0o100)
assert kinds(case.capture()) == {{'new/a': 'added', 'new/b': 'added', 'src/lib.py': 'modified'}}
(case.tree / 'new').chmod(0o500)
(case.tree / 'src').chmod(0o500)
case.trees.place('agent', case.start)
assert look(case.tree) == expected
"""
    tmp_path.chmod(0o777)
    for parent in tmp_path.parents:
        if parent != Path("/") and parent.owner() == "root" and str(parent).startswith("/tmp/"):
            parent.chmod(0o755)
    home = Path(__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": str(home.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_time_given_is_the_time_of_the_commit(case: Case) -> None:
    write(case.tree, {"app.py": "2\n"})
    said = case.git("show", "--no-patch", "--format=%an <%ae> %at %cn <%ce> %ct %s", case.commit())
    assert said == f"autoloop <autoloop@localhost> {AT:.0f} autoloop <autoloop@localhost> {AT:.0f} experiment"


def test_stripping_removes_the_folders_that_it_empties(case: Case) -> None:
    case.trees.strip("agent", lambda path: path.startswith("src/"))
    assert not (case.tree / "src").exists(), "Python imports an empty folder as a package"
    assert (case.tree / "app.py").exists() or (case.tree / "run.sh").exists()
