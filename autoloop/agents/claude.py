"""Claude Code, headless: `claude -p` with its stream of JSON events.

As observed with versions 2.1.197 to 2.1.329: an assistant message comes as one event a content block, with the usage of
its beginning; only the result, and the deltas of the stream, have the true usage. An API error is a result with
`is_error` whose subtype is nevertheless "success". A stream that falls silent hangs for ever. An effort that it does
not know is passed over with a warning.
"""

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from autoloop.agents.client import ClientAgent
from autoloop.agents.client_programs import CLAUDE, ClientProgram, claude_settings
from autoloop.agents.error_texts import failure_of
from autoloop.agents.events import PATIENCE, Reader, SessionLog, shown, text_of
from autoloop.agents.trajectory import Call
from autoloop.core.session import SessionFailure, Usage
from autoloop.ports import Room, Task

TOOLS = "Bash,Edit,MultiEdit,Write,Read,Glob,Grep,LS,NotebookEdit,TodoWrite,Task"
"""Tools that may be used without asking where no sandbox confines them: nobody would answer."""
AWAY = "EnterWorktree,ScheduleWakeup,CronCreate"
"""Tools that would take its work out of the tree, or beyond the session."""
RETRIES = "2"
"""Claude Code's own retries within a session. Longer waits are the loop's, which shows them."""
SETTINGS = ".claude.json"
SIGNED_IN = ("primaryApiKey", "oauthAccount", "customApiKeyResponses", "hasCompletedOnboarding")
"""Keys of `~/.claude.json` that belong to the sign-in. The others are the user's own: projects, servers, histories."""
_LONGEST_COMMAND = 600_000
"""Milliseconds: Claude Code's own bound for one command."""


class ClaudeAgent(ClientAgent):
    """The agent `claude`: Claude Code, headless in the agent's tree."""

    program: ClassVar[ClientProgram] = CLAUDE
    foreign = (
        "CLAUDE_CODE_ENTRYPOINT",
        "CLAUDE_CODE_SSE_PORT",
        "CLAUDE_CODE_SESSION_ID",
        "CLAUDE_CODE_CHILD_SESSION",
        "CLAUDE_CODE_SIMPLE",
    )

    def command(self, task: Task, prompt: str) -> list[str]:
        """The options of `claude -p`: events on standard output, limits, and nothing that asks."""
        words = ["-p", "--output-format", "stream-json", "--verbose", "--include-partial-messages"]
        words += ["--max-turns", str(task.limits.max_turns)]
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
        words += ["--disallowedTools", AWAY]
        # Servers, hooks and instructions of the user's for other purposes are none of the experiment's business.
        return [*words, "--strict-mcp-config", "--setting-sources", "project", *self.args, "--", prompt]

    def variables(self, task: Task) -> dict[str, str]:
        """No traffic but with the model; commands end before they seem idle; as root it works only in a sandbox."""
        mine = {
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            "CLAUDE_CODE_MAX_RETRIES": RETRIES,
        }
        if task.limits.agent_idle_timeout:
            mine["BASH_MAX_TIMEOUT_MS"] = str(min(_LONGEST_COMMAND, int(task.limits.agent_idle_timeout * 0.9)))
        chosen = {name: self.env.get(name, value) for name, value in mine.items()}
        return chosen if task.sandbox.tier == "none" else {**chosen, "IS_SANDBOX": "1"}

    def copy_settings(self, home: Path) -> None:
        """Write the part of `~/.claude.json` that belongs to the sign-in."""
        if self.has_key(self.env):
            return
        with suppress(OSError, ValueError, TypeError):
            found = json.loads(claude_settings(Path(self.env.get("HOME") or Path.home()), self.env).read_bytes())
            kept = {name: found[name] for name in SIGNED_IN if name in found}
            (home / SETTINGS).touch(0o600)
            (home / SETTINGS).write_text(json.dumps(kept))

    def reader(self, told: SessionLog, task: Task, room: Room) -> Reader:
        """The reader of `claude -p`'s events."""
        return ClaudeReader(told, task)


class ClaudeReader(Reader):
    """Reads the events of `claude -p --output-format stream-json`."""

    def __init__(self, told: SessionLog, task: Task) -> None:
        super().__init__(told, task)
        self.answers: dict[str, Usage] = {}
        """By the id of the message."""
        self.current = ""

    def passing(self, event: dict[str, Any]) -> bool:
        """Each few words of an answer are an event: a sign of life, and no more."""
        return event.get("type") == "stream_event"

    def errors(self, lines: list[str]) -> None:
        """Fail at the warning of an unknown effort: another one would be used instead."""
        super().errors(lines)
        if said := next((line for line in lines if "Unknown --effort" in line), ""):
            self.told.stop(SessionFailure.UNREACHABLE, said)

    def event(self, event: dict[str, Any]) -> None:
        """Take one event, by its `type`."""
        match event.get("type"):
            case "system":
                self._system(event)
            case "stream_event":
                self._stream(event["event"])
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
            if failure := failure_of(status, kind):
                # A short delay is a guess of the client's own, and not when to come back.
                retry_at = time.time() + seconds if seconds > PATIENCE else None
                told.waits(failure[0], f"the service failed ({status or kind})", retry_at)
        elif event.get("subtype") == "model_fallback":
            told.show(f"{event.get('fallback_model')} takes the place of {event.get('original_model')}")

    def _stream(self, event: Mapping[str, Any]) -> None:
        """The tokens of an answer: at its beginning those that it read, at its end those that it wrote."""
        match event.get("type"):
            case "message_start":
                self.current = str(event["message"].get("id"))
                self._count(event["message"].get("usage") or {}, Usage())
            case "message_delta":
                self._count(event.get("usage") or {}, self.answers.get(self.current, Usage()))

    def _count(self, used: Mapping[str, Any], before: Usage) -> None:
        names = {
            "input": "input_tokens",
            "output": "output_tokens",
            "cache_read": "cache_read_input_tokens",
            "cache_write": "cache_creation_input_tokens",
        }
        told = {field: int(used[name]) for field, name in names.items() if used.get(name) is not None}
        self.answers[self.current] = before.model_copy(update=told)
        self.told.usage = usage = sum(self.answers.values(), Usage())
        self.told.turns = max(self.told.turns, len(self.answers))
        if self.task.left.tokens is not None and usage.total >= self.task.left.tokens:
            self.told.stop(SessionFailure.BUDGET, "nothing is left of max_tokens")

    def _assistant(self, event: Mapping[str, Any]) -> None:
        message = event["message"]
        if event.get("error") or message.get("model") == "<synthetic>":
            return  # an error in the clothes of an answer: the result tells the same
        self.told.works()
        helper = bool(event.get("parent_tool_use_id"))
        for block in message.get("content") or ():
            text, thought, calls = "", "", []
            match block.get("type"):
                case "text":
                    text = str(block["text"])
                    if helper:  # speaks to the agent, and not for it
                        self.told.show(text)
                    else:
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
        at = about.get("resetsAt")
        if about.get("status") == "rejected" and isinstance(at, int | float):
            kind = str(about.get("rateLimitType") or "usage").replace("_", " ")
            self.told.waits(SessionFailure.OUT_OF_QUOTA, f"the {kind} limit is reached", float(at))

    def _result(self, event: Mapping[str, Any]) -> None:
        told = self.told
        told.cost_usd = event.get("total_cost_usd")
        told.turns = told.turns or int(event.get("num_turns") or 0)
        told.usage = usage_of(event) or told.usage
        said = str(event.get("result") or "; ".join(map(str, event.get("errors") or ())) or event.get("subtype"))
        match event.get("subtype"):
            case "error_max_turns":
                limit = self.task.limits.max_turns
                told.fails(SessionFailure.TURNS, f"still at work after {limit} turns (max_turns)")
            case "error_max_budget_usd":
                told.fails(SessionFailure.BUDGET, "nothing is left of max_cost_usd")
            case _ if event.get("is_error"):
                failure, text, retry_at = failure_of(event.get("api_error_status"), said) or (
                    SessionFailure.EXITED, said, None,
                )  # fmt: skip
                told.fails(failure, text, retry_at or told.retry_at)
            case _ if event.get("stop_reason") == "refusal":
                told.fails(SessionFailure.REFUSED, said)
            case _:
                told.works()


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
