"""Agents that hold an agent: one that tries again, one that takes another, one that keeps to the budget."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from time import time

from autoloop.agents.prices import Price, price_of
from autoloop.core.patience import Wait, after_quota, as_quota, next_attempt
from autoloop.core.session import Session, SessionFailure
from autoloop.core.text import sum_known
from autoloop.ports import Agent, Left, OnProgress, Progress, Task


@dataclass(frozen=True)
class Retrying:
    """Waits for what goes away by itself, and for a quota that is reset in time; then begins the session again."""

    agent: Agent
    clock: Callable[[], float] = field(default=time, repr=False)
    answers: list[bool] = field(default_factory=list, repr=False)
    """Whether the service has answered to this process."""

    def run(self, task: Task, on_progress: OnProgress) -> Session:
        """The first session that did not fail for such a reason, with the costs of all."""
        attempts: list[Session] = []
        began = self.clock()
        while True:
            spent = _sum(attempts)
            left = _less(task.left, spent, self.clock() - began)
            session = self.agent.run(replace(task, left=left), on_progress)
            if session.failure is not SessionFailure.UNREACHABLE:
                self.answers.append(True)
            seconds = None if task.left.seconds is None else task.left.seconds - (self.clock() - began)
            attempts.append(as_quota(session, self.clock(), seconds))
            wait = self._wait(attempts, task, seconds)
            if wait is None or not task.wait(wait.why, wait.seconds):
                return _with_costs(attempts)
            task.begin_again()

    def _wait(self, attempts: list[Session], task: Task, left: float | None) -> Wait | None:
        quota = after_quota(attempts, task.limits.on_quota, self.clock(), left)
        return quota or next_attempt(attempts, self.clock(), left, answered=bool(self.answers))


@dataclass(frozen=True)
class Fallback:
    """Takes another agent for the rest of the run when the first one is out of reach."""

    agent: Agent
    other: Agent
    name: str
    """The other one's profile."""
    gone: list[SessionFailure] = field(default_factory=list)
    """Why the first one is not asked any more; this process remembers it, a resume tries anew."""

    def run(self, task: Task, on_progress: OnProgress) -> Session:
        """The first agent's session, or the other one's."""
        if not self.gone:
            session = self.agent.run(task, on_progress)
            if session.failure is None or not session.failure.out_of_reach:
                return session
            if session.failure is SessionFailure.OUT_OF_QUOTA and task.limits.on_quota == "stop":
                return session
            self.gone.append(session.failure)
            text = f"{session.detail or session.failure}; profile {self.name} takes over"
            on_progress(Progress("notice", task.experiment, text))
            task.begin_again()
        return self.other.run(task, on_progress).model_copy(update={"profile": self.name})


@dataclass(frozen=True)
class Budget:
    """Refuses a session for which nothing is left, and prices what its agent only counted."""

    agent: Agent
    model: str = ""
    prices: Mapping[str, Price] = field(default_factory=dict)
    """The user's own, which come before the shipped ones."""

    def run(self, task: Task, on_progress: OnProgress) -> Session:
        """The agent's session, with its cost where the price of its model is known."""
        spent = [name for name, left in (("cost", task.left.cost_usd), ("tokens", task.left.tokens)) if left == 0]
        if spent:
            detail = f"nothing is left of the budget ({', '.join(spent)})"
            return Session(seconds=0.0, failure=SessionFailure.BUDGET, detail=detail)
        session = self.agent.run(task, on_progress)
        price = price_of(session.model or self.model, self.prices)
        if session.cost_usd is not None or session.usage is None or price is None:
            return session
        return session.model_copy(update={"cost_usd": price.of(session.usage)})


def _less(left: Left, spent: Session, seconds: float) -> Left:
    """What is left after a session."""
    return Left(
        cost_usd=None if left.cost_usd is None else max(left.cost_usd - (spent.cost_usd or 0.0), 0.0),
        tokens=None if left.tokens is None else max(left.tokens - (spent.tokens or 0), 0),
        seconds=None if left.seconds is None else max(left.seconds - seconds, 0.0),
    )


def _sum(attempts: list[Session]) -> Session:
    """The costs of several sessions as one."""
    cost, tokens, seconds = None, None, 0.0
    for attempt in attempts:
        cost, tokens = sum_known(cost, attempt.cost_usd), sum_known(tokens, attempt.tokens)
        seconds += attempt.seconds
    return Session(seconds=seconds, cost_usd=cost, tokens=tokens)


def _with_costs(attempts: list[Session]) -> Session:
    """The last session, charged with those before it."""
    spent = _sum(attempts)
    return attempts[-1].model_copy(
        update={"seconds": spent.seconds, "cost_usd": spent.cost_usd, "tokens": spent.tokens}
    )
