"""Faults from outside, in the middle of whole runs: each ends as documented, and no row is wrong."""

import shutil
import subprocess
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from autoloop.core.run.events import Disturbed, RunStopped, SessionEnded
from autoloop.errors import AutoloopError, as_fixable
from tests.campaign import a_campaign, left_by
from tests.faults import at, read_only
from tests.real_git import commit_all, git, write
from tests.real_run import Checkout

BETTER = "echo x = $((100 - 10 * n)) > code.py"
"""Every experiment is an improvement."""


def disturbances(checkout: Checkout) -> list[str]:
    return [event.why for event in checkout.events if isinstance(event, Disturbed)]


# Trees that vanish


def home(checkout: Checkout) -> Path:
    return checkout.cache / checkout.directory.run_id


@pytest.mark.parametrize("phase", ["agent", "capture", "measuring"])
@pytest.mark.parametrize("what", ["t/0", "t/a", "t/b", "t", "index", "git", "scratch", ""])
def test_whatever_vanishes_from_the_cache_is_made_again(checkout: Checkout, phase: str, what: str) -> None:
    checkout.agent(BETTER)
    vanish = at(phase, 2, lambda: shutil.rmtree(home(checkout) / what, ignore_errors=True), checkout.seen)
    checkout.run(on_progress=vanish)
    assert checkout.reasons == ["improved"] * 3
    assert [row.metric for row in checkout.rows] == [100, 90, 80, 70]


@pytest.mark.parametrize("script", ["", "rm code.py; "])
def test_a_tree_that_vanishes_under_a_measurement_costs_its_candidate_nothing(
    checkout: Checkout, tmp_path: Path, script: str
) -> None:
    """Gone as a whole, or still going: the sample is taken again, in a tree that is whole."""
    once = tmp_path / "once"
    gone = f'rm -rf "$PWD"/{"*" if script else ""}'
    checkout.agent(BETTER)
    checkout.measure(f"[ $x = 80 ] && [ ! -e {once} ] && {{ touch {once}; {gone}; exit 1; }}", 'echo "METRIC ms=$x"')
    checkout.run()
    assert checkout.reasons == ["improved"] * 3
    assert disturbances(checkout) == ["files of the tree vanished while it was measured"]


def test_a_number_that_was_measured_in_a_vanishing_tree_does_not_count(checkout: Checkout, tmp_path: Path) -> None:
    once = tmp_path / "once"
    checkout.agent(BETTER)
    checkout.measure(
        f'[ $x = 80 ] && [ ! -e {once} ] && {{ touch {once}; rm -rf "$PWD"; x=1; }}', 'echo "METRIC ms=$x"'
    )
    checkout.run()
    assert [row.metric for row in checkout.rows] == [100, 90, 80, 70]


def test_a_candidate_that_deletes_its_own_tree_fails_in_the_end(checkout: Checkout) -> None:
    checkout.agent(BETTER)
    checkout.measure('[ $x = 80 ] && { rm -rf "$PWD"; exit 1; }', 'echo "METRIC ms=$x"')
    checkout.run()
    # Its share of the program's directory went with the tree.
    assert checkout.reasons == ["improved", "lock_violation", "improved"]
    assert len(disturbances(checkout)) == 3


def test_an_agent_whose_tree_vanished_is_asked_again_and_one_that_deletes_it_went_too_far(
    checkout: Checkout, tmp_path: Path
) -> None:
    once = tmp_path / "once"
    checkout.agent(f"""{BETTER}
[ $n = 1 ] && [ ! -e {once} ] && {{ touch {once}; rm -rf "$AUTOLOOP_TREE"; }}
[ $n = 2 ] && rm -rf "$AUTOLOOP_TREE"; true""")
    checkout.run()
    assert checkout.reasons == ["improved", "out_of_scope", "improved"]
    assert disturbances(checkout) == ["the agent's tree vanished"] * 2
    assert sum(isinstance(event, SessionEnded) for event in checkout.events) == 5, "every session was paid for"


def test_caches_that_vanish_with_everything_stop_the_run_and_come_back_with_a_resume(checkout: Checkout) -> None:
    write(checkout.root, {".gitignore": "deps\n"})
    checkout.configure(cache_paths=["deps"])
    checkout.script("prepare.sh", "echo 7 > deps/seven\n")
    checkout.agent(BETTER)
    checkout.measure("[ $(<deps/seven) = 7 ] || exit 1", 'echo "METRIC ms=$x"')
    with pytest.raises(AutoloopError, match="vanished"):
        checkout.run(on_progress=at("agent", 2, lambda: shutil.rmtree(home(checkout)), checkout.seen))
    checkout.resume()
    assert checkout.reasons == ["improved"] * 3


def test_one_tree_that_vanishes_gets_its_caches_back(checkout: Checkout) -> None:
    write(checkout.root, {".gitignore": "deps\n"})
    checkout.configure(cache_paths=["deps"])
    checkout.script("prepare.sh", "echo 7 > deps/seven\n")
    checkout.agent(BETTER)
    checkout.measure("[ $(<deps/seven) = 7 ] || exit 1", 'echo "METRIC ms=$x"')
    for tree in ("a", "b"):
        shutil.rmtree(checkout.root / ".autoloop", ignore_errors=True)
        checkout.run(on_progress=at("agent", 2, lambda tree=tree: shutil.rmtree(home(checkout) / "t" / tree), []))
        assert checkout.reasons == ["improved"] * 3


def test_the_removal_of_the_runs_directory_stops_it_with_one_line(checkout: Checkout) -> None:
    checkout.agent(BETTER)
    folder: list[Path] = []

    def vanish() -> None:
        folder.append(checkout.directory.path)
        shutil.rmtree(checkout.directory.path)

    with pytest.raises(AutoloopError) as stopped:
        checkout.run(on_progress=at("capture", 2, vanish, checkout.seen))
    assert "journal.jsonl" in stopped.value.message and "removed from outside" in stopped.value.message
    assert not (folder[0] / "journal.jsonl").exists()


# The user's repository while a run goes on


def moved(checkout: Checkout) -> str:
    """A commit of the user's own on the run's branch."""
    branch = f"autoloop/p/{checkout.directory.run_id}"
    commit = git(checkout.root, "commit-tree", f"{branch}^{{tree}}", "-p", branch, "-m", "theirs")
    git(checkout.root, "update-ref", f"refs/heads/{branch}", commit)
    return commit


USERS: dict[str, Callable[[Checkout], object]] = {
    "checks it out": lambda c: git(c.root, "checkout", "-q", "-f", f"autoloop/p/{c.directory.run_id}"),
    "moves it": moved,
    "deletes it": lambda c: git(c.root, "branch", "-q", "-D", f"autoloop/p/{c.directory.run_id}"),
    "renames it": lambda c: git(c.root, "branch", "-m", f"autoloop/p/{c.directory.run_id}", "mine"),
    "commits elsewhere": lambda c: commit_all(c.root),
    "resets the checkout": lambda c: git(c.root, "reset", "-q", "--hard"),
    "packs the refs": lambda c: git(c.root, "pack-refs", "--all", "--prune"),
}


@pytest.mark.parametrize("phase", ["agent", "measuring"])
@pytest.mark.parametrize("what", USERS)
def test_whatever_a_person_does_with_the_branch_the_rows_are_the_same(
    checkout: Checkout, phase: str, what: str
) -> None:
    checkout.agent(BETTER)
    theirs: list[object] = []
    checkout.run(on_progress=at(phase, 2, lambda: theirs.append(USERS[what](checkout)), checkout.seen))
    assert checkout.reasons == ["improved"] * 3
    refs, run = checkout.refs(), checkout.directory.run_id
    assert refs[f"refs/autoloop/{run}/head"] == refs[f"refs/autoloop/{run}/3"] == checkout.row(3).commit
    branch = refs.get(f"refs/heads/autoloop/p/{run}")
    if what == "moves it":
        assert branch == theirs[0], "their commit stays theirs"
    elif what == "checks it out":
        assert branch == checkout.row(1).commit, "a branch in use does not move under anybody's feet"
        git(checkout.root, "checkout", "-q", "--detach")
        checkout.resume()
        assert checkout.refs()[f"refs/heads/autoloop/p/{run}"] == checkout.head()
    else:
        assert branch == checkout.head()


def test_a_head_that_a_person_moved_stops_the_run_and_says_how_to_put_it_back(checkout: Checkout) -> None:
    checkout.agent(BETTER)
    ref = "refs/autoloop/{}/head"

    def move() -> None:
        git(checkout.root, "update-ref", ref.format(checkout.directory.run_id), "HEAD")

    with pytest.raises(AutoloopError, match="Someone moved it") as stopped:
        checkout.run(on_progress=at("measuring", 2, move, checkout.seen))
    assert isinstance(checkout.events[-1], RunStopped) and checkout.events[-1].reason == "fault"
    assert checkout.reasons == ["improved"] * 2, "the decision stands"
    command = stopped.value.hint.split("`")[1].split()
    git(checkout.root, *command[1:])
    checkout.resume()
    assert checkout.reasons == ["improved"] * 3


@pytest.mark.parametrize("rule", [
    pytest.param("median"), pytest.param("paired", marks=pytest.mark.faults),
])  # fmt: skip
def test_every_candidate_survives_a_repository_that_is_collected_all_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    monkeypatch.setenv("SAMPLES", str(tmp_path / "samples"))
    expected = a_campaign(tmp_path / "calm", rule)
    expected.checkout.run()
    campaign = a_campaign(tmp_path / "swept", rule)
    root, over = campaign.checkout.root, threading.Event()

    def collect() -> None:
        for number in range(1_000_000):
            command = (["gc", "--prune=now", "--quiet"], ["prune"], ["repack", "-adq"], ["prune"])[number % 4]
            subprocess.run(["git", *command], cwd=root, capture_output=True, check=False)
            if over.is_set():
                return

    collector = threading.Thread(target=collect)
    collector.start()
    try:
        campaign.checkout.run()
    finally:
        over.set()
        collector.join()
    assert left_by(campaign.checkout) == left_by(expected.checkout)
    campaign.checkout.resume()
    assert git(root, "fsck", "--full", "--strict", "--no-dangling") == ""
    git(root, "gc", "--prune=now", "--quiet")
    assert left_by(campaign.checkout).pins == left_by(expected.checkout).pins


# The seal


def test_sealed_files_that_an_agent_spoils_spoil_one_experiment(checkout: Checkout) -> None:
    write(checkout.program, {"data/table.txt": "1\n"})
    checkout.agent(f"""{BETTER}
sealed=$(dirname "$AUTOLOOP_PACKET")/../../sealed
[ $n = 1 ] && {{ echo 'echo METRIC ms=1' > $sealed/measure.sh; rm -r $sealed/data; touch $sealed/json.py; }}; true""")
    checkout.run()
    assert checkout.reasons == ["lock_violation", "improved", "improved"]
    assert "measure.sh" in checkout.row(1).why and "table.txt" in checkout.row(1).why
    sealed = checkout.directory.sealed
    assert (sealed / "data/table.txt").read_text() == "1\n" and not (sealed / "json.py").exists()


def test_protected_files_that_a_candidate_spoils_in_the_other_tree_spoil_one_experiment(checkout: Checkout) -> None:
    write(checkout.root, {"golden.txt": "1\n"})
    commit_all(checkout.root)
    checkout.configure(protected=["golden.txt"], rule="paired", calibration_pairs=3, max_pairs=4)
    checkout.agent(BETTER)
    checkout.measure("[ $x = 90 ] && echo 2 | tee ../?/golden.txt", 'echo "METRIC ms=$x"')
    checkout.run()
    assert checkout.reasons == ["lock_violation", "improved", "improved"]


def test_a_seal_that_was_damaged_between_two_processes_is_one_line(checkout: Checkout) -> None:
    checkout.agent(BETTER)
    checkout.run(limits={"max_experiments": 1})
    (checkout.directory.sealed / "measure.sh").write_text("echo METRIC ms=1\n")
    with pytest.raises(AutoloopError, match=r"the sealed measure.sh was changed or removed") as stopped:
        checkout.resume(limits={"max_experiments": 2})
    assert "Restore" in stopped.value.hint
    assert checkout.reasons == ["improved"]
    last = checkout.events[-1]
    assert isinstance(last, RunStopped) and last.reason == "fault"


# The journal


@pytest.mark.parametrize("how", ["appended to", "replaced", "cut"])
def test_a_journal_that_somebody_else_writes_to_is_left_as_it_is(checkout: Checkout, how: str) -> None:
    checkout.agent(BETTER)
    left: list[bytes] = []

    def interfere() -> None:
        path = checkout.directory.journal
        whole = path.read_bytes()
        match how:
            case "appended to":
                path.open("ab").write(b'{"at": 1.0, "kind": "run_resumed"}\n')
            case "replaced":
                path.unlink()
                path.write_bytes(whole)
            case "cut":
                path.open("r+b").truncate(whole.rindex(b"\n", 0, -1) + 1)
        left.append(path.read_bytes())

    with pytest.raises(AutoloopError, match=r"journal\.jsonl was changed from outside"):
        checkout.run(on_progress=at("agent", 2, interfere, checkout.seen))
    assert checkout.directory.journal.read_bytes() == left[0]
    checkout.resume()
    assert checkout.reasons == ["improved"] * 3


# A disk that became read-only


def test_looking_works_on_a_read_only_disk_and_starting_is_refused_in_one_line(checkout: Checkout) -> None:
    checkout.agent(BETTER)
    checkout.run(limits={"max_experiments": 1})
    with read_only(checkout.root):
        assert checkout.status()["kept"] == 1
        assert checkout.reasons == ["improved"]
        for start in (checkout.run, checkout.resume):
            with pytest.raises((AutoloopError, OSError)) as refused:
                start(limits={"max_experiments": 2})
            said = refused.value if isinstance(refused.value, AutoloopError) else as_fixable(refused.value)
            assert said is not None and "Read-only file system" in said.message and said.hint
    checkout.resume(limits={"max_experiments": 2})
    assert checkout.reasons == ["improved"] * 2


@pytest.mark.parametrize("what", ["state", "repository", "cache"])
@pytest.mark.parametrize("phase", ["agent", "capture", "measuring"])
def test_a_disk_that_becomes_read_only_stops_the_run_and_a_resume_goes_on(
    checkout: Checkout, phase: str, what: str
) -> None:
    checkout.agent(f"{BETTER}; echo more > new$n.txt")
    with ExitStack() as stack:

        def freeze() -> None:
            places = {"state": checkout.directory.path, "repository": checkout.root / ".git", "cache": home(checkout)}
            stack.enter_context(read_only(places[what]))

        with pytest.raises(AutoloopError) as stopped:
            checkout.run(on_progress=at(phase, 2, freeze, checkout.seen))
        assert "Read-only file system" in stopped.value.message or "resume" in stopped.value.hint
    checkout.resume()
    assert checkout.reasons == ["improved"] * 3
    assert [row.metric for row in checkout.rows] == [100, 90, 80, 70]
