"""What of a run, a bench or a leftover may go, by what became of it and what was asked for."""

import pytest

from autoloop.core.holdings import LASTING, MADE_AGAIN, CleanOptions, Holding, Part, State

NOTHING: frozenset[Part] = frozenset()
ALL = CleanOptions(killed=True, everywhere=True, transcripts=True, runs=True, branches=True)
RUNS = CleanOptions(runs=True)
WORKSPACES = CleanOptions(workspaces=True)
OF_A_RUN = frozenset(Part) - {Part.WORKSPACES, Part.RECORDS}
KILLED = CleanOptions(killed=True)
EVERYWHERE = CleanOptions(everywhere=True)


def holding(state: State, whose: str = "own") -> Holding:
    sizes = dict.fromkeys(Part, 1)
    return Holding("r", state, here=whose != "foreign", own=whose == "own", sizes=sizes, refs=3, branch="autoloop/p/r")


@pytest.mark.parametrize(
    ("state", "whose", "options", "goes"),
    [
        (State.FINISHED, "own", CleanOptions(), MADE_AGAIN),
        (State.FINISHED, "own", KILLED, MADE_AGAIN),
        (State.FINISHED, "own", CleanOptions(transcripts=True), MADE_AGAIN | {Part.TRANSCRIPTS}),
        (State.FINISHED, "own", RUNS, MADE_AGAIN | LASTING),
        (State.FINISHED, "own", ALL, OF_A_RUN),
        (State.KILLED, "own", CleanOptions(), NOTHING),
        (State.KILLED, "own", RUNS, NOTHING),
        (State.KILLED, "own", KILLED, MADE_AGAIN),
        (State.KILLED, "own", ALL, OF_A_RUN),
        (State.ALIVE, "own", ALL, NOTHING),
        (State.NEWER, "own", ALL, NOTHING),
        (State.GONE, "own", CleanOptions(), MADE_AGAIN),
        (State.GONE, "own", RUNS, MADE_AGAIN | LASTING),
        (State.LEFT_OVER, "own", CleanOptions(), MADE_AGAIN | {Part.REFS}),
        # A demo, or a repository that is gone: nothing of it is this repository's.
        (State.FINISHED, "near", ALL, MADE_AGAIN),
        (State.GONE, "near", CleanOptions(), MADE_AGAIN),
        (State.KILLED, "near", CleanOptions(), NOTHING),
        (State.FINISHED, "foreign", RUNS, NOTHING),
        (State.FINISHED, "foreign", EVERYWHERE, MADE_AGAIN),
        (State.FINISHED, "foreign", ALL, MADE_AGAIN),
        (State.KILLED, "foreign", EVERYWHERE, NOTHING),
        (State.ALIVE, "foreign", ALL, NOTHING),
        (State.LEFT_OVER, "foreign", CleanOptions(), NOTHING),
        (State.LEFT_OVER, "foreign", EVERYWHERE, MADE_AGAIN | {Part.REFS}),
    ],
)
def test_what_goes(state: State, whose: str, options: CleanOptions, goes: frozenset[Part]) -> None:
    entry = holding(state, whose)
    assert entry.parts_to_go(options) == goes
    assert entry.frees(options) == len(goes)
    assert entry.has_something_to_go(options) is bool(goes)


@pytest.mark.parametrize(
    ("state", "is_latest", "options", "goes"),
    [
        (State.FINISHED, False, CleanOptions(), {Part.LITTER}),
        (State.FINISHED, False, ALL, {Part.LITTER}),
        (State.FINISHED, False, WORKSPACES, {Part.LITTER, Part.WORKSPACES}),
        (State.FINISHED, True, WORKSPACES, {Part.LITTER}),
        (State.UNFINISHED, False, WORKSPACES, {Part.LITTER}),
        (State.ALIVE, False, WORKSPACES, NOTHING),
    ],
)
def test_what_goes_of_a_bench(state: State, is_latest: bool, options: CleanOptions, goes: set[Part]) -> None:
    entry = Holding("b", state, "bench", own=True, sizes=dict.fromkeys(Part, 1), is_latest=is_latest)
    assert entry.parts_to_go(options) == goes


def test_what_git_alone_holds_is_something_to_go() -> None:
    refs, branch = Holding("r", State.GONE, own=True, refs=2), Holding("r", State.GONE, own=True, branch="b")
    assert [refs.has_something_to_go(wanted) for wanted in (CleanOptions(), RUNS)] == [False, True]
    assert [branch.has_something_to_go(wanted) for wanted in (RUNS, ALL)] == [False, True]
