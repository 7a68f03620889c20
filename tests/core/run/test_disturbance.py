"""What counts and what is taken again: judged from what the machine says."""

import pytest

from autoloop.core.run.disturbance import (
    MOST_SESSIONS,
    MOST_TIMES,
    Circumstances,
    Conditions,
    blamed,
    blamed_session,
    lacks_room,
    session_lost,
    session_spoiled,
    spoiled,
)
from autoloop.core.run.measurement import MeasurementFailure, Sample
from autoloop.core.run.reasons import Reason
from autoloop.core.session import Session, SessionFailure

CALM, FULL = Conditions(free_gb=50), Conditions(free_gb=0)
GOOD = Sample(metrics={"ms": 1})
FAILED = MeasurementFailure(reason=Reason.MEASUREMENT_FAILED, detail="exit code 1")
NO_ROOM = FAILED.model_copy(update={"detail": "cp: error writing 'a': No space left on device"})
GONE = FAILED.model_copy(update={"intact": False})


def because(reason: Reason, **fields: object) -> MeasurementFailure:
    return FAILED.model_copy(update={"reason": reason, **fields})


@pytest.mark.parametrize(("result", "conditions", "expected"), [
    (GOOD, FULL, False),
    (FAILED, CALM, False),
    (FAILED, FULL, True),
    (NO_ROOM, CALM, True),
    (because(Reason.BUILD_FAILED), FULL, True),
    (because(Reason.CHECKS_FAILED), FULL, True),
    (because(Reason.LOCK_VIOLATION), FULL, False),
    (because(Reason.INTERRUPTED), FULL, False),
    (Session(seconds=1), FULL, True),
    (Session(seconds=1), CALM, False),
    (Session(seconds=1, failure=SessionFailure.EXITED, detail="Disk quota exceeded"), CALM, True),
    (Session(seconds=1, failure=SessionFailure.CANCELLED), FULL, False),
])  # fmt: skip
def test_what_a_full_disk_may_have_spoiled(
    result: Sample | MeasurementFailure | Session, conditions: Conditions, expected: bool
) -> None:
    assert lacks_room(result, conditions) is expected


@pytest.mark.parametrize(("result", "around", "why"), [
    (GOOD, Circumstances(), None),
    (FAILED, Circumstances(), None),
    (GOOD, Circumstances(still=3.4), "everything stood still for 3 s"),
    (FAILED, Circumstances(still=3.4), "everything stood still for 3 s"),
    (FAILED, Circumstances(full=True), "the disk was full"),
    (FAILED, Circumstances(full=True, cleared=True), None),
    (FAILED, Circumstances(full=True, times=MOST_TIMES - 1), "the disk was full"),
    (FAILED, Circumstances(full=True, times=MOST_TIMES), None),
    (GOOD, Circumstances(still=3.4, times=MOST_TIMES), None),
    (GONE, Circumstances(), "files of the tree vanished while it was measured"),
    (GONE, Circumstances(times=MOST_TIMES), None),
    (because(Reason.LOCK_VIOLATION, intact=False), Circumstances(), "files of the tree vanished while it was measured"),
    (because(Reason.LOCK_VIOLATION), Circumstances(still=3.4, full=True), None),
    (because(Reason.INTERRUPTED, intact=False), Circumstances(still=3.4, full=True), None),
    (FAILED, Circumstances(read_only="/d"), "/d became read-only"),
    (FAILED, Circumstances(read_only="/d", times=MOST_TIMES), "/d became read-only"),
    (GOOD, Circumstances(read_only="/d"), None),
])  # fmt: skip
def test_which_samples_do_not_count(
    result: Sample | MeasurementFailure, around: Circumstances, why: str | None
) -> None:
    assert spoiled(result, around) == why


@pytest.mark.parametrize(("failure", "around", "why"), [
    (None, Circumstances(), None),
    (SessionFailure.EXITED, Circumstances(), None),
    (None, Circumstances(full=True), "the disk was full"),
    (None, Circumstances(full=True, cleared=True), None),
    (SessionFailure.EXITED, Circumstances(full=True, times=MOST_SESSIONS), None),
    (SessionFailure.CANCELLED, Circumstances(full=True), None),
    (None, Circumstances(still=100.0), None),
    (None, Circumstances(read_only="/d", times=9), "/d became read-only"),
])  # fmt: skip
def test_which_sessions_do_not_count(failure: SessionFailure | None, around: Circumstances, why: str | None) -> None:
    assert session_spoiled(Session(seconds=1, failure=failure), around) == why


def test_a_tree_that_vanishes_twice_is_the_agents_doing() -> None:
    assert session_lost(0) == "the agent's tree vanished"
    assert session_lost(MOST_SESSIONS) is None


def test_what_counts_says_what_it_did_to_the_disk() -> None:
    assert blamed(FAILED, Circumstances()) == FAILED
    assert blamed(FAILED, Circumstances(full=True)).detail == "exit code 1; the disk was full"
    assert blamed(FAILED, Circumstances(full=True, cleared=True)).detail == (
        "exit code 1; what it left had filled the disk"
    )
    calm = Session(seconds=1)
    assert blamed_session(calm, Circumstances()) == calm
    filled = blamed_session(calm, Circumstances(full=True, cleared=True))
    assert (filled.failure, filled.detail) == (SessionFailure.EXITED, "what it left had filled the disk")
    late = Session(seconds=1, failure=SessionFailure.TIMEOUT, detail="late")
    assert blamed_session(late, Circumstances(full=True)).failure is SessionFailure.TIMEOUT
    cut = Session(seconds=1, failure=SessionFailure.CANCELLED)
    assert blamed_session(cut, Circumstances(full=True)) == cut
