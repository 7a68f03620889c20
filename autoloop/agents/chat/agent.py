"""One session of the built-in agent: ask, let it work, ask again, until it ends or a limit does.

Limits are looked at before each call. Whatever the service does, the session ends within its deadline.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from autoloop.agents.chat.service import (
    Answer,
    AnswerCutShort,
    Answered,
    Asked,
    NoTools,
    Service,
    ServiceFailed,
    ToolResult,
    Turn,
    Worked,
    interruptible,
)
from autoloop.agents.chat.tools import TOOLS, Toolbox, in_words, tools_in_words, with_calls
from autoloop.agents.environment import session_room
from autoloop.agents.prices import Price, price_of
from autoloop.agents.trajectory import Call, Trajectory
from autoloop.agents.transcript import Transcript
from autoloop.config.prompts import prompt
from autoloop.core.session import Session, SessionFailure, Usage
from autoloop.ports import OnProgress, Task

_CUT = "Your answer was cut off at its longest. Go on, in smaller steps."
_CUTS = 2
"""Answers in a row that may be cut off."""
_SHOWN = 160


@dataclass(frozen=True)
class ChatAgent:
    """The built-in agent: works in a tree by talking with a model, which may use tools."""

    name: str
    model: str
    connect: Callable[[float], Service]
    """Makes the service for one session; takes the seconds of silence after which an answer is given up."""
    env: Mapping[str, str] = field(repr=False)
    """What the commands of the model see: no key of the service is in it."""
    prices: Mapping[str, Price] = field(default_factory=dict)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    fenced: bool = False
    """Whether tools are asked for in the text, by models that know no tool calls."""
    remote: ClassVar[bool] = True

    def run(self, task: Task, on_progress: OnProgress) -> Session:
        """Let the model work until it ends, or until a limit ends it."""
        began = time.monotonic()
        limit = task.limits.agent_timeout / 1000 or float("inf")
        service = self.connect(task.limits.agent_idle_timeout / 1000 or 3600.0)
        with (
            Transcript(task, on_progress, secrets=self.secrets) as transcript,
            Trajectory(task, self.name, secrets=self.secrets) as trajectory,
        ):
            talk = _Talk(self, task, service, transcript, trajectory, deadline=began + limit)
            try:
                talk.until_the_end()
            finally:
                service.close()
        return Session(
            seconds=time.monotonic() - began - talk.waited,
            failure=talk.failure,
            detail=transcript.redacted(talk.detail),
            cost_usd=talk.cost,
            tokens=talk.usage.total,
            usage=talk.usage,
            turns=talk.turns,
            model=talk.model,
            retry_at=talk.retry_at,
            text=transcript.closing.text(),
        )


@dataclass
class _Talk:
    agent: ChatAgent
    task: Task
    service: Service
    transcript: Transcript
    trajectory: Trajectory
    deadline: float
    waited: float = 0.0
    """Seconds for the pace of its calls: they are no part of its time."""
    usage: Usage = Usage()
    turns: int = 0
    model: str = ""
    failure: SessionFailure | None = None
    detail: str = ""
    retry_at: float | None = None

    def __post_init__(self) -> None:
        self.room = session_room(self.task)
        # By the run's name, what a killed run leaves behind is found.
        env = {**self.agent.env, "AUTOLOOP_RUN": self.task.run_id}
        self.tools = Toolbox(
            Path(self.task.tree), self.room, env, lambda: self.deadline - time.monotonic(), self._is_over
        )
        self.fenced = self.agent.fenced

    @property
    def system(self) -> str:
        """What the model is told of its work, and of its tools where it knows no calls."""
        return prompt("builtin").text + (tools_in_words() if self.fenced else "")

    def until_the_end(self) -> None:
        """Ask and work in turn. How it ended is in `failure` and `detail`."""
        turns: list[Turn] = [Asked(self.task.packet)]
        self.trajectory.system(self.system)
        self.trajectory.user(self.task.packet)
        cuts = 0
        while self._may_ask() and self._in_turn():
            try:
                answer = self._answer(turns)
            except NoTools:
                self.fenced = True
                continue
            except AnswerCutShort:
                self._over()
                return
            except ServiceFailed as failed:
                self.failure, self.detail, self.retry_at = failed.failure, failed.detail, failed.retry_at
                return
            turns.append(Answered(answer))
            cuts = cuts + 1 if answer.stop == "length" else 0
            more = self._next(answer, cuts)
            if more is None:
                return
            turns.extend(more)

    def _next(self, answer: Answer, cuts: int) -> list[Turn] | None:
        """The turns that follow an answer; None at the end of the session."""
        if answer.stop == "refused":
            self.failure, self.detail = SessionFailure.REFUSED, answer.text[:300] or "the model refused"
        elif answer.stop == "context":
            self.failure, self.detail = SessionFailure.CONTEXT_TOO_LONG, "the conversation outgrew the model's context"
        elif answer.stop == "paused":
            return []
        elif cuts > _CUTS:
            self.failure, self.detail = SessionFailure.MALFORMED, "its answers are cut off again and again"
        elif answer.calls:
            worked = self._work(answer.calls, cut=answer.stop == "length")
            return [in_words(worked) if self.fenced else worked]
        elif answer.stop == "length":
            return [Asked(_CUT)]
        return None

    def _answer(self, turns: Sequence[Turn]) -> Answer:
        tools = () if self.fenced else TOOLS
        answer = interruptible(
            lambda: self.service.answer(self.system, turns, tools), self._is_over, self.service.close
        )
        self.turns += 1
        self.usage = self.usage + (answer.usage or Usage())
        self.model = answer.model or self.model
        if self.fenced:
            answer = with_calls(answer, self.turns)
        self.transcript.say("stdout", answer.text.splitlines())
        self.trajectory.agent(
            answer.text,
            model=answer.model,
            reasoning=answer.reasoning,
            calls=answer.calls,
            usage=answer.usage,
            cost_usd=self._price.of(answer.usage) if self._price and answer.usage else None,
        )
        return answer

    def _work(self, calls: Sequence[Call], *, cut: bool) -> Worked:
        """Use the tools that an answer asks for; none where it was cut off: half of a file may stand in a call."""
        outcomes = []
        for call in calls:
            self.transcript.say("tool", [_shown(call)])
            outcome = ToolResult(call.id, f"not done: {_CUT if cut else 'the session is over'}", is_error=True)
            if not cut and not self._is_over():
                outcome = self.tools.use(call)
            self.transcript.say("tool", outcome.text.splitlines()[:20])
            self.trajectory.observe(call.id, outcome.text)
            outcomes.append(outcome)
        return Worked(tuple(outcomes))

    def _may_ask(self) -> bool:
        """Whether a limit allows one more call."""
        limits, left = self.task.limits, self.task.left
        if self._is_over():
            self._over()
        elif self.turns >= limits.max_turns:
            self.failure, self.detail = SessionFailure.TURNS, f"still at work after {self.turns} turns (max_turns)"
        elif left.cost_usd is not None and (self.cost or 0.0) >= left.cost_usd:
            self.failure, self.detail = SessionFailure.BUDGET, "nothing is left of max_cost_usd"
        elif left.tokens is not None and self.usage.total >= left.tokens:
            self.failure, self.detail = SessionFailure.BUDGET, "nothing is left of max_tokens"
        return self.failure is None

    def _in_turn(self) -> bool:
        """Wait until one more call may be made; False where the session was ended meanwhile."""
        waited = self.task.before_call(self.task.cancelled)
        self.waited += waited
        self.deadline += waited
        if self.task.cancelled():
            self._over()
        return self.failure is None

    def _is_over(self) -> bool:
        return self.task.cancelled() or time.monotonic() >= self.deadline

    def _over(self) -> None:
        if self.task.cancelled():
            self.failure, self.detail = SessionFailure.CANCELLED, "cut short"
        else:
            seconds = self.task.limits.agent_timeout / 1000
            self.failure, self.detail = SessionFailure.TIMEOUT, f"still at work after {seconds:g} s (agent_timeout)"

    @property
    def _price(self) -> Price | None:
        return price_of(self.model or self.agent.model, self.agent.prices)

    @property
    def cost(self) -> float | None:
        """US dollars so far; None where the model's price is unknown."""
        return self._price.of(self.usage) if self._price else None


def _shown(call: Call) -> str:
    given = call.arguments.get("command") or call.arguments.get("path") or ""
    sign = "$" if call.name == "bash" else call.name
    return f"{sign} {given}"[:_SHOWN]
