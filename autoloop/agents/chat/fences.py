"""Tool calls in the text of a model that knows none: fenced blocks, and results in words."""

import json
import re

from autoloop.agents.chat.service import Answer, Asked, Worked
from autoloop.agents.chat.tools import TOOLS
from autoloop.agents.trajectory import Call

_FENCED = re.compile(r"```tool\s*\n(.*?)\n?```", re.DOTALL)
FENCES = """
You have no tool calls here. To use a tool, write a block like this, one or more, and end your answer:

```tool
{"name": "bash", "arguments": {"command": "ls"}}
```

The tools, each with the schema of its arguments:
"""


def tools_in_words() -> str:
    """What such a model is told of the tools."""
    listed = [{"name": tool.name, "description": tool.description, "arguments": tool.parameters} for tool in TOOLS]
    return FENCES + "\n".join(json.dumps(tool) for tool in listed) + "\n"


def with_calls(answer: Answer, turn: int) -> Answer:
    """The answer with the tool calls that stand in its text."""
    calls = []
    for number, block in enumerate(_FENCED.findall(answer.text)):
        try:
            found = json.loads(block, strict=False)
            calls.append(Call(f"fenced-{turn}-{number}", str(found["name"]), dict(found.get("arguments") or {})))
        except (ValueError, KeyError, TypeError, AttributeError):
            calls.append(Call(f"fenced-{turn}-{number}", "a block that is not JSON", {}))
    return Answer(answer.text, answer.stop, answer.said, tuple(calls), answer.reasoning, answer.usage, answer.model)


def in_words(worked: Worked) -> Asked:
    """What the calls gave, as the next thing that the person says."""
    return Asked("\n\n".join(f"Result of {outcome.call_id}:\n{outcome.text}" for outcome in worked.outcomes))
