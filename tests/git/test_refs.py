from pathlib import Path

import pytest

from autoloop.errors import AutoloopError
from tests.real_git import AT, Case, commit_all, git, write

HEAD, BRANCH = "refs/autoloop/r1/head", "autoloop/speed/r1"


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def candidate(case: Case, number: int, parent: str) -> str:
    tree = case.trees.place("agent", parent)
    write(tree, {"app.py": f"print({number})\n", f"{number}.py": "1\n"})
    found = case.trees.capture(number, parent, at=AT, message="m").candidate
    assert found
    return found.commit


def where(case: Case, ref: str) -> str:
    return case.git("rev-parse", "--verify", "--quiet", ref, accept=(0, 1))


def test_head_and_branch_follow_what_is_kept(case: Case) -> None:
    assert where(case, HEAD) == where(case, "refs/autoloop/r1/start") == case.start
    assert where(case, BRANCH) == ""
    first = candidate(case, 1, case.start)
    assert case.trees.settle(head=first, previous=case.start) is None
    assert where(case, HEAD) == where(case, BRANCH) == first
    second = candidate(case, 2, first)
    assert case.trees.settle(head=second, previous=first) is None
    assert where(case, HEAD) == where(case, BRANCH) == second


def test_settling_twice_or_for_a_discard_changes_nothing(case: Case) -> None:
    first = candidate(case, 1, case.start)
    for _ in range(2):
        assert case.trees.settle(head=first, previous=case.start) is None
    case.again()
    assert case.trees.settle(head=first, previous=case.start) is None
    assert case.trees.settle(head=first, previous=first) is None
    assert where(case, HEAD) == where(case, BRANCH) == first


def test_a_discarded_candidate_stays_reachable(case: Case) -> None:
    first = candidate(case, 1, case.start)
    case.trees.place("agent", case.start)
    case.git("-c", "gc.auto=0", "gc", "--quiet", "--prune=now")
    assert case.git("cat-file", "-t", first) == "commit"
    assert (case.trees.place("b", first) / "1.py").exists()


def test_a_head_that_moved_alone_lets_its_branch_catch_up(case: Case) -> None:
    """As after a kill between the two."""
    first = candidate(case, 1, case.start)
    second = candidate(case, 2, first)
    case.trees.settle(head=first, previous=case.start)
    case.git("update-ref", HEAD, second)
    case.again()
    assert case.trees.settle(head=second, previous=first) is None
    assert where(case, BRANCH) == second


@pytest.mark.parametrize("way", ["checkout", "worktree", "rebase"])
def test_a_branch_that_is_checked_out_is_left_until_it_is_not(case: Case, way: str) -> None:
    first = candidate(case, 1, case.start)
    second = candidate(case, 2, first)
    case.trees.settle(head=first, previous=case.start)
    if way == "worktree":
        case.git("worktree", "add", "--quiet", "../side", BRANCH)
    else:
        case.git("checkout", "--quiet", BRANCH)
    if way == "rebase":
        commit = git(case.checkout, "commit-tree", f"{case.start}^{{tree}}", "-p", case.start, "-m", "other")
        case.git("rebase", "--exec", "false", commit, accept=(1,))
    said = case.trees.settle(head=second, previous=first)
    assert said
    assert "checked out" in said
    assert (where(case, HEAD), where(case, BRANCH)) == (second, first)
    if way == "worktree":
        case.git("worktree", "remove", "--force", "../side")
    else:
        case.git("rebase", "--abort", accept=(0, 128))
        case.git("checkout", "--quiet", "--detach", case.start)
    third = candidate(case, 3, second)
    assert case.trees.settle(head=third, previous=second) is None
    assert where(case, BRANCH) == third


def test_a_branch_that_a_person_moved_is_left_there(case: Case) -> None:
    first = candidate(case, 1, case.start)
    case.trees.settle(head=first, previous=case.start)
    theirs = git(case.checkout, "commit-tree", f"{first}^{{tree}}", "-p", first, "-m", "theirs")
    case.git("update-ref", f"refs/heads/{BRANCH}", theirs)
    second = candidate(case, 2, first)
    said = case.trees.settle(head=second, previous=first)
    assert said
    assert theirs in said
    case.again()
    third = candidate(case, 3, second)
    assert case.trees.settle(head=third, previous=second)
    assert (where(case, HEAD), where(case, BRANCH)) == (third, theirs)


def test_a_branch_that_a_person_deleted_is_made_again(case: Case) -> None:
    first = candidate(case, 1, case.start)
    case.trees.settle(head=first, previous=case.start)
    case.git("branch", "--quiet", "-D", BRANCH)
    second = candidate(case, 2, first)
    assert case.trees.settle(head=second, previous=first) is None
    assert where(case, BRANCH) == second


def test_a_name_that_is_taken_costs_the_branch_and_not_the_head(case: Case) -> None:
    case.git("branch", "autoloop")
    first = candidate(case, 1, case.start)
    said = case.trees.settle(head=first, previous=case.start)
    assert said
    assert HEAD in said
    assert where(case, HEAD) == first


def test_a_head_that_someone_moved_is_an_error(case: Case) -> None:
    first = candidate(case, 1, case.start)
    other = commit_all(case.checkout, "other")
    case.git("update-ref", HEAD, other)
    with pytest.raises(AutoloopError, match=other):
        case.trees.settle(head=first, previous=case.start)
    assert where(case, HEAD) == other


def test_locks_that_a_killed_run_left_do_not_block_the_next(case: Case) -> None:
    for name in ("autoloop/r1/head", "autoloop/r1/1", f"heads/{BRANCH}"):
        lock = case.checkout / ".git/refs" / f"{name}.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.write_text("")
    case.again()
    assert case.trees.settle(head=candidate(case, 1, case.start), previous=case.start) is None


def test_no_hook_of_the_user_runs(case: Case) -> None:
    write(case.checkout, {".git/hooks/reference-transaction": "#!/bin/sh\ntouch hooked\nexit 1\n"})
    (case.checkout / ".git/hooks/reference-transaction").chmod(0o755)
    case.again()
    assert case.trees.settle(head=candidate(case, 1, case.start), previous=case.start) is None
    assert not list(case.folder.rglob("hooked"))


def test_two_runs_share_a_repository(case: Case) -> None:
    other = Case(case.folder / "other", case.checkout)
    assert other.trees.home != case.trees.home
    first = candidate(case, 1, case.start)
    assert case.trees.settle(head=first, previous=case.start) is None
    assert other.trees.place("a", first).exists()
