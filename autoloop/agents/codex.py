"""Codex, headless: `codex exec --json`, and the record that it keeps of its thread.

As observed with version 0.169.0: it has no limit of turns or costs, and its events tell tokens only at the end. Its
record of the thread (the rollout file) tells tokens after each answer, the model and the version, so that is read
beside the events. The record's format is undocumented: what is not found there is unknown, and does no harm. Statuses
stand in the words of an error alone. It waits for ever for a network that is not there.
"""

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from autoloop.agents.client import ClientAgent
from autoloop.agents.client_programs import CODEX, ClientProgram
from autoloop.agents.error_texts import failure_of
from autoloop.agents.events import Reader, SessionLog, shown
from autoloop.agents.prices import price_of
from autoloop.agents.trajectory import Call
from autoloop.agents.transcript import Lines
from autoloop.core.session import SessionFailure, Usage
from autoloop.ports import Room, Task


class CodexAgent(ClientAgent):
    """The agent `codex`: Codex, headless in the agent's tree."""

    program: ClassVar[ClientProgram] = CODEX
    foreign = ("CODEX_SANDBOX", "CODEX_SANDBOX_NETWORK_DISABLED", "CODEX_THREAD_ID")

    def command(self, task: Task, prompt: str) -> list[str]:
        """The options of `codex exec`: events on standard output; its own sandbox is off where ours is on."""
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

    def reader(self, told: SessionLog, task: Task, room: Room) -> Reader:
        """The reader of its events, and of the record of its thread."""
        if task.sandbox.tier == "none":
            folder = self.program.signed_in(Path(self.env.get("HOME") or Path.home()), self.env).parent
        else:
            folder = task.cell.home / self.program.folder
        return CodexReader(told, task, Rollout(folder / "sessions"), self)


@dataclass
class Rollout:
    """The record (rollout file) of one thread, read as it grows."""

    folder: Path
    thread: str = ""
    used: dict[str, Any] = field(default_factory=dict)
    """The tokens of all answers so far."""
    answers: int = 0
    model: str = ""
    version: str = ""
    over: bool = False
    """Whether the model has given its last answer."""
    position: int = 0
    looked: float = 0.0

    def __post_init__(self) -> None:
        self._lines = Lines(self._take, _LONGEST)

    def read(self, *, at_once: bool = False) -> bool:
        """Take what was added; whether the record was looked at."""
        if not self.thread or (time.monotonic() - self.looked < _PAUSE and not at_once):
            return False
        self.looked = time.monotonic()
        path = next(self.folder.glob(f"*/*/*/rollout-*-{self.thread}.jsonl"), None)
        # The session can put anything here: a link, a pipe.
        with suppress(OSError):
            if path is not None:
                file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
                with open(file, "rb") as opened:
                    opened.seek(self.position)
                    new = opened.read(_AT_ONCE)
                self.position += len(new)
                self._lines.feed(new)
        return True

    def _take(self, lines: list[str]) -> None:
        for line in lines:
            try:
                entry = json.loads(line)
                self._entry(str(entry.get("type")), entry.get("payload") or {})
            except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
                continue

    def _entry(self, kind: str, payload: dict[str, Any]) -> None:
        match kind, payload.get("type"):
            case "session_meta", _:
                self.version = str(payload.get("cli_version") or "")
            case "turn_context", _:
                self.model = str(payload.get("model") or self.model)
            case "token_usage_record", _:  # with the answer
                self._count(payload.get("thread_token_usage"))
            case "event_msg", "token_count":  # after its tools
                self._count((payload.get("info") or {}).get("total_token_usage"))
            case "event_msg", "task_complete":
                self.over = True

    def _count(self, used: object) -> None:
        """Take the tokens of all answers so far; the same again is no new answer."""
        if isinstance(used, dict) and used and used.get("total_tokens") != self.used.get("total_tokens"):
            self.used = used
            self.answers += 1


class CodexReader(Reader):
    """Reads the events of `codex exec --json`."""

    def __init__(self, told: SessionLog, task: Task, rollout: Rollout, agent: CodexAgent) -> None:
        super().__init__(told, task)
        self.rollout, self.agent = rollout, agent
        self.tools = 0

    def event(self, event: dict[str, Any]) -> None:
        """Take one event, by its `type`."""
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
        """End the session at a limit: Codex has none of its own."""
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
    """Codex's count of tokens as a `Usage`; its input includes what was cached."""
    cached = int(used.get("cached_input_tokens") or 0)
    return Usage(
        input=max(int(used.get("input_tokens") or 0) - cached, 0),
        output=int(used.get("output_tokens") or 0),
        cache_read=cached,
    )


_PAUSE = 0.5
"""Seconds between two looks."""
_LONGEST = 4 << 20
_AT_ONCE = 16 << 20
"""Bytes of one look; a thread writes less."""
