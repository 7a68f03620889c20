"""The record that Codex keeps of a thread while it works: tokens after each answer, the model, the version.

Its format is nobody's promise. What is not found there is not known, and does no harm.
"""

import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autoloop.agents.transcript import Lines

_PAUSE = 0.5
"""Seconds between two looks."""
_LONGEST = 4 << 20
_AT_ONCE = 16 << 20
"""Bytes of one look; a thread writes less."""


@dataclass
class Rollout:
    """The record of one thread, read as it grows."""

    folder: Path
    thread: str = ""
    used: dict[str, Any] = field(default_factory=dict)
    """The tokens of all answers."""
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
        """Take what is new; whether anybody looked."""
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
