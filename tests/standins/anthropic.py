"""A stand-in for the Messages API, streaming or not."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from tests.http_script import Reply
from tests.standins.server import Answer, Turn, scripted

USED = {"input_tokens": 100, "cache_read_input_tokens": 1000, "cache_creation_input_tokens": 200, "output_tokens": 50}
"""Of each answer."""
SHELL = "Bash"


def answering(turns: Sequence[Turn], fault: Callable[[int], Reply | None] = lambda step: None) -> Answer:
    """Play these turns, one for each answer that the conversation already holds."""

    def answer(path: str, body: Any, before: int) -> Reply | None:
        where = path.split("?")[0]
        if where.endswith("/count_tokens"):
            return Reply([b'{"input_tokens": 100}'], headers={"content-type": "application/json"})
        if not where.endswith("/messages"):
            return None
        if not body.get("tools"):  # a title, a summary
            return message(Turn("A title"), body, 0)
        step = sum(one["role"] == "assistant" for one in body["messages"])
        return fault(step) or message(scripted(turns, step), body, step)

    return answer


def message(turn: Turn, body: Any, step: int) -> Reply:
    blocks: list[dict[str, Any]] = [{"type": "text", "text": turn.text}] if turn.text else []
    if turn.command:
        given = {"command": turn.command, "description": "work"}
        blocks.append({"type": "tool_use", "id": f"toolu_{step}", "name": SHELL, "input": given})
    whole = {
        "id": f"msg_{step}", "type": "message", "role": "assistant", "model": body["model"], "content": blocks,
        "stop_reason": "tool_use" if turn.command else "end_turn", "stop_sequence": None, "usage": USED,
    }  # fmt: skip
    if not body.get("stream"):
        return Reply([json.dumps(whole).encode()], headers={"content-type": "application/json"})
    return Reply([_event(event) for event in _events(whole)])


def _events(whole: dict[str, Any]) -> list[dict[str, Any]]:
    first = {**whole, "content": [], "stop_reason": None, "usage": {**USED, "output_tokens": 1}}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": first}]
    for index, block in enumerate(whole["content"]):
        if block["type"] == "text":
            start, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": block["text"]}
        else:
            start = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        events += [
            {"type": "content_block_start", "index": index, "content_block": start},
            {"type": "content_block_delta", "index": index, "delta": delta},
            {"type": "content_block_stop", "index": index},
        ]
    ending = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    usage = {"output_tokens": USED["output_tokens"]}
    return [*events, {"type": "message_delta", "delta": ending, "usage": usage}, {"type": "message_stop"}]


def _event(event: dict[str, Any]) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def failing(status: int, said: str, **headers: str) -> Reply:
    """An error as the service words it."""
    body = {"type": "error", "error": {"type": KINDS.get(status, "api_error"), "message": said}, "request_id": "req_1"}
    return Reply([json.dumps(body).encode()], status, {"content-type": "application/json", **headers})


def stalled(body: Any) -> Reply:
    """The beginning of a stream, and then nothing."""
    whole = message(Turn("half of it"), {**body, "stream": True}, 0)
    return Reply(whole.parts[:3], hang_after=True)
