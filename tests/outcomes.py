"""What became of sessions, as a table: the reason of each, and what a run does about it."""

import os
import time
from collections.abc import Callable

import psutil
import pytest

from autoloop.agents.wrappers import Retrying
from autoloop.core.run.events import Waited
from autoloop.core.run.reasons import StopReason
from autoloop.core.session import Session, SessionFailure
from tests.fakes import FakeAgent, FakeMachine, FakeSampler, World, program

OUTCOMES = "agent-outcome"
HEADER = ("agent", "case", "outcome", "the run", "seconds", "detail")
_WIDEST = 90
FOLLOWS = {
    SessionFailure.NOT_INSTALLED: "stops",
    SessionFailure.NOT_SIGNED_IN: "stops",
    SessionFailure.OUT_OF_QUOTA: "stops",
    SessionFailure.UNREACHABLE: "stops",
    SessionFailure.RATE_LIMITED: "waits, then goes on",
    SessionFailure.OVERLOADED: "waits, then goes on",
}
"""What has to follow; a run goes on after whatever is not here."""
Note = Callable[[str, Session], str]
"""Puts a session into the table under the name of its case; what the run does about it."""


def noting(request: pytest.FixtureRequest, agent: str) -> Note:
    """For the fixture of a test."""

    def note(case: str, session: Session) -> str:
        follows = what_follows(session)
        row = (agent, case, str(session.failure or "done"), follows, f"{session.seconds:.1f}", session.detail)
        request.node.user_properties.append((OUTCOMES, row))
        return follows

    return note


def what_follows(session: Session) -> str:
    """What a run of one experiment does whose every session goes like this one."""
    world = World(program(max_experiments=1), FakeSampler(lambda commit, count: 100.0))
    world.machine = FakeMachine(time=time.time())
    world.agent = Retrying(FakeAgent(lambda number: session), clock=world.machine.now)
    state = world.run()
    assert state.stopped is not None
    stops = state.stopped.reason is StopReason.AGENT_UNAVAILABLE
    assert state.totals.experiments == (0 if stops else 1)
    waits = any(isinstance(event, Waited) for event in world.journal.read())
    return ("waits, then " if waits else "") + ("stops" if stops else "goes on")


def print_table(reporter: pytest.TerminalReporter) -> None:
    """All rows of this run of the tests; those of failed tests last."""
    rows = [row for outcome in ("passed", "failed") for row in _rows(reporter, outcome)]
    if not rows:
        return
    reporter.section("agents")
    widths = [max(len(str(row[column])) for row in (HEADER, *rows)) for column in range(5)]
    for row in (HEADER, *rows):
        cells = [str(cell).ljust(width) for cell, width in zip(row, widths, strict=False)]
        reporter.write_line("  ".join([*cells, str(row[5])[:_WIDEST]]).rstrip())


def _rows(reporter: pytest.TerminalReporter, outcome: str) -> list[tuple[str, ...]]:
    reports = reporter.getreports(outcome)
    return sorted(
        {tuple(value) for report in reports for name, value in report.user_properties if name == OUTCOMES}  # type: ignore[arg-type]
    )


def left_running(run: str) -> list[int]:
    """Processes of a run; a dying one gets a moment."""
    until = time.monotonic() + 2
    while found := [process.pid for process in psutil.process_iter() if _is_of(process, run)]:
        if time.monotonic() > until:
            break
        time.sleep(0.05)
    return found


def _is_of(process: psutil.Process, run: str) -> bool:
    try:
        return process.pid != os.getpid() and process.environ().get("AUTOLOOP_RUN") == run
    except psutil.Error:
        return False
