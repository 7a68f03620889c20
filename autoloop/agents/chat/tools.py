"""The tools of the built-in agent: a shell in the sandbox, and viewing and editing files of the tree.

For models that know no tool calls, calls are read from fenced blocks in their text, and results are told in words.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoloop import process
from autoloop.agents import knobs
from autoloop.agents.chat.service import Answer, Asked, Tool, ToolResult, Worked
from autoloop.agents.trajectory import Call
from autoloop.errors import AutoloopError
from autoloop.ports import Room

LONGEST = 16_000
"""Characters of one result; the middle of a longer one is left out."""
COMMAND_SECONDS = 120.0
MOST_SECONDS = 1800.0
_LINES = 400


def _tool(name: str, description: str, required: Mapping[str, str], optional: Mapping[str, str]) -> Tool:
    kinds = {"timeout": "number", "first": "integer", "last": "integer"}
    properties = {
        field: {"type": kinds.get(field, "string"), "description": text}
        for field, text in {**required, **optional}.items()
    }
    schema = {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}
    return Tool(name, description, schema)


TOOLS = (
    _tool(
        "bash",
        "Run a command with bash in the repository. Every call starts anew in the repository's root; what it leaves "
        "running is ended. Its output is clipped in the middle.",
        {"command": "what to run"},
        {"timeout": f"seconds; {COMMAND_SECONDS:g} unless told"},
    ),
    _tool(
        "view",
        "Show a file with line numbers, or the names in a directory.",
        {"path": "from the repository's root"},
        {"first": "first line", "last": "last line"},
    ),
    _tool(
        "edit",
        "Replace a text that stands exactly once in a file.",
        {"path": "from the repository's root", "old": "what stands there now", "new": "what shall stand there"},
        {},
    ),
    _tool(
        "write",
        "Write a whole file, new or not.",
        {"path": "from the repository's root", "text": "all of its text"},
        {},
    ),
)


@dataclass(frozen=True)
class Toolbox:
    """The tools of one session, at work in one tree."""

    tree: Path
    room: Room
    env: Mapping[str, str]
    seconds_left: Callable[[], float]
    cancelled: Callable[[], bool]

    def use(self, call: Call) -> ToolResult:
        """What a call gives. A wrong call is an error that the model is told, never one of ours."""
        known = next((tool for tool in TOOLS if tool.name == call.name), None)
        if known is None:
            names = ", ".join(tool.name for tool in TOOLS)
            return ToolResult(call.id, f"there is no tool {call.name!r}; there are {names}", is_error=True)
        missing = [name for name in known.parameters["required"] if not isinstance(call.arguments.get(name), str)]
        if missing:
            return ToolResult(call.id, f"{call.name} needs a text {missing[0]!r}", is_error=True)
        try:
            text, failed = self._done(call)
        except (AutoloopError, OSError, ValueError) as error:
            return ToolResult(call.id, str(error), is_error=True)
        return ToolResult(call.id, clipped(text), is_error=failed)

    def _done(self, call: Call) -> tuple[str, bool]:
        if call.name == "bash":
            return self._bash(call.arguments)
        with self.room.still():
            done: tuple[str, bool] = getattr(self, f"_{call.name}")(call.arguments)
        return done

    def _bash(self, given: Mapping[str, Any]) -> tuple[str, bool]:
        asked = given.get("timeout")
        wanted = float(asked) if isinstance(asked, int | float) and asked > 0 else COMMAND_SECONDS
        limit = max(min(wanted, MOST_SECONDS, self.seconds_left()), 0.1)
        done = process.run(
            [*self.room.prefix, "bash", "-c", given["command"]],
            cwd=self.room.cwd,
            env={**self.env, **self.room.env},
            deadline=limit,
            keep=2 * LONGEST,
            cancelled=self.cancelled,
            wrappers=self.room.wrappers,
        )
        parts = [done.stdout.rstrip("\n"), done.stderr.rstrip("\n")]
        if done.timed_out:
            parts.append(f"ended after {limit:g} s")
        elif done.exit_code:
            parts.append(f"exit code {done.exit_code}")
        return "\n".join(part for part in parts if part) or "(no output)", not done.ok

    def _view(self, given: Mapping[str, Any]) -> tuple[str, bool]:
        path = self._path(given["path"])
        place = knobs.inside(self.tree, path)
        if place.is_dir():
            names = sorted(f"{child.name}/" if child.is_dir() else child.name for child in place.iterdir())
            return "\n".join(name for name in names if name != ".git/") or "(empty)", False
        lines = knobs.read(self.tree, path).splitlines()
        first = max(_whole(given.get("first"), 1), 1)
        last = min(_whole(given.get("last"), first + _LINES - 1), len(lines))
        shown = [f"{number:6}\t{lines[number - 1]}" for number in range(first, last + 1)]
        if last < len(lines):
            shown.append(f"… {len(lines) - last} more lines")
        return "\n".join(shown) or f"(the file has {len(lines)} lines)", False

    def _edit(self, given: Mapping[str, Any]) -> tuple[str, bool]:
        path, old, new = self._path(given["path"]), given["old"], given["new"]
        text = knobs.read(self.tree, path)
        count = text.count(old) if old else 0
        if count != 1:
            how = "does not stand in" if count == 0 else f"stands {count} times in"
            return f"the text {how} {path}: nothing was changed", True
        knobs.write(self.tree, path, text.replace(old, new))
        return f"{path} is changed", False

    def _write(self, given: Mapping[str, Any]) -> tuple[str, bool]:
        path = self._path(given["path"])
        knobs.write(self.tree, path, given["text"])
        return f"{path} is written", False

    def _path(self, path: str) -> str:
        """A path from the root of the tree: commands show the model absolute ones."""
        seen = str(self.room.seen(self.tree))
        if path == seen or path.startswith(f"{seen}/"):
            path = path[len(seen) :].lstrip("/") or "."
        if Path(path).parts[:1] == (".git",):
            raise AutoloopError(".git is not a part of the work")
        return path


def clipped(text: str) -> str:
    """The head and the tail of a long text."""
    if len(text) <= LONGEST:
        return text
    half = LONGEST // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"


def _whole(value: object, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else default


_FENCED = re.compile(r"```tool\s*\n(.*?)\n?```", re.DOTALL)
FENCES = """
You have no tool calls here. To use a tool, write a block like this, one or more, and end your answer:

```tool
{"name": "bash", "arguments": {"command": "ls"}}
```

The tools, each with the schema of its arguments:
"""


def tools_in_words() -> str:
    """The tools as text in the system prompt, for a model that knows no tool calls."""
    listed = [{"name": tool.name, "description": tool.description, "arguments": tool.parameters} for tool in TOOLS]
    return FENCES + "\n".join(json.dumps(tool) for tool in listed) + "\n"


def with_calls(answer: Answer, turn: int) -> Answer:
    """The answer, with the tool calls that are written in its text."""
    calls = []
    for number, block in enumerate(_FENCED.findall(answer.text)):
        try:
            found = json.loads(block, strict=False)
            calls.append(Call(f"fenced-{turn}-{number}", str(found["name"]), dict(found.get("arguments") or {})))
        except (ValueError, KeyError, TypeError, AttributeError):
            calls.append(Call(f"fenced-{turn}-{number}", "a block that is not JSON", {}))
    return Answer(answer.text, answer.stop, answer.said, tuple(calls), answer.reasoning, answer.usage, answer.model)


def in_words(worked: Worked) -> Asked:
    """The results of tool calls as the text of the next turn."""
    return Asked("\n\n".join(f"Result of {outcome.call_id}:\n{outcome.text}" for outcome in worked.outcomes))
