"""Gaps in time, and steps that something outside has spoiled: what they do to a state."""

from dataclasses import replace

import pytest

from autoloop.core.run.candidate import Candidate
from autoloop.core.run.events import (
    Captured,
    Disturbed,
    Event,
    ExperimentStarted,
    RunResumed,
    Sampled,
    SessionEnded,
    Waited,
)
from autoloop.core.run.measurement import (
    HOLDOUT,
    MEASURE,
    SCREEN,
    Arm,
    MeasurementFailure,
    Sample,
    Series,
    Taken,
    Wanted,
)
from autoloop.core.run.notes import Notes
from autoloop.core.run.program import Rule
from autoloop.core.run.reasons import Reason
from autoloop.core.run.replay import after, replay
from autoloop.core.run.rules import without_half_pair
from autoloop.core.run.state import RunState, rebaseline_due
from autoloop.core.session import Session
from tests.core.histories import CRITERIA, History

HOUR = 3600.0
BASELINE, CANDIDATE = Arm.BASELINE, Arm.CANDIDATE


def taken(arm: Arm, index: int, script: str = MEASURE, value: float = 1.0) -> Taken:
    return Taken(wanted=Wanted(arm=arm, index=index, script=script), result=Sample(metrics={"ms": value}, cost_usd=2.0))


def in_an_experiment(rule: Rule = Rule.MEDIAN, baseline: str = "fresh") -> RunState:
    """After the capture of the first one."""
    history = History().start()
    history.events += [
        ExperimentStarted(at=history.tick(), experiment=1, parent="c0"),
        SessionEnded(at=history.tick(), experiment=1, session=Session(seconds=1, cost_usd=0.5), notes=Notes()),
        Captured(at=history.tick(), experiment=1, candidate=Candidate(commit="c1", parent="c0", changes=())),
    ]
    criteria = CRITERIA.model_copy(update={"rule": rule, "baseline": baseline})
    return replace(replay(history.events, RunState(criteria)), pool=())


def sampled(state: RunState, *entries: Taken) -> RunState:
    for entry in entries:
        state = after(state, Sampled(at=state.last_at + 1, experiment=1, commit="c", taken=entry))
    return state


def arms(state: RunState) -> list[tuple[str, int]]:
    assert state.current
    return [(entry.wanted.arm.value, entry.wanted.index) for entry in state.current.series.taken]


def disturbed(state: RunState, **fields: object) -> RunState:
    event = Disturbed.model_validate({"at": state.last_at + 1, "experiment": 1, "why": "w", **fields})
    return after(state, event)


# What does not count


def test_what_does_not_count_is_paid_for_and_counted_as_a_try() -> None:
    state = in_an_experiment()
    before = state.totals.cost_usd or 0.0
    state = disturbed(state, taken=taken(CANDIDATE, 0))
    assert state.totals.cost_usd == pytest.approx(before + 2.0)
    assert arms(state) == [] and state.disturbed == 1
    state = disturbed(state, taken=Taken(wanted=Wanted(arm=CANDIDATE, index=0), result=FAILURE))
    assert state.disturbed == 2
    assert sampled(state, taken(CANDIDATE, 0)).disturbed == 0


FAILURE = MeasurementFailure(reason=Reason.MEASUREMENT_FAILED, detail="d")


def test_a_session_that_does_not_count_is_paid_for_and_begun_again() -> None:
    history = History().start()
    history.events.append(ExperimentStarted(at=history.tick(), experiment=1, parent="c0"))
    state = replay(history.events, RunState(CRITERIA))
    unknown = state.totals.unknown_costs
    state = disturbed(state, session=Session(seconds=1, cost_usd=0.5, tokens=7))
    assert state.totals.cost_usd == pytest.approx(0.5) and state.totals.tokens == 7
    state = disturbed(state, session=Session(seconds=1))
    assert state.totals.unknown_costs == unknown + 1
    assert state.current and state.current.session is None


def test_a_session_whose_files_were_lost_is_begun_again() -> None:
    history = History().start()
    history.events += [
        ExperimentStarted(at=history.tick(), experiment=1, parent="c0"),
        SessionEnded(
            at=history.tick(), experiment=1, session=Session(seconds=1, cost_usd=0.5), notes=Notes(hypothesis="h")
        ),
    ]
    state = disturbed(replay(history.events, RunState(CRITERIA)), again="session")
    assert state.current and state.current.session is None and state.current.notes == Notes()
    assert state.totals.cost_usd == pytest.approx(0.5)
    again = SessionEnded(at=state.last_at + 1, experiment=1, session=Session(seconds=1), notes=Notes())
    assert after(state, again).disturbed == 1, "a session that ends well may have lost its files again"


# Time


def test_a_standstill_is_no_time_of_the_run() -> None:
    state = in_an_experiment()
    still = disturbed(state, at=state.last_at + HOUR, still=HOUR - 1)
    assert still.active_seconds == pytest.approx(state.active_seconds + 1)
    assert disturbed(state, at=state.last_at + 1, still=5.0).active_seconds == state.active_seconds


@pytest.mark.parametrize("step", [-HOUR, -1.0, 0.0])
def test_a_clock_that_went_back_takes_no_time_back(step: float) -> None:
    state = in_an_experiment()
    back = after(state, Waited(at=state.last_at + step, why="w", seconds=1))
    assert back.active_seconds == state.active_seconds
    on = after(back, Waited(at=back.last_at + 2, why="w", seconds=1))
    assert on.active_seconds == pytest.approx(state.active_seconds + 2), "and none is counted twice"


@pytest.mark.parametrize(("pause", "gap"), [(1.0, False), (1700.0, False), (1900.0, True), (-HOUR, True)])
def test_a_pause_between_processes_is_a_gap_when_it_is_long_or_nobody_knows(pause: float, gap: bool) -> None:
    state = History().start().state()
    resumed = after(state, RunResumed(at=state.last_at + pause))
    assert (rebaseline_due(resumed) == "gap") is gap
    assert resumed.active_seconds == state.active_seconds
    later = after(resumed, Waited(at=resumed.last_at + 3, why="w", seconds=1))
    assert later.active_seconds == pytest.approx(state.active_seconds + 3)


@pytest.mark.parametrize("event", [
    lambda at: Disturbed(at=at, experiment=0, why="w", still=HOUR), lambda at: Waited(at=at, why="w", seconds=HOUR),
])  # fmt: skip
def test_so_is_a_long_standstill_or_wait_within_a_process(event: object) -> None:
    state = History().start().state()
    passed: Event = event(state.last_at + HOUR)  # type: ignore[operator]
    assert rebaseline_due(state) is None
    assert rebaseline_due(after(state, passed)) == "gap"


def test_a_run_without_a_baseline_has_nothing_to_measure_again() -> None:
    first = History().start().events[:2]
    state = after(replay(first, RunState(CRITERIA)), RunResumed(at=1e9))
    assert rebaseline_due(state) == "calibration" and not state.after_gap


# Pairs


@pytest.mark.parametrize(("rule", "baseline", "left"), [
    (Rule.PAIRED, "fresh", [("baseline", 0), ("candidate", 0)]),
    (Rule.PAIRED, "reuse", [("baseline", 0), ("candidate", 0), ("candidate", 1)]),
    (Rule.MEDIAN, "fresh", [("baseline", 0), ("candidate", 0), ("candidate", 1)]),
])  # fmt: skip
def test_no_pair_spans_a_disturbance_or_a_gap(rule: Rule, baseline: str, left: list[tuple[str, int]]) -> None:
    state = in_an_experiment(rule, baseline)
    state = sampled(state, taken(BASELINE, 0), taken(CANDIDATE, 0), taken(CANDIDATE, 1))
    assert arms(disturbed(state, still=5.0)) == left
    assert arms(after(state, RunResumed(at=state.last_at + 2 * HOUR))) == left
    whole = [("baseline", 0), ("candidate", 0), ("candidate", 1)]
    assert arms(after(state, RunResumed(at=state.last_at + 1))) == whole, "a kill loses no sample"


@pytest.mark.parametrize(("entries", "left"), [
    ([], 0),
    ([taken(BASELINE, 0)], 0),
    ([taken(BASELINE, 0), taken(CANDIDATE, 0)], 2),
    ([taken(BASELINE, 0), taken(CANDIDATE, 0), taken(BASELINE, 1)], 2),
    ([taken(BASELINE, 0, SCREEN), taken(CANDIDATE, 0, SCREEN), taken(BASELINE, 0)], 2),
    ([taken(BASELINE, 0), taken(CANDIDATE, 0), taken(BASELINE, 0, HOLDOUT), taken(BASELINE, 1, HOLDOUT)], 4),
    ([taken(BASELINE, 0), Taken(wanted=Wanted(arm=CANDIDATE, index=0), result=FAILURE)], 2),
])  # fmt: skip
def test_only_the_half_of_a_pair_goes(entries: list[Taken], left: int) -> None:
    assert without_half_pair(Series(tuple(entries))).taken == tuple(entries[:left])
