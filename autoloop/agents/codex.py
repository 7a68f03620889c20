"""Codex, headless: `codex exec --json`.

As observed with version 0.169.0: it has no limit of turns and tells no cost, and its tokens come at the end; so turns
are counted here, as the tools that it used. Statuses stand in the words of an error alone. It waits for ever for
a network that is not there.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from autoloop.agents.claude import shown
from autoloop.agents.client import ClientAgent
from autoloop.agents.clues import failure_of
from autoloop.agents.events import Reader, Told
from autoloop.agents.programs import CODEX, Program
from autoloop.agents.trajectory import Call
from autoloop.core.session import SessionFailure
from autoloop.core.usage import Usage
from autoloop.ports import Task


class CodexAgent(ClientAgent):
    """Codex."""

    program: ClassVar[Program] = CODEX

    @classmethod
    def read_only(cls, home: Path) -> tuple[Path, ...]:
        """Settings and instructions of the user."""
        names = ("config.toml", "AGENTS.md", "prompts", "rules", "hooks.json", "skills")
        return tuple(home / ".codex" / name for name in names)

    def command(self, task: Task, prompt: str) -> list[str]:
        """Events on standard output; its own sandbox is off where ours is on."""
        words = ["exec", "--json", "--skip-git-repo-check"]
        if task.sandbox.tier == "none":
            words += ["-s", "workspace-write"]
        else:
            words += ["--dangerously-bypass-approvals-and-sandbox"]
        if self.model:
            words += ["-m", self.model]
        if self.effort:
            words += ["-c", f'model_reasoning_effort="{self.effort}"']
        return [*words, *self.args, "--", prompt]

    def reader(self, told: Told, task: Task) -> Reader:
        """For its events."""
        return CodexReader(told, task)


class CodexReader(Reader):
    """Reads the events of `codex exec --json`."""

    def event(self, event: dict[str, Any]) -> None:
        """By its type."""
        match event.get("type"):
            case "item.started":
                self._started(event["item"])
            case "item.completed":
                self._completed(event["item"])
            case "turn.completed":
                self.told.failure, self.told.detail = None, ""
                self.told.usage = _usage(event.get("usage") or {})
                self.told.turns += 1
            case "turn.failed":
                self._failed(str((event.get("error") or {}).get("message") or "the turn failed"), last=True)
            case "error":
                self._failed(str(event.get("message") or ""), last=False)

    def _started(self, item: Mapping[str, Any]) -> None:
        if item.get("type") == "command_execution":
            self.told.show(shown("shell", item))

    def _completed(self, item: Mapping[str, Any]) -> None:
        told, name = self.told, str(item.get("id") or "")
        match item.get("type"):
            case "agent_message":
                text = str(item.get("text") or "")
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
            case "error":
                return  # a warning: what ends a turn comes as an event of its own
            case _:
                return
        self.told.turns += 1
        if self.told.turns >= self.task.limits.max_turns:
            told.stop(SessionFailure.TURNS, f"still at work after {told.turns} turns (max_turns)")

    def _failed(self, said: str, *, last: bool) -> None:
        failure = failure_of(None, said)
        if failure is not None:
            self.told.fails(*failure)
        elif last:
            self.told.fails(SessionFailure.EXITED, said)
        self.told.show(said)


def _usage(used: Mapping[str, Any]) -> Usage:
    cached = int(used.get("cached_input_tokens") or 0)
    return Usage(
        input=max(int(used.get("input_tokens") or 0) - cached, 0),
        output=int(used.get("output_tokens") or 0),
        cache_read=cached,
    )
