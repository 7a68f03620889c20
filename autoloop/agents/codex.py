"""Codex, headless: `codex exec --json`.

As observed with version 0.169.0: it has no limit of turns or costs, and its events tell tokens only at the end; the
record that it keeps of its thread tells them after each answer, so that is read beside them. Statuses stand in the
words of an error alone. It waits for ever for a network that is not there.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from autoloop.agents.client import ClientAgent
from autoloop.agents.clues import failure_of
from autoloop.agents.events import Reader, Told, shown
from autoloop.agents.prices import price_of
from autoloop.agents.programs import CODEX, Program
from autoloop.agents.rollout import Rollout
from autoloop.agents.trajectory import Call
from autoloop.core.session import SessionFailure
from autoloop.core.usage import Usage
from autoloop.ports import Room, Task


class CodexAgent(ClientAgent):
    """Codex."""

    program: ClassVar[Program] = CODEX
    foreign = ("CODEX_SANDBOX", "CODEX_SANDBOX_NETWORK_DISABLED", "CODEX_THREAD_ID")

    def command(self, task: Task, prompt: str) -> list[str]:
        """Events on standard output; its own sandbox is off where ours is on."""
        words = ["exec", "--json", "--skip-git-repo-check", "--ignore-user-config"]
        if task.sandbox.tier == "none":
            words += ["-s", "workspace-write"]
        else:
            words += ["--dangerously-bypass-approvals-and-sandbox"]
        if self.model:
            words += ["-m", self.model]
        if self.effort:
            words += ["-c", f'model_reasoning_effort="{self.effort}"']
        return [*words, *self.args, "--", prompt]

    def reader(self, told: Told, task: Task, room: Room) -> Reader:
        """For its events, and for what it records."""
        if task.sandbox.tier == "none":
            folder = self.program.signed_in(Path(self.env.get("HOME") or Path.home()), self.env).parent
        else:
            folder = task.cell.home / self.program.folder
        return CodexReader(told, task, Rollout(folder / "sessions"), self)


class CodexReader(Reader):
    """Reads the events of `codex exec --json`."""

    def __init__(self, told: Told, task: Task, rollout: Rollout, agent: CodexAgent) -> None:
        super().__init__(told, task)
        self.rollout, self.agent = rollout, agent
        self.tools = 0

    def event(self, event: dict[str, Any]) -> None:
        """By its type."""
        match event.get("type"):
            case "thread.started":
                self.rollout.thread = str(event.get("thread_id") or "")
            case "item.started":
                self._started(event["item"])
            case "item.completed":
                self._completed(event["item"])
            case "turn.completed":
                self.told.works()
                self.look(at_once=True)
                self.told.usage = usage_of(event.get("usage") or {})
                self.told.turns = self.rollout.answers or self.tools + 1
            case "turn.failed":
                self._failed(str((event.get("error") or {}).get("message") or "the turn failed"), last=True)
            case "error":
                self._failed(str(event.get("message") or ""), last=False)

    def look(self, *, at_once: bool = False) -> None:
        """Whether a limit is reached: it has none of its own."""
        if not self.rollout.read(at_once=at_once):
            return
        told, left = self.told, self.task.left
        told.model = told.trajectory.model = self.rollout.model or told.model
        told.trajectory.version = self.rollout.version
        if self.rollout.used:
            told.usage = usage_of(self.rollout.used)
            told.turns = self.rollout.answers
        if told.usage is None or self.rollout.over:
            return
        price = price_of(told.model, self.agent.prices)
        turns = self.task.limits.max_turns
        if told.turns > turns or (told.turns == turns and self.tools >= turns):
            self._too_many()
        elif left.tokens is not None and told.usage.total >= left.tokens:
            told.stop(SessionFailure.BUDGET, "nothing is left of max_tokens")
        elif left.cost_usd is not None and price and price.of(told.usage) >= left.cost_usd:
            told.stop(SessionFailure.BUDGET, "nothing is left of max_cost_usd")

    def _too_many(self) -> None:
        turns = self.task.limits.max_turns
        self.told.stop(SessionFailure.TURNS, f"still at work after {turns} turns (max_turns)")

    def _started(self, item: Mapping[str, Any]) -> None:
        if item.get("type") == "command_execution":
            self.told.show(shown("shell", item))

    def _completed(self, item: Mapping[str, Any]) -> None:
        told, name = self.told, str(item.get("id") or "")
        match item.get("type"):
            case "agent_message":
                text = str(item.get("text") or "")
                told.works()
                told.say(text)
                told.trajectory.agent(text, model=told.model)
                return
            case "reasoning":
                told.trajectory.agent(reasoning=str(item.get("text") or ""), model=told.model)
                return
            case "command_execution":
                given = {"command": str(item.get("command") or "")}
                told.trajectory.agent(calls=[Call(name, "shell", given)], model=told.model)
                told.trajectory.observe(name, str(item.get("aggregated_output") or ""))
            case "file_change":
                changes = item.get("changes") or []
                told.show(f"edit {', '.join(str(change.get('path')) for change in changes)}")
                told.trajectory.agent(calls=[Call(name, "edit", {"changes": changes})], model=told.model)
            case _:  # a plan, or a warning: what ends a turn comes as an event of its own
                return
        told.works()
        self.tools += 1
        self.look(at_once=True)
        if not self.rollout.answers:
            told.turns = self.tools
            if self.tools >= self.task.limits.max_turns:
                self._too_many()

    def _failed(self, said: str, *, last: bool) -> None:
        failure = failure_of(None, said)
        if last:
            self.told.fails(*(failure or (SessionFailure.EXITED, said, None)))
        elif failure is not None:
            self.told.waits(*failure)
        self.told.show(said)


def usage_of(used: Mapping[str, Any]) -> Usage:
    """Its count of tokens; the input holds what was cached."""
    cached = int(used.get("cached_input_tokens") or 0)
    return Usage(
        input=max(int(used.get("input_tokens") or 0) - cached, 0),
        output=int(used.get("output_tokens") or 0),
        cache_read=cached,
    )
