"""opencode, headless: `opencode run --format json`.

As observed with version 1.18.33: each step ends with its tokens and its cost. Rate limits, a quota that is used up and
a service that is not there are retried for ever, without an event: only its log tells, so that is read beside them.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from autoloop.agents.client import ClientAgent
from autoloop.agents.client_programs import OPENCODE, ClientProgram
from autoloop.agents.error_texts import failure_of
from autoloop.agents.events import Reader, SessionLog, shown
from autoloop.agents.trajectory import Call
from autoloop.core.session import SessionFailure, Usage
from autoloop.errors import AutoloopError
from autoloop.ports import Room, Task

_ALLOWED = {"permission": {"edit": "allow", "bash": "allow", "webfetch": "deny", "external_directory": "allow"}}
"""Permissions: what would ask is denied, since nobody answers."""
_TROUBLE = re.compile(r'level=ERROR .*\bmessage="stream error".*?\bsmall=false\b.*?\berror\.error="((?:[^"\\]|\\.)*)"')
_NO_MODEL = re.compile(r'level=ERROR .*\berror="ProviderModelNotFoundError: ([^"]*)"')
_GIVEN = "OPENCODE_CONFIG_CONTENT"
_ENDLESS = 3
"""Answers in a row. It asks again for ever."""
_OVERFLOWS = 3
"""A conversation that is too long is summed up and goes on; one that does not get shorter would go on for ever."""


class OpencodeAgent(ClientAgent):
    """The agent `opencode`, headless in the agent's tree."""

    program: ClassVar[ClientProgram] = OPENCODE

    @classmethod
    def has_key(cls, env: Mapping[str, str]) -> bool:
        """False: which service a key is for depends on the model, so the sign-in is always copied."""
        return False

    def command(self, task: Task, prompt: str) -> list[str]:
        """The options of `opencode run`: events on standard output."""
        words = ["run", "--format", "json", "--print-logs", "--log-level", "WARN"]
        if self.model:
            words += ["-m", self.model]
        if self.effort:
            words += ["--variant", self.effort]
        return [*words, *self.args, "--", prompt]

    def variables(self, task: Task) -> dict[str, str]:
        """No look-ups of its own, and permissions that do not ask."""
        config = {"autoupdate": False, "share": "disabled", **_ALLOWED, **self.given}
        return {
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            _GIVEN: json.dumps(config),
        }

    @property
    def given(self) -> dict[str, Any]:
        """The user's own settings of opencode that came with the environment."""
        try:
            found = json.loads(self.env.get(_GIVEN) or "{}")
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise AutoloopError(f"{_GIVEN} holds no JSON object", "Write its settings into opencode.json instead.")
        return found

    def copy_settings(self, home: Path) -> None:
        """Write the user's settings: without them a service that they describe is unknown."""
        for name in self.program.settings:
            with suppress(OSError):
                text = (Path(self.env.get("HOME") or Path.home()) / name).read_bytes()
                (home / name).parent.mkdir(parents=True, exist_ok=True)
                (home / name).touch(0o600)
                (home / name).write_bytes(text)

    def reader(self, told: SessionLog, task: Task, room: Room) -> Reader:
        """The reader of its events and of its log."""
        return OpencodeReader(told, task)


class OpencodeReader(Reader):
    """Reads the events of `opencode run --format json`."""

    endless = 0
    """Answers in a row that were cut off, or were none."""
    overflows = 0
    """How often it had to begin anew with a summary."""

    def errors(self, lines: list[str]) -> None:
        """Take lines of its log, which standard error carries."""
        for line in lines:
            if found := _NO_MODEL.search(line):
                self.told.stop(SessionFailure.UNREACHABLE, found[1])
            elif found := _TROUBLE.search(line):
                said = found[1]
                if failure := failure_of(None, said):
                    self.told.waits(*failure)
                self.told.show(said)
        super().errors(lines)

    def event(self, event: dict[str, Any]) -> None:
        """Take one event, by its `type`."""
        part = event.get("part") or {}
        match event.get("type"):
            case "text":
                self.told.works()
                text = str(part.get("text") or "")
                self.told.say(text)
                self.told.trajectory.agent(text, message_id=str(part.get("messageID") or ""), model=self.told.model)
            case "tool_use":
                self._tool(part)
            case "step_finish":
                self._step(part)
            case "error":
                self._error(event.get("error") or {})

    def _tool(self, part: Mapping[str, Any]) -> None:
        self.told.works()
        state, name = part.get("state") or {}, str(part.get("tool") or "")
        given, call = state.get("input") or {}, str(part.get("callID") or part.get("id") or "")
        self.told.show(shown(name, {**given, "file_path": given.get("filePath")}))
        trajectory = self.told.trajectory
        message = str(part.get("messageID") or "")
        trajectory.agent(calls=[Call(call, name, given)], message_id=message, model=self.told.model)
        trajectory.observe(call, str(state.get("output") or state.get("error") or ""))

    def _step(self, part: Mapping[str, Any]) -> None:
        told, tokens = self.told, part.get("tokens") or {}
        cache = tokens.get("cache") or {}
        usage = Usage(
            input=int(tokens.get("input") or 0),
            output=int(tokens.get("output") or 0) + int(tokens.get("reasoning") or 0),
            cache_read=int(cache.get("read") or 0),
            cache_write=int(cache.get("write") or 0),
        )
        told.usage = usage if told.usage is None else told.usage + usage
        told.cost_usd = (told.cost_usd or 0.0) + float(part.get("cost") or 0.0)
        told.turns += 1
        told.works()
        left, limits = self.task.left, self.task.limits
        self.endless = self.endless + 1 if part.get("reason") == "unknown" else 0
        if part.get("reason") == "stop":
            return
        if self.endless >= _ENDLESS:
            told.stop(SessionFailure.MALFORMED, "the service's answers have no end")
        elif told.turns >= limits.max_turns:
            told.stop(SessionFailure.TURNS, f"still at work after {told.turns} turns (max_turns)")
        elif left.cost_usd is not None and told.cost_usd >= left.cost_usd:
            told.stop(SessionFailure.BUDGET, "nothing is left of max_cost_usd")
        elif left.tokens is not None and told.usage.total >= left.tokens:
            told.stop(SessionFailure.BUDGET, "nothing is left of max_tokens")

    def _error(self, error: Mapping[str, Any]) -> None:
        data = error.get("data") or {}
        said = f"{error.get('name') or ''} {data.get('message') or ''}".strip()
        status = data.get("statusCode")
        failure = failure_of(status if isinstance(status, int) else None, said)
        self.told.fails(*(failure or (SessionFailure.EXITED, said, None)))
        self.told.show(said)
        self.overflows += self.told.failure is SessionFailure.CONTEXT_TOO_LONG
        if self.overflows >= _OVERFLOWS:
            self.told.stop(SessionFailure.CONTEXT_TOO_LONG, said)
