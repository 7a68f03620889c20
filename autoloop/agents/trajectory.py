"""Trajectories: the step-by-step record of a session in ATIF, the Agent Trajectory Interchange Format, version 1.7.

Steps are appended to `trajectory.atif.jsonl` as they end; `trajectory.json` takes their place when the session is over,
so that a kill loses at most the step in progress. On a full disk the record ends, and the session does not. Secrets
are replaced before anything is written.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from autoloop.agents.redaction import Redaction
from autoloop.core.session import Usage
from autoloop.ports import Task

SCHEMA = "ATIF-v1.7"
STEPS = "trajectory.atif.jsonl"
WHOLE = "trajectory.json"
LONGEST = 20_000
"""Characters of one text; the middle of a longer one is left out."""
LARGEST = 32 << 20
"""Bytes of all steps."""


@dataclass(frozen=True)
class Call:
    """A tool call of the model, as a step records it."""

    id: str
    name: str
    arguments: Mapping[str, Any]


class Trajectory:
    """Writes the trajectory of one session."""

    def __init__(self, task: Task, agent: str, version: str = "", secrets: Iterable[str] = ()) -> None:
        self.agent_name, self.version, self.model = agent, version, ""
        self.session = f"{task.run_id}-{task.experiment:04d}"
        self.folder = task.transcript.parent
        self.folder.mkdir(parents=True, exist_ok=True)
        self._redacted = Redaction(secrets)
        self._open: dict[str, Any] | None = None
        self._message = ""
        self._steps = self._size = 0
        self._cut = False
        self._usage: Usage | None = None
        self._cost: float | None = None
        self._told: tuple[Usage | None, float | None] = (None, None)
        (self.folder / WHOLE).unlink(missing_ok=True)  # of an attempt before
        self._file = (self.folder / STEPS).open("wb", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            self._close_step()
        with suppress(OSError):  # then the steps stay as they are
            self._write_whole()

    def system(self, text: str) -> None:
        """Record the system prompt that the model was given."""
        self._begin({"source": "system", "message": self._clean(text)})

    def user(self, text: str) -> None:
        """Record the prompt of the session."""
        self._begin({"source": "user", "message": self._clean(text)})

    def agent(
        self,
        message: str = "",
        *,
        message_id: str = "",
        model: str = "",
        reasoning: str = "",
        calls: Sequence[Call] = (),
        usage: Usage | None = None,
        cost_usd: float | None = None,
    ) -> None:
        """Record an answer, or with the id of the one before more of that."""
        step = self._open
        if step is None or not message_id or message_id != self._message:
            step = self._begin({"source": "agent", "message": ""})
            self._message = message_id
        step["message"] = _joined(step["message"], self._clean(message))
        if model:
            step["model_name"] = self.model = model
        if reasoning:
            step["reasoning_content"] = _joined(step.get("reasoning_content", ""), self._clean(reasoning))
        if calls:
            step.setdefault("tool_calls", []).extend(self._call(call) for call in calls)
        if usage is not None or cost_usd is not None:
            step["metrics"] = _metrics(usage, cost_usd)

    def observe(self, call_id: str, content: str) -> None:
        """Record the result of a tool call of the latest answer; of any other it stands without its call."""
        step = self._open or self._begin({"source": "system", "message": ""})
        known = {call["tool_call_id"] for call in step.get("tool_calls", ())}
        result = {"source_call_id": call_id} if call_id in known else {}
        results = step.setdefault("observation", {"results": []})["results"]
        results.append({**result, "content": self._clean(content)})

    def finish(self, usage: Usage | None = None, cost_usd: float | None = None) -> None:
        """Record the cost of the session, where the agent says so itself."""
        self._told = (usage, cost_usd)

    def _begin(self, step: dict[str, Any]) -> dict[str, Any]:
        self._close_step()
        self._message = ""
        self._open = {"timestamp": datetime.now(UTC).isoformat(), **step}
        return self._open

    def _close_step(self) -> None:
        """Write the step in progress; once the record is full, count it only."""
        step, self._open = self._open, None
        if step is None:
            return
        self._add_up(step.get("metrics", {}))
        line = json.dumps({"step_id": self._steps + 1, **step}, ensure_ascii=False).encode(errors="replace") + b"\n"
        if self._cut or self._size >= LARGEST or not self._write(line):
            self._cut = True
            return
        self._steps += 1
        self._size += len(line)

    def _add_up(self, metrics: Mapping[str, Any]) -> None:
        if "prompt_tokens" in metrics:
            usage = Usage(
                input=metrics["prompt_tokens"] - metrics["cached_tokens"],
                output=metrics["completion_tokens"],
                cache_read=metrics["cached_tokens"],
            )
            self._usage = usage if self._usage is None else self._usage + usage
        if "cost_usd" in metrics:
            self._cost = (self._cost or 0.0) + metrics["cost_usd"]

    def _write(self, line: bytes) -> bool:
        """Whether the line is in the record; on a full disk a part of one is taken back."""
        try:
            if self._file.write(line) == len(line):
                return True
        except OSError:
            pass
        with suppress(OSError):
            self._file.truncate(self._size)
        return False

    def _call(self, call: Call) -> dict[str, Any]:
        cleaned = json.loads(self._clean_json(dict(call.arguments)))
        return {"tool_call_id": call.id, "function_name": call.name, "arguments": cleaned}

    def _clean_json(self, value: object) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(f"{json.dumps(str(k))}: {self._clean_json(v)}" for k, v in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(map(self._clean_json, value)) + "]"
        if isinstance(value, float) and not isfinite(value):  # which JSON does not know
            value = str(value)
        return json.dumps(self._clean(value) if isinstance(value, str) else value, default=str)

    def _clean(self, text: str) -> str:
        text = self._redacted(text)
        if len(text) <= LONGEST:
            return text
        half = LONGEST // 2
        return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"

    def _head(self) -> dict[str, Any]:
        usage, cost = self._told
        final = _totals(usage or self._usage, self._cost if cost is None else cost, self._steps)
        agent = {"name": self.agent_name, "version": self.version or "unknown"}
        if self.model:
            agent["model_name"] = self.model
        head = {"schema_version": SCHEMA, "session_id": self.session, "agent": agent, "final_metrics": final}
        return {**head, "notes": "too long, or no room: the later steps are left out"} if self._cut else head

    def _write_whole(self) -> None:
        """Put the steps together, streamed; what is there under the name is whole at any time."""
        partial = self.folder / f".{WHOLE}"
        try:
            with partial.open("wb") as file:
                file.write(json.dumps(self._head())[:-1].encode() + b', "steps": [')
                for number, line in enumerate(self._lines()):
                    file.write((b"," if number else b"") + b"\n" + line)
                file.write(b"\n]}\n")
            os.replace(partial, self.folder / WHOLE)
        finally:
            partial.unlink(missing_ok=True)
        (self.folder / STEPS).unlink()

    def _lines(self) -> Iterator[bytes]:
        """The written steps; one that says so for a session that never began, since ATIF wants at least one."""
        if not self._steps:
            yield json.dumps(
                {"step_id": 1, "source": "system", "message": "the session ended before it began"}
            ).encode()
        with Path(self.folder / STEPS).open("rb") as file:
            yield from (line.rstrip(b"\n") for line in file)


def _joined(before: str, more: str) -> str:
    return f"{before}\n{more}" if before and more else before or more


def _metrics(usage: Usage | None, cost_usd: float | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if usage is not None:
        found["prompt_tokens"] = usage.input + usage.cache_read + usage.cache_write
        found["completion_tokens"] = usage.output
        found["cached_tokens"] = usage.cache_read
    if cost_usd is not None:
        found["cost_usd"] = cost_usd
    return found


def _totals(usage: Usage | None, cost_usd: float | None, steps: int) -> dict[str, Any]:
    found = {f"total_{name}": value for name, value in _metrics(usage, cost_usd).items()}
    return {**found, "total_steps": max(steps, 1)}
