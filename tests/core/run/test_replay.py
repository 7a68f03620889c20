"""State is the replay of events; whether to stop or to measure again is read from it alone."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoloop.core.run.calibration import Noise
from autoloop.core.run.events import (
    Captured,
    Decided,
    Guided,
    LimitsChanged,
    RunStopped,
    Sampled,
    Waited,
    from_line,
    to_line,
)
from autoloop.core.run.history import trials
from autoloop.core.run.measurement import Arm, MeasurementFailure, Sample, Series, Taken, Wanted
from autoloop.core.run.notes import Notes
from autoloop.core.run.program import Criteria, Direction, Gate, Limits, SecondaryMetric
from autoloop.core.run.reasons import Reason, Status, StopReason
from autoloop.core.run.rebaseline import Spoken, next_baseline
from autoloop.core.run.replay import replay
from autoloop.core.run.results import COLUMNS, HEADER, Row, baseline_row
from autoloop.core.run.state import RECENT, RunState, evidence_of, rebaseline_due
from autoloop.core.run.stopping import limits_in_force, stagnation_near, stop_reason
from autoloop.core.run.verdict import Record
from autoloop.core.session import Session, SessionFailure
from autoloop.core.text import sum_known
from tests.core.histories import CRITERIA, History

LIMITS = Limits()
EMPTY = RunState(CRITERIA)

steps = st.lists(
    st.sampled_from([*(reason for reason in Reason if reason.status is not Status.KEEP), "keep", "resume", "gap"]),
    max_size=25,
)


def history(moves: list[Reason | str]) -> History:
    told = History().start()
    for number, move in enumerate(moves):
        match move:
            case "keep":
                told.kept(told.metric * 0.9)
            case "resume":
                told.resume()
            case "gap":
                told.resume(10_000).baseline("gap", moved=number % 2 == 0)
            case Reason():
                told.experience(move)
    return told


@given(steps, st.integers(0, 200))
def test_a_state_is_the_same_wherever_the_replay_was_interrupted(moves: list[Reason | str], cut: int) -> None:
    events = history(moves).events
    assert replay(events[cut:], replay(events[:cut], EMPTY)) == replay(events, EMPTY)


@given(steps)
def test_events_mean_the_same_after_they_were_written_and_read(moves: list[Reason | str]) -> None:
    events = history(moves).events
    lines = [to_line(event) for event in events]
    assert all(line.count(b"\n") == 1 and line.endswith(b"\n") for line in lines)
    assert [from_line(line) for line in lines] == events


@given(steps)
def test_counts_add_up_and_windows_stay_small(moves: list[Reason | str]) -> None:
    state = history(moves).state()
    totals = state.totals
    assert totals.kept + totals.discarded + totals.crashed == totals.experiments == sum(totals.by_reason.values())
    assert totals.kept == len(state.kept) == len(state.backlog.worked)
    assert len(state.recent) <= RECENT
    assert state.current is None


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[]", b'{"kind": "invented", "at": 1}', b'{"kind": "guided", "at": 1}', b"\xff"]
)
def test_a_damaged_line_or_an_unknown_kind_is_an_error(line: bytes) -> None:
    with pytest.raises(ValueError):
        from_line(line)


def test_an_event_outside_any_experiment_is_an_error() -> None:
    with pytest.raises(ValueError, match="outside any experiment"):
        replay([Captured(at=1, experiment=1)], EMPTY)


def test_a_keep_moves_the_head_and_clears_the_count() -> None:
    state = History().start().discards(3).kept(90).state()
    assert (state.head, state.previous_head) == ("c4", "c0")
    assert state.discards_in_row == state.drift_checked_at == 0
    assert state.metric == 90 and state.original_metric == 100
    assert state.gain == pytest.approx(0.1)
    assert (state.best, state.best_experiment) == (90, 4)


def test_a_keeps_own_measurement_becomes_the_record_free_of_its_luck() -> None:
    state = History().start().kept(80, measured=95).state()
    assert state.metric == state.best == 95
    assert state.recent[-1].metric == 95
    assert state.recent[-1].gain == pytest.approx(0.05)
    assert state.kept == state.recent[-1:]


def test_a_keep_that_turns_out_worse_is_not_the_best() -> None:
    state = History().start().kept(90).kept(89.9, measured=91, reason=Reason.SIMPLIFIED).state()
    assert (state.metric, state.best, state.best_experiment) == (91, 90, 1)


def test_crashes_count_towards_stagnation_and_a_persons_interruption_does_not() -> None:
    told = History().start()
    for reason in (
        Reason.AGENT_FAILED,
        Reason.NO_CANDIDATE,
        Reason.BUILD_FAILED,
        Reason.INTERRUPTED,
        Reason.LOCK_VIOLATION,
    ):
        told.experience(reason)
    state = told.state()
    assert state.discards_in_row == 4
    assert (state.totals.crashed, state.totals.discarded) == (4, 1)


def test_drift_is_looked_for_after_every_fifth_discard_in_a_row() -> None:
    told = History().start()
    due = []
    for number in range(1, 17):
        told.experience(Reason.WITHIN_NOISE)
        if rebaseline_due(told.state()) == "drift":
            due.append(number)
            told.baseline("drift", moved=False)
        assert rebaseline_due(told.state()) is None
    assert due == [5, 10, 15]
    told.kept(90).discards(4)
    assert rebaseline_due(told.experience(Reason.REGRESSED).state()) == "drift"


def test_the_baseline_is_measured_at_the_start_after_a_keep_and_after_a_gap() -> None:
    assert rebaseline_due(EMPTY) == "calibration"
    told = History().start()
    assert rebaseline_due(told.state()) is None
    assert rebaseline_due(told.resume(1700).state()) is None
    assert rebaseline_due(told.resume(1900).state()) == "gap"
    assert rebaseline_due(told.baseline("gap", moved=False).state()) is None
    assert rebaseline_due(told.experience(Reason.IMPROVED).state()) == "keep"
    assert rebaseline_due(told.resume(1900).state()) == "keep"


def test_a_keep_whose_measurement_was_cut_off_by_a_kill_is_still_due() -> None:
    told = History().start().experience(Reason.IMPROVED)
    told.sample(0, 90, Arm.BASELINE, 0)
    state = told.resume().state()
    assert rebaseline_due(state) == "keep"
    assert len(state.series.of(Arm.BASELINE)) == 1


def test_a_baseline_that_drifts_takes_the_best_with_it() -> None:
    state = History().start().kept(90).discards(5).baseline("drift", 108, moved=True).state()
    assert state.metric == state.best == 108
    assert History().start().baseline("drift", 108, moved=False).state().metric == 100


def test_time_passes_only_while_a_process_holds_the_run() -> None:
    told = History().start()
    before = told.state().active_seconds
    assert told.resume(10_000).state().active_seconds == before
    state = told.experience(Reason.WITHIN_NOISE).state()
    assert state.active_seconds == before + 5
    assert state.seconds_at(state.last_at + 7) == before + 12
    assert state.seconds_at(state.last_at - 100) == before + 5


def test_costs_are_summed_and_an_unknown_one_is_unknown_and_not_0() -> None:
    told = History().start().experience(Reason.REGRESSED, cost=None, tokens=None)
    assert told.state().totals.cost_usd is None
    assert told.state().recent[-1].cost_usd is None
    told.experience(Reason.REGRESSED, cost=0.5).experience(Reason.REGRESSED, cost=None, sample_cost=0.25)
    totals = told.state().totals
    assert (totals.cost_usd, totals.unknown_costs, totals.tokens) == (0.75, 2, 20)
    assert sum_known(None, None) is None and sum_known(1, None) == sum_known(None, 1) == 1


def test_guidance_and_limits_hold_from_when_they_were_read() -> None:
    told = History().start()
    told.events += [
        Guided(at=told.tick(), text="try a table"),
        LimitsChanged(at=told.tick(), limits={"max_experiments": 7}),
        LimitsChanged(at=told.tick(), limits={"max_hours": 1.5}),
        Waited(at=told.tick(), why="busy", seconds=3),
    ]
    state = told.state()
    assert state.guidance == "try a table"
    limits = limits_in_force(state, LIMITS)
    assert (limits.max_experiments, limits.max_hours, limits.max_turns) == (7, 1.5, 50)


def test_a_resumed_run_is_not_stopped() -> None:
    told = History().start()
    told.events.append(RunStopped(at=told.tick(), reason=StopReason.STAGNATION))
    assert told.state().stopped is not None
    assert told.resume().state().stopped is None


def test_each_limit_stops_with_its_reason() -> None:
    state = History().start().kept(90).discards(3).state()
    now = state.last_at
    assert stop_reason(state, LIMITS, now) is None
    for limits, reason in (
        (Limits(max_experiments=4), StopReason.MAX_EXPERIMENTS),
        (Limits(max_consecutive_discards=3), StopReason.STAGNATION),
        (Limits(max_cost_usd=2.0), StopReason.BUDGET),
        (Limits(max_tokens=40), StopReason.BUDGET),
        (Limits(target=90), StopReason.TARGET),
        (Limits(max_hours=0.001), StopReason.MAX_HOURS),
    ):
        assert stop_reason(state, limits, now) is reason
    for limits in (
        Limits(
            max_experiments=5, max_consecutive_discards=4, max_cost_usd=2.01, max_tokens=41, target=89.9, max_hours=1
        ),
    ):
        assert stop_reason(state, limits, now) is None
        assert stop_reason(state, limits, now + 3600) is StopReason.MAX_HOURS


def test_an_unknown_cost_does_not_stop_as_if_it_were_spent() -> None:
    state = History().start().experience(Reason.REGRESSED, cost=None, tokens=None).state()
    assert stop_reason(state, Limits(max_cost_usd=0.01, max_tokens=1), state.last_at) is None


def test_a_target_is_reached_from_the_side_that_the_metric_comes_from() -> None:
    state = History().start().state()
    higher = replace(state, criteria=Criteria(metric_field="ms", direction=Direction.HIGHER))
    for target, lower_stops, higher_stops in ((99, False, True), (100, True, True), (101, True, False)):
        assert (stop_reason(state, Limits(target=target), 0) is not None) is lower_stops
        assert (stop_reason(higher, Limits(target=target), 0) is not None) is higher_stops


def test_stagnation_is_near_at_two_thirds() -> None:
    limits = Limits(max_consecutive_discards=10)
    told = History().start()
    near = [stagnation_near(told.discards(1).state(), limits) for _ in range(9)]
    assert near == [False] * 6 + [True] * 3


def failure(reason: Reason = Reason.MEASUREMENT_FAILED) -> MeasurementFailure:
    return MeasurementFailure(reason=reason, detail="exit 1")


def test_a_baseline_that_could_not_be_measured_is_tried_again_on_resume() -> None:
    told = History()
    told.start()
    told.events = told.events[:2]
    taken = Taken(wanted=Wanted(arm=Arm.BASELINE, index=0), result=failure())
    told.events.append(Sampled(at=told.tick(), experiment=0, commit="c0", taken=taken))
    assert next_baseline(told.state(), "calibration") == failure()
    assert next_baseline(told.resume().state(), "calibration") == Wanted(arm=Arm.BASELINE, index=0)


def spoken(state: RunState, *values: float) -> object:
    entries = (
        Taken(wanted=Wanted(arm=Arm.BASELINE, index=index), result=Sample(metrics={"ms": value}, seconds=1))
        for index, value in enumerate(values)
    )
    return next_baseline(replace(state, series=Series(tuple(entries))), rebaseline_due(state) or "drift")


def test_calibration_takes_ten_samples_and_says_what_noise_is() -> None:
    assert spoken(EMPTY, *[100.0] * 9) == Wanted(arm=Arm.BASELINE, index=9)
    answer = spoken(EMPTY, *[99.0, 100, 101] * 3, 100)
    assert isinstance(answer, Spoken)
    assert answer.moved and answer.record.metrics == {"ms": 100}
    assert answer.noise and 0 < answer.noise.threshold < 0.1


def test_a_baseline_moves_only_when_it_changed_by_more_than_the_threshold() -> None:
    state = History().start(threshold=0.02).state()
    assert spoken(state, 100.0, 100) == Wanted(arm=Arm.BASELINE, index=2)
    for value, moved in ((101.9, False), (98.1, False), (102.1, True), (97.9, True)):
        answer = spoken(state, value, value, value)
        assert isinstance(answer, Spoken) and answer.moved is moved and answer.noise is None


def test_a_kept_tree_that_fails_to_be_measured_again_stays_what_it_was_kept_for() -> None:
    told = History().start().experience(Reason.IMPROVED, 90)
    failed = Series((Taken(wanted=Wanted(arm=Arm.BASELINE, index=0), result=failure()),))
    answer = next_baseline(replace(told.state(), series=failed), "keep")
    assert isinstance(answer, Spoken)
    assert answer.moved and answer.record == Record(commit="c1", metrics={"ms": 90})
    drifting = next_baseline(replace(History().start().state(), series=failed), "drift")
    assert isinstance(drifting, Spoken) and not drifting.moved and "could not be measured" in drifting.detail


def test_what_is_known_of_an_experiment_is_handed_to_the_decision() -> None:
    told = History().start().experience(Reason.IMPROVED)
    told.events.pop()
    state = told.state()
    known = evidence_of(state, has_holdout=True)
    assert known.candidate and known.candidate.commit == "c1"
    assert (known.best, known.has_holdout, len(known.series.taken)) == (100, True, 1)
    assert state.current and state.current.commit_of(Arm.CANDIDATE) == "c1"
    assert state.current.commit_of(Arm.BASELINE) == "c0"


def test_a_searching_agent_finds_its_trials_in_the_journal() -> None:
    told = History().start().experience(Reason.REGRESSED, 120).kept(90).experience(Reason.BUILD_FAILED)
    found = list(trials(told.events, Direction.LOWER))
    assert [(trial.experiment, trial.parameters, trial.kept) for trial in found] == [
        (1, {"k": 1}, False),
        (2, {"k": 2}, True),
        (3, {"k": 3}, False),
    ]
    assert [trial.metric for trial in found] == [pytest.approx(1.2), pytest.approx(0.9), None]


def test_a_search_is_not_led_on_by_what_broke_a_gate() -> None:
    told = History().start().experience(Reason.GATE_FAILED, 50)
    assert [trial.metric for trial in trials(told.events, Direction.LOWER)] == [None]


def test_a_long_night_is_remembered_in_a_small_state() -> None:
    told = History().start()
    for number in range(400):
        told.kept(told.metric * 0.999) if number % 2 else told.experience(Reason.REGRESSED)
    state = told.state()
    assert state.totals.experiments == 400
    assert len(state.recent) == RECENT and len(state.kept) == 200
    assert state.series == Series()


# Rows


def cells(row: Row) -> list[str]:
    line = row.to_tsv()
    assert line.endswith("\n") and line.count("\n") == 1
    return line[:-1].split("\t")


HOSTILE = "a\tb\nc\rd\x0be\x0cf\x1cg\x85h\u2028i\u2029j\x00k\x1b[31ml"


def test_no_value_can_forge_or_break_a_row() -> None:
    row = Row(
        experiment=1,
        commit=HOSTILE,
        status=Status.DISCARD,
        reason=HOSTILE,
        description=HOSTILE,
        secondary={HOSTILE: 1.0},
    )
    found = cells(row)
    assert len(found) == len(COLUMNS) == len(HEADER.rstrip("\n").split("\t"))
    assert len(row.to_tsv().splitlines()) == 1
    assert "\x1b" not in row.to_tsv() and "\x00" not in row.to_tsv()
    assert found[COLUMNS.index("description")].startswith("a b c d e f g h i j")


@given(st.text(), st.text())
def test_every_row_has_exactly_the_columns_of_the_header(description: str, name: str) -> None:
    row = Row(experiment=1, status=Status.KEEP, description=description, secondary={name: 0.5})
    assert len(cells(row)) == len(COLUMNS)
    assert len(row.to_tsv().splitlines()) == 1


def test_an_unknown_number_is_an_empty_cell_and_a_known_0_is_not() -> None:
    unknown = dict(zip(COLUMNS, cells(Row(experiment=3, status=Status.CRASH)), strict=True))
    assert [name for name, cell in unknown.items() if cell] == ["experiment", "status", "samples"]
    known = dict(zip(COLUMNS, cells(Row(experiment=3, status=Status.KEEP, cost_usd=0.0, gain=0.0)), strict=True))
    assert known["cost_usd"] == known["gain"] == "0"


def test_numbers_keep_the_digits_that_people_need() -> None:
    found = dict(
        zip(COLUMNS, cells(Row(experiment=1, status=Status.KEEP, metric=17179869184.0, gain=0.1 + 0.2)), strict=True)
    )
    assert (found["metric"], found["gain"]) == ("17179869184", "0.3")


def test_rows_are_what_results_as_json_has() -> None:
    row = Row(experiment=1, status=Status.KEEP, why="not a column", secondary={"size": 2})
    assert tuple(row.cells()) == COLUMNS
    assert json.loads(json.dumps(row.cells()))["secondary"] == {"size": 2}
    assert json.loads(cells(row)[-1]) == {"size": 2}


def test_row_0_is_the_baseline_with_gates_and_secondary_metrics() -> None:
    criteria = Criteria(
        metric_field="ms",
        direction=Direction.LOWER,
        quality_gates={"errors": Gate(max=0)},
        secondary_metrics={"size": SecondaryMetric(direction=Direction.LOWER)},
    )
    record = Record(commit="c0", metrics={"ms": 100, "size": 2, "errors": 0, "other": 9})
    row = baseline_row(record, criteria, samples=10, seconds=3)
    assert (row.experiment, row.status, row.metric, row.baseline, row.gain) == (0, Status.BASELINE, 100, 100, None)
    assert row.secondary == {"errors": 0, "size": 2}


def test_what_an_experiment_was_is_one_short_line_in_every_view() -> None:
    told = (
        History()
        .start()
        .experience(Reason.MEASUREMENT_FAILED, description=HOSTILE * 100, why="stderr:\n| x |\n" * 1000)
    )
    state = told.state()
    for text in (
        state.recent[-1].description,
        state.recent[-1].why,
        state.backlog.tried[0].what,
        state.backlog.tried[0].outcome,
    ):
        assert text.isprintable() and len(text) <= 300


def test_a_row_says_what_the_experiment_cost_and_changed() -> None:
    row = History().start().experience(Reason.REGRESSED, 120, cost=0.5, sample_cost=0.25).state().recent[-1]
    assert (row.cost_usd, row.lines_added, row.lines_removed, row.commit) == (0.75, 2, 1, "c1")
    assert (row.status, row.reason) == (Status.DISCARD, "regressed")
    assert row.gain == pytest.approx(-0.2)
    assert row.seconds == 4


def test_notes_of_a_session_reach_the_backlog_with_the_decision() -> None:
    notes = Notes(hypothesis="h", avoid=("x",), next=("y",))
    backlog = History().start().experience(Reason.REGRESSED, notes=notes).state().backlog
    assert (backlog.avoid, backlog.next) == (("x",), ("y",))
    assert backlog.tried[0].reason is Reason.REGRESSED


@pytest.mark.parametrize(
    ("reason", "status"),
    [(reason, Status.KEEP) for reason in ("improved", "simplified")]
    + [(r, Status.CRASH) for r in ("agent_failed", "no_candidate", "build_failed", "measurement_failed", "interrupted")]
    + [
        (r, Status.DISCARD)
        for r in (
            "within_noise",
            "regressed",
            "gate_failed",
            "holdout_failed",
            "checks_failed",
            "lock_violation",
            "out_of_scope",
            "stale",
        )
    ],
)
def test_each_reason_stands_for_one_status(reason: str, status: Status) -> None:
    assert Reason(reason).status is status


def test_a_session_cut_short_in_the_journal_is_known_after_a_kill() -> None:
    session = Session(seconds=1, failure=SessionFailure.CANCELLED)
    assert Session.model_validate_json(session.model_dump_json()) == session
    assert Noise.model_validate_json('{"threshold": 0, "spread": null, "unit": 1}').spread is None
    told = History().start().experience(Reason.REGRESSED)
    assert [event for event in told.events if isinstance(event, Decided)][-1].decision.evidence is None
