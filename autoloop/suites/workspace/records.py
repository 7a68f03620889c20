"""The records of a trial beside its result: what was said, and the trajectory in both of its forms.

The sessions of all steps become one trajectory. Secrets were replaced when the agents wrote theirs.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

WHOLE = "trajectory.json"
TRANSCRIPT = "session.jsonl"
SAID = "said.txt"
"""What the oracle's command printed."""
MADE = "made_of_output"
"""The mark in `extra` of a trajectory that the agent itself did not write."""
LARGEST = 1 << 20
"""Characters of `output.txt`; the middle of a longer one is left out."""
_SHOWN = 2000
"""Characters of one tool call or of what came of it."""


@dataclass(frozen=True)
class Counts:
    """Counts of an agent's work, as its trajectory has it."""

    turns: int
    actions: int


def bounded(text: str, longest: int = LARGEST) -> str:
    """Both ends of a text, and how much is missing between them."""
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"


class _Call(BaseModel):
    function_name: str
    arguments: dict[str, Any]


class _Observation(BaseModel):
    results: list[dict[str, Any]]


class _Step(BaseModel):
    source: str
    message: str | list[Any]
    tool_calls: list[_Call] | None = None
    observation: _Observation | None = None


class _Told(BaseModel):
    """The fields of a trajectory that are used here; somebody else's agent may have written it."""

    agent: dict[str, Any]
    steps: list[_Step] = Field(min_length=1)
    final_metrics: dict[str, float | dict[str, Any] | None] | None = None
    extra: dict[str, Any] | None = None


def read_session(folder: Path) -> dict[str, Any] | None:
    """The trajectory that an agent wrote; None when it wrote none, or what is none."""
    try:
        found: dict[str, Any] = json.loads((folder / WHOLE).read_bytes())
        _Told.model_validate(found, strict=True)
    except (OSError, ValueError, RecursionError):
        return None
    return found


def said(folder: Path) -> str:
    """The oracle's output, or else the lines of a session's transcript; empty where there is neither."""
    with suppress(OSError):
        return bounded((folder / SAID).read_text(errors="replace"))
    try:
        lines = (folder / TRANSCRIPT).read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return "".join(f"{text}\n" for text in map(_text, lines))


def _text(line: str) -> str:
    try:
        entry = json.loads(line)
    except ValueError:
        return ""
    return str(entry.get("text", "")) if isinstance(entry, dict) else ""


def joined(parts: Sequence[dict[str, Any]], session_id: str) -> dict[str, Any]:
    """One trajectory of several sessions, its steps numbered through."""
    steps = [step for part in parts for step in part["steps"]]
    whole = {**parts[-1], "session_id": session_id}
    whole["steps"] = [{**step, "step_id": number} for number, step in enumerate(steps, 1)]
    whole["final_metrics"] = {**_totals(parts), "total_steps": len(steps)}
    return whole


def _totals(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Sums of what is known; what else an agent says stands beside them."""
    totals: dict[str, Any] = {}
    for name, value in (item for part in parts for item in (part.get("final_metrics") or {}).items()):
        if isinstance(value, dict):
            totals[name] = {**totals.get(name, {}), **value}
        elif value is not None:
            totals[name] = totals.get(name, 0) + value
    return totals


def mark_made(folder: Path) -> None:
    """Say in a trajectory that it stands in for one."""
    found = json.loads((folder / WHOLE).read_bytes())
    (folder / WHOLE).write_text(json.dumps({**found, "extra": {MADE: True}}))


def is_made(trajectory: dict[str, Any]) -> bool:
    """Whether it stands in for one that the agent did not write."""
    return bool((trajectory.get("extra") or {}).get(MADE))


def counted(trajectory: dict[str, Any]) -> Counts:
    """The numbers of answers and tool calls in a trajectory."""
    answers = [step for step in trajectory["steps"] if step["source"] == "agent"]
    return Counts(len(answers), sum(len(step.get("tool_calls") or ()) for step in answers))


def as_text(trajectory: dict[str, Any]) -> str:
    """A trajectory as text: what an agent said and did."""
    return "".join(line + "\n" for step in trajectory["steps"] if step["source"] == "agent" for line in _lines(step))


def _lines(step: dict[str, Any]) -> Iterator[str]:
    if step["message"]:
        yield str(step["message"]).removesuffix("\n")
    for call in step.get("tool_calls") or ():
        yield bounded(f"> {call['function_name']} {json.dumps(call['arguments'], ensure_ascii=False)}", _SHOWN)
    for result in (step.get("observation") or {}).get("results", ()):
        yield bounded(str(result.get("content") or ""), _SHOWN)


def write_trajectory(trajectory: dict[str, Any], directory: Path, began: float) -> None:
    """`trajectory.json`, and below `atif/` its steps, one a line, with an index of where each begins."""
    lines = [json.dumps(step, ensure_ascii=False).encode(errors="replace") + b"\n" for step in trajectory["steps"]]
    head = {name: value for name, value in trajectory.items() if name != "steps"}
    whole = json.dumps(head).encode()[:-1] + b', "steps": [\n' + b",".join(lines) + b"]}\n"
    (directory / WHOLE).write_bytes(whole)
    folder = directory / "atif" / datetime.fromtimestamp(began, UTC).strftime("%Y%m%d")
    folder.mkdir(parents=True, exist_ok=True)
    name = trajectory["session_id"]
    (folder / f"{name}.atif.jsonl").write_bytes(b"".join(lines))
    offsets = [0]
    for line in lines[:-1]:
        offsets.append(offsets[-1] + len(line))
    index = {**head, "file": f"{name}.atif.jsonl", "steps": len(lines), "offsets": offsets}
    (folder / f"{name}.index.json").write_text(json.dumps(index) + "\n")
