"""Claude Code, headless: `claude -p` with its stream of JSON events.

As observed with versions 2.1.197 to 2.1.329: an assistant message comes as one event a content block, with the usage of
its beginning; only the result has the true usage and cost. An API error is a result with `is_error` whose subtype
is nevertheless "success". A stream that falls silent hangs for ever.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from autoloop.agents.client import ClientAgent
from autoloop.agents.clues import failure_of
from autoloop.agents.events import Reader, Told
from autoloop.agents.programs import CLAUDE, Program
from autoloop.agents.trajectory import Call
from autoloop.core.session import SessionFailure
from autoloop.core.usage import Usage
from autoloop.ports import Room, Task

TOOLS = "Bash,Edit,MultiEdit,Write,Read,Glob,Grep,LS,NotebookEdit,TodoWrite,Task"
"""What it may use without asking where nothing confines it: nobody would answer."""
RETRIES = "2"
"""Of its own, within a session. Longer waits are the loop's, which shows them."""
_ACTS_LATER = (
    "settings.json",
    "settings.local.json",
    "CLAUDE.md",
    "agents",
    "commands",
    "hooks",
    "plugins",
    "skills",
)
"""In `~/.claude`: would run, or be read, in the user's own sessions."""


class ClaudeAgent(ClientAgent):
    """Claude Code."""

    program: ClassVar[Program] = CLAUDE

    @classmethod
    def read_only(cls, home: Path) -> tuple[Path, ...]:
        """Settings, hooks and instructions of the user."""
        return tuple(home / ".claude" / name for name in _ACTS_LATER)

    def command(self, task: Task, prompt: str) -> list[str]:
        """Events on standard output, limits, and nothing that asks."""
        words = ["-p", "--output-format", "stream-json", "--verbose", "--max-turns", str(task.limits.max_turns)]
        if self.model:
            words += ["--model", self.model]
        if self.effort:
            words += ["--effort", self.effort]
        if task.left.cost_usd is not None:
            words += ["--max-budget-usd", f"{max(task.left.cost_usd, 0.01):.4f}"]
        if task.sandbox.tier == "none":
            words += ["--permission-mode", "dontAsk", "--allowedTools", TOOLS]
        else:
            words += ["--dangerously-skip-permissions"]
        # Servers of the user's for other purposes are none of the experiment's business.
        return [*words, "--strict-mcp-config", *self.args, "--", prompt]

    def variables(self, task: Task, room: Room) -> dict[str, str]:
        """No traffic but with the model; as root it works in a sandbox alone."""
        mine = {
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            "CLAUDE_CODE_MAX_RETRIES": RETRIES,
        }
        if task.sandbox.tier != "none":
            mine["IS_SANDBOX"] = "1"
        return {name: self.env.get(name, value) for name, value in mine.items()}

    def reader(self, told: Told, task: Task) -> Reader:
        """For its events."""
        return ClaudeReader(told, task)


class ClaudeReader(Reader):
    """Reads `stream-json`."""

    def event(self, event: dict[str, Any]) -> None:
        """By its type."""
        match event.get("type"):
            case "system":
                self._system(event)
            case "assistant":
                self._assistant(event)
            case "user":
                self._results(event)
            case "rate_limit_event":
                self._rate_limit(event.get("rate_limit_info") or {})
            case "result":
                self._result(event)

    def _system(self, event: Mapping[str, Any]) -> None:
        told = self.told
        if event.get("subtype") == "init":
            told.model = told.trajectory.model = str(event.get("model") or told.model)
            told.trajectory.version = str(event.get("claude_code_version") or "")
        elif event.get("subtype") == "api_retry":
            status, kind = event.get("error_status"), str(event.get("error") or "")
            seconds = float(event.get("retry_delay_ms") or 0) / 1000
            told.show(f"the service fails ({status or kind}); trying again in {seconds:.0f} s")
            # Counts only if it dies while it waits.
            if failure := failure_of(status, kind):
                told.fails(failure[0], f"the service failed ({status or kind})", time.time() + seconds)

    def _assistant(self, event: Mapping[str, Any]) -> None:
        message = event["message"]
        if event.get("error") or message.get("model") == "<synthetic>":
            return  # an error in the clothes of an answer: the result tells the same
        self.told.failure, self.told.detail = None, ""
        for block in message.get("content") or ():
            text, thought, calls = "", "", []
            match block.get("type"):
                case "text":
                    text = str(block["text"])
                    self.told.say(text)
                case "thinking":
                    thought = str(block.get("thinking", ""))
                case "tool_use":
                    calls = [Call(str(block["id"]), str(block["name"]), block.get("input") or {})]
                    self.told.show(shown(calls[0].name, calls[0].arguments))
            self.told.trajectory.agent(
                text,
                reasoning=thought,
                calls=calls,
                message_id=str(message.get("id")),
                model=str(message.get("model")),
            )

    def _results(self, event: Mapping[str, Any]) -> None:
        content = event["message"].get("content")
        for block in content if isinstance(content, list) else ():
            if block.get("type") == "tool_result":
                self.told.trajectory.observe(str(block.get("tool_use_id")), text_of(block.get("content")))

    def _rate_limit(self, about: Mapping[str, Any]) -> None:
        if about.get("status") == "rejected":
            at = about.get("resetsAt")
            self.told.retry_at = float(at) if isinstance(at, int | float) else None

    def _result(self, event: Mapping[str, Any]) -> None:
        told = self.told
        told.cost_usd = event.get("total_cost_usd")
        told.turns = int(event.get("num_turns") or 0)
        told.usage = usage_of(event)
        said = str(event.get("result") or "; ".join(map(str, event.get("errors") or ())) or event.get("subtype"))
        match event.get("subtype"):
            case "error_max_turns":
                told.fails(SessionFailure.TURNS, f"still at work after {told.turns} turns (max_turns)")
            case "error_max_budget_usd":
                told.fails(SessionFailure.BUDGET, "nothing is left of max_cost_usd")
            case _ if event.get("is_error"):
                failure = failure_of(event.get("api_error_status"), said)
                when = told.retry_at
                told.fails(*(failure or (SessionFailure.EXITED, said, None)))
                told.retry_at = when or told.retry_at
            case _ if event.get("stop_reason") == "refusal":
                told.fails(SessionFailure.REFUSED, said)
            case _:
                told.failure, told.detail = None, ""


def usage_of(result: Mapping[str, Any]) -> Usage | None:
    """The tokens of all models that took part."""
    found = None
    for used in (result.get("modelUsage") or {}).values():
        usage = Usage(
            input=int(used.get("inputTokens") or 0),
            output=int(used.get("outputTokens") or 0),
            cache_read=int(used.get("cacheReadInputTokens") or 0),
            cache_write=int(used.get("cacheCreationInputTokens") or 0),
        )
        found = usage if found is None else found + usage
    return found


def shown(name: str, given: Mapping[str, Any]) -> str:
    """A tool call in a few words."""
    about = given.get("command") or given.get("file_path") or given.get("path") or given.get("pattern") or ""
    return f"$ {about}" if name.lower() in ("bash", "shell") else f"{name} {about}".strip()


def text_of(content: object) -> str:
    """The text of a tool's result, which is one or a list of blocks."""
    if isinstance(content, list):
        return "\n".join(str(block.get("text", "")) for block in content if isinstance(block, dict))
    return str(content or "")
