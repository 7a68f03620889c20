"""Agents around agents: what is waited for, who takes over, what is not begun, and what it all cost."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from autoloop.agents.prices import Price, price_of, shipped
from autoloop.agents.wrappers import Budget, Fallback, Retrying
from autoloop.core.patience import BACKOFF, LONGEST, MARGIN
from autoloop.core.run.program import Direction, Limits
from autoloop.core.session import Session, SessionFailure, Usage
from autoloop.ports import Cell, Goal, Left, OnProgress, Progress, Task
from autoloop.sandbox.none import NoSandbox

OK = Session(seconds=1.0, cost_usd=0.1, tokens=10)


def failed(failure: SessionFailure, **fields: Any) -> Session:
    return Session(seconds=1.0, cost_usd=0.1, tokens=10, failure=failure, **fields)


@dataclass
class Scripted:
    """An agent that gives one session after the other, and remembers what was left for each."""

    sessions: list[Session]
    left: list[Left] = field(default_factory=list)

    def run(self, task: Task, on_progress: OnProgress) -> Session:
        self.left.append(task.left)
        return self.sessions.pop(0)


@dataclass
class Night:
    """A clock that only waits move, and a tree that can be made anew."""

    now: float = 1000.0
    waits: list[tuple[str, float]] = field(default_factory=list)
    anew: int = 0
    ended_by_a_person: bool = False
    said: list[Progress] = field(default_factory=list)

    def wait(self, why: str, seconds: float) -> bool:
        self.waits.append((why, seconds))
        self.now += seconds
        return not self.ended_by_a_person

    def begin_again(self) -> None:
        self.anew += 1

    def task(self, left: Left | None = None, **limits: Any) -> Task:
        return Task(
            packet="",
            packet_path=Path("/nowhere/packet.md"),
            tree=Path("/nowhere"),
            run_id="r",
            goal=Goal("p", Direction.LOWER),
            experiment=3,
            seed=1,
            limits=Limits(**limits),
            history=lambda: [],
            transcript=Path("/nowhere/session.jsonl"),
            cancelled=lambda: False,
            sandbox=NoSandbox(),
            cell=Cell(tree=Path("/nowhere"), home=Path("/nowhere")),
            left=left or Left(),
            wait=self.wait,
            begin_again=self.begin_again,
        )

    def retrying(self, *sessions: Session, **fields: Any) -> tuple[Session, Scripted]:
        agent = Scripted(list(sessions))
        return Retrying(agent, clock=lambda: self.now).run(self.task(**fields), self.said.append), agent


@pytest.fixture
def night() -> Night:
    return Night()


def test_a_rate_limit_is_sat_out_as_long_as_it_says(night: Night) -> None:
    limited = failed(SessionFailure.RATE_LIMITED, retry_at=1060.0, detail="429")
    session, _ = night.retrying(limited, OK)
    assert session.failure is None
    assert [seconds for _, seconds in night.waits] == [60.0 + MARGIN]
    assert "rate limited: 429; again in 65 s" in night.waits[0][0]
    assert night.anew == 1
    assert (session.cost_usd, session.tokens, session.seconds) == (0.2, 20, 2.0)


def test_an_overloaded_service_is_asked_less_and_less_often_and_then_given_up(night: Night) -> None:
    session, agent = night.retrying(*[failed(SessionFailure.OVERLOADED)] * 9)
    assert session.failure is SessionFailure.OVERLOADED
    assert tuple(seconds for _, seconds in night.waits) == BACKOFF
    assert len(agent.left) == len(BACKOFF) + 1


@pytest.mark.parametrize(
    ("retry_at", "left", "on_quota", "waited"),
    [
        (1000.0 + 2 * LONGEST, None, "wait", True),
        (1000.0 + 2 * LONGEST, 3 * LONGEST, "wait", True),
        (1000.0 + 2 * LONGEST, LONGEST, "wait", False),
        (1000.0 + 2 * LONGEST, None, "stop", False),
        (1060.0, 50.0, "wait", False),
    ],
)
def test_a_rate_limit_that_lasts_too_long_is_a_quota(
    night: Night, retry_at: float, left: float | None, on_quota: str, waited: bool
) -> None:
    limited = failed(SessionFailure.RATE_LIMITED, retry_at=retry_at)
    session, _ = night.retrying(limited, OK, left=Left(seconds=left), on_quota=on_quota)
    assert session.failure is (None if waited else SessionFailure.OUT_OF_QUOTA)
    assert [seconds for _, seconds in night.waits] == ([retry_at - 1000.0 + MARGIN] if waited else [])


@pytest.mark.parametrize("failure", [f for f in SessionFailure if not f.passes])
def test_what_does_not_pass_is_not_waited_for(night: Night, failure: SessionFailure) -> None:
    assert night.retrying(failed(failure), OK)[0].failure is failure
    assert night.waits == []


def test_a_service_that_never_answered_is_given_up_at_once_and_one_that_did_is_waited_for(night: Night) -> None:
    gone = failed(SessionFailure.UNREACHABLE)
    assert night.retrying(gone, OK)[0].failure is SessionFailure.UNREACHABLE
    agent = Scripted([OK, gone, OK])
    patient = Retrying(agent, clock=lambda: night.now)
    assert patient.run(night.task(), night.said.append).failure is None
    assert patient.run(night.task(), night.said.append).failure is None
    assert len(night.waits) == 1


def test_a_person_ends_a_wait(night: Night) -> None:
    night.ended_by_a_person = True
    session, agent = night.retrying(failed(SessionFailure.OVERLOADED), OK)
    assert session.failure is SessionFailure.OVERLOADED and len(agent.left) == 1


@pytest.mark.parametrize(
    ("on_quota", "retry_at", "left", "waited"),
    [
        ("wait", 8200.0, None, True),
        ("wait", 8200.0, 7300.0, True),
        ("wait", 8200.0, 7200.0, False),
        ("wait", None, None, False),
        ("stop", 8200.0, None, False),
        ("fallback", 8200.0, None, False),
    ],
)
def test_a_quota_is_waited_for_when_it_is_reset_in_time(
    night: Night, on_quota: str, retry_at: float | None, left: float | None, waited: bool
) -> None:
    out = failed(SessionFailure.OUT_OF_QUOTA, retry_at=retry_at)
    session, _ = night.retrying(out, OK, left=Left(seconds=left), on_quota=on_quota)
    assert bool(night.waits) == waited
    assert (session.failure is None) == waited


def test_a_reset_that_changes_nothing_is_not_waited_for_again_and_again(night: Night) -> None:
    session, _ = night.retrying(*[failed(SessionFailure.OUT_OF_QUOTA, retry_at=900.0)] * 9)
    assert session.failure is SessionFailure.OUT_OF_QUOTA
    assert [seconds for _, seconds in night.waits] == [MARGIN, *BACKOFF[1:]]


def test_each_attempt_knows_what_is_left(night: Night) -> None:
    _, agent = night.retrying(
        failed(SessionFailure.OVERLOADED), OK, left=Left(cost_usd=1.0, tokens=100, seconds=3600.0)
    )
    assert agent.left[1] == Left(cost_usd=0.9, tokens=90, seconds=3600.0 - BACKOFF[0])


@pytest.mark.parametrize("failure", [f for f in SessionFailure if f.out_of_reach])
def test_another_agent_takes_over_and_stays(night: Night, failure: SessionFailure) -> None:
    first, other = Scripted([failed(failure, detail="gone")]), Scripted([OK, OK])
    pair = Fallback(first, other, "spare")
    sessions = [pair.run(night.task(on_quota="fallback"), night.said.append) for _ in range(2)]
    assert [session.profile for session in sessions] == ["spare", "spare"]
    assert night.anew == 1 and "gone; profile spare takes over" in night.said[0].text


def test_without_a_reason_nobody_takes_over(night: Night) -> None:
    spare = Scripted([])
    for session in (OK, failed(SessionFailure.TIMEOUT), failed(SessionFailure.REFUSED)):
        pair = Fallback(Scripted([session]), spare, "spare")
        assert pair.run(night.task(), night.said.append) == session
    stopped = Fallback(Scripted([failed(SessionFailure.OUT_OF_QUOTA)]), spare, "spare")
    assert stopped.run(night.task(on_quota="stop"), night.said.append).failure is SessionFailure.OUT_OF_QUOTA


def test_nothing_is_begun_without_a_budget(night: Night) -> None:
    for left in (Left(cost_usd=0.0), Left(tokens=0)):
        agent = Scripted([OK])
        session = Budget(agent).run(night.task(left), night.said.append)
        assert session.failure is SessionFailure.BUDGET and agent.left == []
    assert Budget(Scripted([OK])).run(night.task(Left(cost_usd=0.01, tokens=1)), night.said.append) == OK


def test_what_was_only_counted_is_priced_where_the_price_is_known(night: Night) -> None:
    usage = Usage(input=1_000_000, output=100_000, cache_read=2_000_000, cache_write=400_000)
    counted = Session(seconds=1.0, usage=usage, tokens=usage.total, model="m-20260101")
    own = {"m": Price(input=1.0, output=10.0, cache_read=0.1, cache_write=1.25)}
    run: Callable[..., Session] = lambda agent: agent.run(night.task(), night.said.append)  # noqa: E731
    assert run(Budget(Scripted([counted]), prices=own)).cost_usd == pytest.approx(1.0 + 1.0 + 0.2 + 0.5)
    assert run(Budget(Scripted([counted]))).cost_usd is None
    told = counted.model_copy(update={"cost_usd": 7.0})
    assert run(Budget(Scripted([told]), prices=own)).cost_usd == 7.0


def test_names_of_models_may_carry_a_date_and_a_provider_but_no_other_version() -> None:
    sonnet = shipped()["claude-sonnet-4-5"]
    for name in ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4-5-latest"):
        assert price_of(name, {}) == sonnet
    for unknown in ("claude-sonnet-4-55", "claude-sonnet-4", "claude-opus-5-7", "", "gpt-5.4-nano"):
        assert price_of(unknown, {}) is None
    own = Price(input=0.0, output=0.0)
    assert price_of("claude-sonnet-4-5-20250929", {"claude-sonnet-4-5": own}) == own
