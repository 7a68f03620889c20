"""`clean`: what runs hold on the disk goes, and what they found stays. Real runs, real locks, real processes."""

import fcntl
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from autoloop import api
from autoloop.cleanup.remove import Cleaned
from autoloop.core.holdings import CleanOptions, Holding, State
from autoloop.git.disk import disk_use, remove_what_goes
from autoloop.runs.find import RUNS
from tests.real_git import commit_all, git, look, write
from tests.real_run import Checkout, MadeOnce

PACKAGE = Path(__file__).parent.parent.parent
STEPS = 'echo "x = $((100 - 10 * n))" > code.py'
SILENT: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


@pytest.fixture(autouse=True)
def _as_you_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOLOOP_SANDBOX", "none")
    monkeypatch.setenv("PYTHONPATH", str(PACKAGE))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeOnce:
    def make(checkout: Checkout) -> None:
        checkout.agent(STEPS)
        checkout.run(limits={"max_experiments": 2})

    return MadeOnce(tmp_path_factory.mktemp("finished"), make)


@pytest.fixture
def finished(made: MadeOnce, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """A run that has ended, with two keeps."""
    return made.again(monkeypatch)


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "autoloop", *words]


def start(root: Path, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command(*words), cwd=root, start_new_session=True, **SILENT)


def type_in(root: Path, *words: str, expect: int = 0) -> str:
    done = subprocess.run(command(*words), cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def wait_for(true: Any) -> None:
    until = time.monotonic() + 30
    while not true():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.01)


@contextmanager
def going(checkout: Checkout) -> Iterator[subprocess.Popen[bytes]]:
    """A run whose agent sleeps, in another process."""
    process = start(checkout.root, "run", "p", "--seed", "7")
    try:
        wait_for(lambda: (checkout.root / RUNS).exists() and api.look(checkout.root).alive)
        wait_for((checkout.directory.experiment(1) / "session.jsonl").exists)
        yield process
    finally:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def clean(checkout: Checkout, name: str | None = None, **options: bool) -> Cleaned:
    return api.clean(api.holdings(checkout.root, name, CleanOptions(**options)))


def entries(checkout: Checkout, **options: bool) -> dict[str, Holding]:
    return {entry.name: entry for entry in api.holdings(checkout.root, None, CleanOptions(**options)).entries}


def only(checkout: Checkout, **options: bool) -> Holding:
    (entry,) = entries(checkout, **options).values()
    return entry


def home(checkout: Checkout) -> Path:
    return checkout.cache / checkout.directory.run_id


def told(checkout: Checkout) -> list[dict[str, object]]:
    """The rows, without what no two runs share."""
    return [row.model_dump(exclude={"seconds", "commit"}) for row in checkout.rows]


# What goes and what stays


def test_a_finished_run_loses_its_trees_and_nothing_else(finished: Checkout) -> None:
    before = finished.snapshot(), finished.refs(), look(finished.directory.path), finished.status_text()
    held = disk_use(bytes(home(finished))).total
    entry = only(finished)
    assert (entry.state, entry.refs, entry.frees(CleanOptions())) == (State.FINISHED, 4, held)

    cleaned = clean(finished)
    assert (cleaned.freed, cleaned.problems) == (held, [])
    assert list(finished.cache.iterdir()) == []
    assert (finished.snapshot(), finished.refs(), look(finished.directory.path), finished.status_text()) == before
    assert api.holdings(finished.root).to_go == ()


def test_looking_changes_nothing(finished: Checkout) -> None:
    before = look(finished.cache), look(finished.directory.path), finished.refs()
    api.holdings(finished.root, None, CleanOptions(True, True, True, True, True))
    assert (look(finished.cache), look(finished.directory.path), finished.refs()) == before


def test_a_resume_after_a_clean_gives_the_rows_that_it_would_have_given(finished: Checkout, tmp_path: Path) -> None:
    clean(finished)
    finished.resume(limits={"max_experiments": 4})
    other = Checkout(tmp_path / "other", finished.cache)
    other.agent(STEPS)
    other.run(limits={"max_experiments": 4})
    assert told(finished) == told(other)
    assert [row.reason for row in finished.rows[1:]] == ["improved"] * 4
    assert finished.files_of(finished.head()) == other.files_of(other.head())


def test_what_is_prepared_once_per_tree_is_prepared_again(checkout: Checkout) -> None:
    checkout.configure(cache_paths=["deps"], max_experiments=1)
    checkout.script("prepare.sh", "mkdir -p deps; echo 1 > deps/one; head -c 100000 /dev/urandom > deps/more\n")
    checkout.measure("test -f deps/one || exit 1", 'echo "METRIC ms=$x"')
    checkout.agent(STEPS)
    checkout.run()
    sizes = only(checkout).sizes
    assert {part.value: amount >= 100_000 for part, amount in sizes.items() if part.value == "caches"} == {
        "caches": True
    }
    clean(checkout)
    checkout.resume(limits={"max_experiments": 2})
    assert checkout.reasons == ["improved", "improved"]


def test_a_killed_run_keeps_its_trees_unless_told(checkout: Checkout) -> None:
    checkout.agent("sleep 60")
    with going(checkout) as process:
        kill(process)
    assert only(checkout).state is State.KILLED
    assert clean(checkout).freed == 0
    assert clean(checkout, runs=True, branches=True).freed == 0
    assert home(checkout).exists() and checkout.directory.journal.exists()

    assert clean(checkout, killed=True).freed > 0
    assert not home(checkout).exists()
    checkout.agent(STEPS)
    assert checkout.resume().summary.kept == 3


def test_a_run_that_goes_is_never_touched(checkout: Checkout) -> None:
    checkout.agent("sleep 60")
    everything = dict.fromkeys(("killed", "everywhere", "transcripts", "runs", "branches"), True)
    with going(checkout):
        before = checkout.refs(), look(home(checkout))
        assert only(checkout, **everything).state is State.ALIVE
        assert clean(checkout, **everything) == Cleaned()
        assert (checkout.refs(), look(home(checkout))) == before
        assert checkout.status()["alive"]


def test_a_run_that_was_taken_up_since_it_was_looked_at_is_left(finished: Checkout) -> None:
    found = api.holdings(finished.root, None, CleanOptions(runs=True))
    with FileLock(finished.directory.lock):
        cleaned = api.clean(found)
    assert cleaned.freed == 0 and "taken up meanwhile" in cleaned.problems[0]
    assert home(finished).exists() and finished.directory.journal.exists()

    with (home(finished) / "owner").open("rb") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX)
        assert "taken up meanwhile" in api.clean(found).problems[0]
        assert only(finished).state is State.ALIVE


def test_a_clean_that_was_cut_short_is_finished_by_the_next_one(finished: Checkout) -> None:
    aside = finished.cache / "removed" / f"{finished.directory.run_id}.abcdef01"
    aside.parent.mkdir()
    home(finished).rename(aside)
    shutil.rmtree(aside / "t/a")
    finished.resume(limits={"max_experiments": 3})
    assert finished.reasons == ["improved"] * 3
    clean(finished)
    assert list(finished.cache.iterdir()) == []


def test_half_written_files_of_dead_processes_go(finished: Checkout) -> None:
    old, new = (finished.directory.path / f".state.json.{number}" for number in (12345, 12346))
    for path in (old, new):
        path.write_text("{")
    os.utime(old, (time.time() - 120,) * 2)
    clean(finished)
    assert (old.exists(), new.exists()) == (False, True), "a minute is long enough to write a file"


def test_packets_and_transcripts_of_what_was_not_kept_go_when_asked_for(checkout: Checkout) -> None:
    checkout.agent('[ $n = 2 ] && echo "x = 90" > code.py || echo "# $n" >> code.py; echo said')
    checkout.run()
    folder = checkout.directory.path / "experiments"
    rows = told(checkout)
    clean(checkout, transcripts=True)
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {"0001/diff.patch", "0002/diff.patch", "0002/packet.md", "0002/session.jsonl", "0003/diff.patch"} <= there
    assert not {"0001/packet.md", "0001/session.jsonl", "0003/packet.md"} & there
    assert told(checkout) == rows
    assert checkout.resume(limits={"max_experiments": 4}).summary.experiments == 4


def test_a_journal_that_cannot_be_read_keeps_its_transcripts(finished: Checkout) -> None:
    lines = finished.directory.journal.read_bytes().splitlines(keepends=True)
    finished.directory.journal.write_bytes(b"".join([lines[0], b"broken\n", *lines[2:]]))
    cleaned = clean(finished, transcripts=True)
    assert len(cleaned.problems) == 1 and "line 2, is damaged" in cleaned.problems[0]
    assert list(finished.cache.iterdir()) == [], "the trees go all the same"
    assert (finished.directory.experiment(1) / "packet.md").exists()


# Whole runs


def test_whole_runs_go_with_their_refs_and_leave_the_branch(finished: Checkout, tmp_path: Path) -> None:
    before, run, head = finished.snapshot(), finished.directory.run_id, finished.head()
    other = Checkout(tmp_path / "other", finished.cache)
    other.run()
    cleaned = clean(finished, runs=True)
    assert cleaned.problems == []
    assert finished.refs() == {f"refs/heads/autoloop/p/{run}": head}
    assert api.look(finished.root).runs == ()
    assert [path.name for path in (finished.root / RUNS).rglob("*")] == ["p", "run.lock"]
    assert finished.snapshot() == before
    assert finished.run().summary.experiments == 3, "a new run can begin"
    assert len(other.rows) == 4 and home(other).exists()


def test_a_branch_goes_when_asked_for_unless_it_is_checked_out(finished: Checkout) -> None:
    run, head = finished.directory.run_id, finished.head()
    branch = f"autoloop/p/{run}"
    git(finished.root, "checkout", "--quiet", branch)
    cleaned = clean(finished, runs=True, branches=True)
    assert len(cleaned.problems) == 1 and "checked out" in cleaned.problems[0]
    assert finished.refs() == {f"refs/heads/{branch}": head}

    git(finished.root, "checkout", "--quiet", "-")
    cleaned = clean(finished, run, runs=True, branches=True)
    assert (cleaned.problems, cleaned.branches, finished.refs()) == ([], [f"{branch} {head}"], {})


def test_only_the_named_runs_go(finished: Checkout) -> None:
    first = finished.directory
    finished.run()
    clean(finished, first.run_id, runs=True)
    assert [run.run_id for run in api.look(finished.root).runs] == [finished.directory.run_id] != [first.run_id]
    assert home(finished).exists()
    assert api.holdings(finished.root, "p").to_go and "there is no run 'q'" in type_in(
        finished.root, "clean", "q", expect=2
    )


def test_a_run_in_another_worktree_is_not_gone(finished: Checkout, tmp_path: Path) -> None:
    other = tmp_path / "worktree"
    git(finished.root, "worktree", "add", "--quiet", "--detach", str(other))
    write(other, {"autoloop.toml": (finished.root / "autoloop.toml").read_text()})
    refs = finished.refs()
    found = api.holdings(other, None, CleanOptions(runs=True, branches=True))
    assert (found.entries, found.elsewhere) == ((), 1)
    api.clean(found)
    assert finished.refs() == refs and home(finished).exists()
    clean(finished)
    assert api.holdings(other, None, CleanOptions(runs=True, branches=True)).entries == ()

    shutil.rmtree(finished.directory.path)
    found = api.holdings(other, None, CleanOptions(runs=True, branches=True))
    assert [entry.state for entry in found.entries] == [State.GONE]


# What nobody needs any more


def test_the_trees_of_a_run_that_is_gone_go_and_its_refs_when_whole_runs_do(finished: Checkout) -> None:
    refs, run = finished.refs(), finished.directory.run_id
    shutil.rmtree(finished.directory.path)
    assert entries(finished)[run].state is State.GONE
    clean(finished)
    assert not (finished.cache / run).exists() and finished.refs() == refs
    clean(finished, runs=True)
    assert list(finished.refs()) == [f"refs/heads/autoloop/p/{run}"]


def test_the_trees_of_a_repository_that_is_gone_go(finished: Checkout, tmp_path: Path) -> None:
    other = Checkout(tmp_path / "other", finished.cache)
    other.run()
    name = home(other).name
    shutil.rmtree(other.root)
    assert entries(finished)[name].state is State.GONE
    clean(finished)
    assert list(finished.cache.iterdir()) == []


def test_other_repositories_are_left_alone_unless_told(finished: Checkout, tmp_path: Path) -> None:
    other = Checkout(tmp_path / "other", finished.cache)
    other.run()
    refs = other.refs()
    assert api.holdings(finished.root).elsewhere == 1
    clean(finished, runs=True, killed=True, branches=True)
    assert home(other).exists()

    clean(finished, everywhere=True, runs=True, branches=True)
    assert not home(other).exists()
    assert len(other.rows) == 4 and other.refs() == refs


@pytest.mark.parametrize("words", [("validate", "p"), ("compare", "HEAD", "HEAD", "--", "sleep", "60")])
def test_what_a_killed_validation_or_comparison_left_goes(checkout: Checkout, words: tuple[str, ...]) -> None:
    checkout.script("prepare.sh", "sleep 60\n")
    process = start(checkout.root, *words)
    try:
        wait_for(lambda: any(name.startswith(f"refs/autoloop/{words[0]}") for name in checkout.refs()))
        wait_for(lambda: list(checkout.cache.glob("*/t/*")))
        (entry,) = entries(checkout).values()
        assert (entry.state, clean(checkout)) == (State.ALIVE, Cleaned())
    finally:
        kill(process)
    (entry,) = entries(checkout).values()
    assert entry.state is State.LEFT_OVER
    assert clean(checkout).problems == []
    assert (list(checkout.cache.iterdir()), checkout.refs()) == ([], {})


def test_a_copy_of_a_repository_does_not_share_trees_with_a_run_that_goes(checkout: Checkout, tmp_path: Path) -> None:
    checkout.agent("sleep 60")
    with going(checkout):
        copy = tmp_path / "copy"
        shutil.copytree(checkout.root, copy)
        found = api.holdings(copy, None, CleanOptions(killed=True, runs=True))
        assert [entry.state for entry in found.entries] == [State.ALIVE]
        assert "in use by another process" in type_in(copy, "run", "p", "--resume", expect=2)


def test_calibrations_of_another_day_and_stale_trials_go(finished: Checkout) -> None:
    calibrations = finished.cache / "calibrations"
    write(finished.cache, {f"calibrations/{digit * 24}.json": "{}" for digit in "ab"})
    write(finished.cache, {"trial-0123abcd/tree/x": "x", "trial-4567abcd/tree/x": "x", "mine/x": "x"})
    for path in (calibrations / f"{'a' * 24}.json", finished.cache / "trial-0123abcd"):
        os.utime(path, (time.time() - 100_000,) * 2)
    clean(finished)
    left = {str(path.relative_to(finished.cache)) for path in finished.cache.rglob("*") if path.is_file()}
    assert left == {f"calibrations/{'b' * 24}.json", "trial-4567abcd/tree/x", "mine/x"}


# What is in the way


def test_links_to_the_checkout_are_not_followed(checkout: Checkout) -> None:
    checkout.run()
    folder, cache, root = home(checkout), checkout.cache, checkout.root
    write(root, {f"{'a' * 24}.json": "mine", "0001/packet.md": "mine", ".state.json.7": "mine"})
    commit_all(root)
    for path in (root / f"{'a' * 24}.json", root / ".state.json.7"):
        os.utime(path, (time.time() - 200_000,) * 2)
    for place in ("t/0/link", "t/a/link", "scratch/link", "link", "aside"):
        (folder / place).symlink_to(root)
    (folder / "owner").unlink()
    (folder / "owner").symlink_to(root / "code.py")
    shutil.rmtree(folder / "t/b", ignore_errors=True)
    (folder / "t/b").symlink_to(root)
    for place in ("removed", "calibrations", "20200101-000000-00000", "validate-0123abcd", "trial-0123abcd"):
        (cache / place).symlink_to(root)
    experiments = checkout.directory.path / "experiments"
    shutil.rmtree(experiments)
    experiments.symlink_to(root)
    before = checkout.snapshot()
    assert clean(checkout, killed=True, everywhere=True, transcripts=True).problems == []
    assert checkout.snapshot() == before
    assert not folder.exists()
    clean(checkout, runs=True)
    assert checkout.snapshot() == before
    assert api.look(checkout.root).runs == ()


def test_an_owner_that_became_a_link_is_replaced_and_not_written_through(finished: Checkout) -> None:
    owner = home(finished) / "owner"
    owner.unlink()
    owner.symlink_to(finished.root / "code.py")
    before = finished.snapshot()
    finished.resume(limits={"max_experiments": 3})
    assert finished.snapshot() == before
    assert owner.read_text() == f"{finished.root}\n" and not owner.is_symlink()


def test_a_home_that_is_a_link_is_not_followed(finished: Checkout, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    home(finished).rename(elsewhere)
    home(finished).symlink_to(elsewhere)
    before = look(elsewhere)
    assert clean(finished).problems == []
    assert look(elsewhere) == before


def test_closed_and_very_deep_folders_go(finished: Checkout) -> None:
    deep = home(finished) / "t/0"
    handle = os.open(deep, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("down", dir_fd=handle)
        below = os.open("down", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    os.close(handle)
    closed = home(finished) / "t/a/closed"
    closed.mkdir()
    (closed / "file").touch()
    closed.chmod(0)
    home(finished).chmod(0o500)
    assert clean(finished).problems == []
    assert list(finished.cache.iterdir()) == []


@pytest.fixture
def immovable(finished: Checkout) -> Iterator[Path]:
    """A file in a tree that nobody can remove."""
    path = home(finished) / "t/0/stays"
    path.touch()
    if shutil.which("chattr") is None or subprocess.run(["chattr", "+i", path], check=False, **SILENT).returncode:
        pytest.skip("needs the right to make a file immutable")
    yield path
    for found in finished.cache.rglob("stays"):
        subprocess.run(["chattr", "-i", found], check=False, **SILENT)


def test_what_cannot_be_removed_is_one_line_and_the_rest_goes(finished: Checkout, immovable: Path) -> None:
    first = finished.directory.run_id
    finished.run()
    said = type_in(finished.root, "clean", "--yes", expect=2)
    complaints = [line for line in said.splitlines() if line.startswith("autoloop:")]
    assert len(complaints) == 1 and "stays cannot be removed: Operation not permitted" in complaints[0]
    (left,) = (path for path in finished.cache.rglob("*") if path.is_file())
    assert left.name == "stays" and left.is_relative_to(finished.cache / "removed") and str(left) in complaints[0]
    assert first in str(left)

    subprocess.run(["chattr", "-i", left], check=True)
    type_in(finished.root, "clean", "--yes")
    assert list(finished.cache.iterdir()) == []


def test_the_size_is_what_would_be_free(tmp_path: Path) -> None:
    """A file that has another name elsewhere stays, as objects do that a repository has as well."""
    inside = tmp_path / "inside"
    write(inside, {"one": "x" * 100_000, "sub/two": "x" * 100_000})
    alone = disk_use(bytes(inside)).total
    os.link(inside / "one", tmp_path / "outside")
    os.link(inside / "sub/two", inside / "sub/again")
    assert alone - 120_000 < disk_use(bytes(inside)).total <= alone - 100_000
    assert disk_use(bytes(inside), frozenset([bytes(inside / "sub")])).apart >= 100_000
    assert remove_what_goes(bytes(inside)) is None and (tmp_path / "outside").stat().st_size == 100_000


# The command


def test_without_a_terminal_it_shows_and_names_the_command(finished: Checkout) -> None:
    said = type_in(finished.root, "clean", "--transcripts")
    assert f"p {finished.directory.run_id}" in said and "finished" in said and "This frees" in said
    assert said.splitlines()[-1] == "Nothing was removed. To remove it: autoloop clean --transcripts --yes"
    assert home(finished).exists()
    told = type_in(finished.root, "clean", "--yes")
    assert "freed" in told and not home(finished).exists()
    assert "Nothing to free." in type_in(finished.root, "clean")


def take_terminal() -> None:
    """Have a Ctrl-C arrive, as in a shell, also where whoever runs the tests ignores it."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize(("answer", "stays"), [("n\n", True), ("\n", True), ("yes\n", False), ("\x03", True)])
def test_at_a_terminal_it_asks(finished: Checkout, answer: str, stays: bool) -> None:
    main, other = pty.openpty()
    process = subprocess.Popen(
        command("clean"), cwd=finished.root, stdin=other, stdout=other, stderr=other, start_new_session=True,
        preexec_fn=take_terminal,
    )  # fmt: skip
    os.close(other)
    shown = b""
    while b"[y/N]" not in shown:
        shown += os.read(main, 10_000)
    time.sleep(0.2)  # the question is there before anybody listens to the keys
    os.write(main, answer.encode())
    assert process.wait(30) == (130 if answer == "\x03" else 0)
    assert home(finished).exists() is stays


def test_json_says_everything_and_removes_only_with_yes(finished: Checkout) -> None:
    found = json.loads(type_in(finished.root, "clean", "--json"))
    (entry,) = found["entries"]
    assert (found["removed"], found["freed"], entry["state"], entry["refs"]) == (False, 0, "finished", 4)
    assert found["frees"] == entry["frees"] == sum(entry["bytes"].get(part, 0) for part in entry["goes"]) > 0
    assert home(finished).exists()
    found = json.loads(type_in(finished.root, "clean", "--json", "--yes"))
    assert (found["removed"], found["freed"], found["problems"]) == (True, found["frees"], [])
    assert not home(finished).exists()


def test_branches_go_with_whole_runs_only(finished: Checkout) -> None:
    assert "--branches goes with --runs" in type_in(finished.root, "clean", "--branches", "--yes", expect=2)


def test_the_end_of_a_run_names_clean_when_its_trees_hold_much(checkout: Checkout) -> None:
    assert "clean" not in type_in(checkout.root, "run", "p", "--max-experiments", "1", expect=3)
    if shutil.disk_usage(checkout.cache).free < 4e9 or shutil.which("fallocate") is None:
        pytest.skip("needs room for a gigabyte")
    write(checkout.root, {".gitignore": "big\n"})
    commit_all(checkout.root)
    checkout.agent("fallocate -l 1100M big")
    said = type_in(checkout.root, "run", "p", "--max-experiments", "1", expect=3)
    run = checkout.directory.run_id
    assert said.splitlines()[-1] == f"its trees hold 1.2 GB, for a quick resume; to free them: autoloop clean {run}"
