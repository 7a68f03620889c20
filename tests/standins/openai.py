"""A stand-in for OpenAI's APIs: Responses as Codex asks them, and chat completions as opencode does."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from tests.http_script import Reply
from tests.standins.server import Answer, Turn, scripted

USED = {"input_tokens": 1300, "cached_tokens": 1000, "output_tokens": 50}
"""Of each answer; the input includes what was cached."""


def answering(turns: Sequence[Turn], fault: Callable[[int], Reply | None] = lambda step: None) -> Answer:
    """Play these turns, one for each answer that the conversation already holds."""

    def answer(path: str, body: Any, before: int) -> Reply | None:
        where = path.split("?")[0]
        if where.endswith("/responses"):
            step = sum(1 for item in body["input"] if item.get("type") in ("function_call", "local_shell_call"))
            return fault(step) or response(scripted(turns, step), body, step)
        if where.endswith("/chat/completions"):
            if not body.get("tools"):  # a title
                return completion(Turn("A title"), body, 0)
            step = sum(message["role"] == "assistant" for message in body["messages"])
            return fault(step) or completion(scripted(turns, step), body, step)
        return None

    return answer


def response(turn: Turn, body: Any, step: int) -> Reply:
    """A streamed answer of the Responses API."""
    output: list[dict[str, Any]] = []
    if turn.text:
        content = [{"type": "output_text", "text": turn.text, "annotations": []}]
        output.append({"type": "message", "role": "assistant", "id": f"m{step}", "content": content})
    if turn.command:
        name, given = _shell(body["tools"], turn.command)
        call = {"type": "function_call", "id": f"f{step}", "call_id": f"c{step}", "name": name}
        output.append({**call, "arguments": json.dumps(given)})
    usage = {
        "input_tokens": USED["input_tokens"],
        "input_tokens_details": {"cached_tokens": USED["cached_tokens"]},
        "output_tokens": USED["output_tokens"],
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": USED["input_tokens"] + USED["output_tokens"],
    }
    whole = {"id": f"r{step}", "object": "response", "status": "completed", "output": output, "usage": usage}
    events: list[dict[str, Any]] = [{"type": "response.created", "response": {"id": f"r{step}"}}]
    events += [{"type": "response.output_item.done", "output_index": n, "item": item} for n, item in enumerate(output)]
    events.append({"type": "response.completed", "response": whole})
    return Reply([f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events])


def _shell(tools: list[dict[str, Any]], command: str) -> tuple[str, dict[str, Any]]:
    """The client's own way to run a command."""
    names = {str(tool.get("name")) for tool in tools}
    if "exec_command" in names:
        return "exec_command", {"cmd": command}
    if "shell_command" in names:
        return "shell_command", {"command": command}
    return "shell", {"command": ["bash", "-c", command]}


def completion(turn: Turn, body: Any, step: int) -> Reply:
    """A streamed chat completion."""
    delta: dict[str, Any] = {"role": "assistant", "content": turn.text}
    if turn.command:
        given = json.dumps({"command": turn.command, "description": "work"})
        function = {"name": "bash", "arguments": given}
        delta["tool_calls"] = [{"index": 0, "id": f"c{step}", "type": "function", "function": function}]
    head = {"id": f"x{step}", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
    finish = "tool_calls" if turn.command else "stop"
    usage = {
        "prompt_tokens": USED["input_tokens"],
        "completion_tokens": USED["output_tokens"],
        "total_tokens": USED["input_tokens"] + USED["output_tokens"],
        "prompt_tokens_details": {"cached_tokens": USED["cached_tokens"]},
    }
    chunks = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
        {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]},
        {**head, "choices": [], "usage": usage},
    ]
    return Reply([*(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks), b"data: [DONE]\n\n"])


def failing(status: int, said: str, code: str | None = None, **headers: str) -> Reply:
    """An error as the service words it."""
    body = {"error": {"message": said, "type": code or "invalid_request_error", "param": None, "code": code}}
    return Reply([json.dumps(body).encode()], status, {"content-type": "application/json", **headers})


def stalled(body: Any) -> Reply:
    """The beginning of a stream, and then nothing."""
    return Reply(response(Turn("half"), body, 0).parts[:1], hang_after=True)
