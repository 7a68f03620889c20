"""Chat completions over HTTP, as OpenAI, vLLM, llama.cpp, LM Studio and OpenRouter have them.

https://platform.openai.com/docs/api-reference/chat, with streaming and tool calls.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from autoloop.agents.chat.http import Endpoint, parsed
from autoloop.agents.chat.service import QUESTION, Answer, Answered, Asked, NoTools, ServiceFailed, Stop, Tool, Turn
from autoloop.agents.trajectory import Call
from autoloop.core.session import SessionFailure, Usage

_STOPS: dict[str, Stop] = {
    "stop": "end",
    "tool_calls": "tools",
    "function_call": "tools",
    "length": "length",
    "content_filter": "refused",
}


class OpenAIService:
    """One model behind an endpoint for chat completions."""

    def __init__(self, model: str, *, base_url: str, api_key: str, silence: float, effort: str = "") -> None:
        self.model, self.effort = model, effort
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._endpoint = Endpoint(base_url, headers, silence)

    def close(self) -> None:
        """Close the connection, also in the middle of an answer."""
        self._endpoint.close()

    def answer(self, system: str, turns: Sequence[Turn], tools: Sequence[Tool]) -> Answer:
        """The next answer, put together from its stream."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": "system", "content": system}, *(m for turn in turns for m in messages(turn))],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if tools:
            body["tools"] = [declared(tool) for tool in tools]
        if self.effort:
            body["reasoning_effort"] = self.effort
        whole = _Whole()
        try:
            for line in self._endpoint.lines("/chat/completions", body):
                if line.startswith("data:") and (data := line[5:].strip()) != "[DONE]":
                    whole.add(parsed(data))
        except ServiceFailed as failed:
            raise without_tools(failed, bool(tools)) from failed
        return whole.answer()

    def sign_of_life(self) -> None:
        """Read a stream to its first token: no field that bounds an answer is known to all servers and models."""
        body = {"model": self.model, "messages": [{"role": "user", "content": QUESTION}], "stream": True}
        for line in self._endpoint.lines("/chat/completions", body):
            if line.startswith("data:") and (data := line[5:].strip()) != "[DONE]" and parsed(data).get("choices"):
                return
        raise ServiceFailed(SessionFailure.MALFORMED, f"{self._endpoint.base_url} gives no chat completion")


@dataclass
class _Whole:
    """An answer as its parts arrive."""

    text: str = ""
    reasoning: str = ""
    calls: dict[int, dict[str, str]] = field(default_factory=dict)
    finish: str | None = None
    usage: Usage | None = None
    model: str = ""

    def add(self, chunk: dict[str, Any]) -> None:
        self.model = chunk.get("model") or self.model
        if isinstance(used := chunk.get("usage"), dict):
            self.usage = _usage(used)
        for choice in chunk.get("choices") or ():
            self.finish = choice.get("finish_reason") or self.finish
            delta = choice.get("delta") or {}
            self.text += delta.get("content") or ""
            self.reasoning += delta.get("reasoning_content") or delta.get("reasoning") or ""
            for part in delta.get("tool_calls") or ():
                call = self.calls.setdefault(
                    part.get("index", len(self.calls)), {"id": "", "name": "", "arguments": ""}
                )
                function = part.get("function") or {}
                call["id"] = call["id"] or part.get("id") or ""
                call["name"] += function.get("name") or ""
                call["arguments"] += function.get("arguments") or ""

    def answer(self) -> Answer:
        if self.finish is None:
            raise ServiceFailed(SessionFailure.MALFORMED, "the answer was cut off in the middle of the stream")
        stop = _STOPS.get(self.finish, "end")
        calls = [] if stop == "length" else list(self.calls.values())
        for number, call in enumerate(calls):
            call["id"] = call["id"] or f"call-{number}"
        said: dict[str, Any] = {"role": "assistant", "content": self.text or ("" if calls else "…")}
        if calls:
            said["tool_calls"] = [_sent_back(call) for call in calls]
        return Answer(
            text=self.text,
            stop=stop,
            said=said,
            calls=tuple(Call(call["id"], call["name"], arguments(call["arguments"])) for call in calls),
            reasoning=self.reasoning,
            usage=self.usage,
            model=self.model,
        )


def messages(turn: Turn) -> list[dict[str, Any]]:
    """A turn as chat messages: each tool's outcome is one of its own."""
    if isinstance(turn, Asked):
        return [{"role": "user", "content": turn.text}]
    if isinstance(turn, Answered):
        return [turn.answer.said]
    return [{"role": "tool", "tool_call_id": outcome.call_id, "content": outcome.text} for outcome in turn.outcomes]


def declared(tool: Tool) -> dict[str, Any]:
    """A tool as a function in the request."""
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def arguments(text: str) -> dict[str, Any]:
    """The arguments of a call; what is no JSON object gives none, and the tool says what is missing."""
    try:
        found = json.loads(text or "{}", strict=False)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _sent_back(call: dict[str, str]) -> dict[str, Any]:
    """A call in the next request: some servers refuse a whole conversation for arguments that are no JSON."""
    given = call["arguments"] if arguments(call["arguments"]) else "{}"
    return {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": given}}


def without_tools(failed: ServiceFailed, had_tools: bool) -> Exception:
    """The failure, or that the model knows no tools."""
    words = failed.detail.lower()
    refused = "tool" in words and any(word in words for word in ("not support", "unsupported", "does not", "require"))
    return NoTools() if had_tools and refused and failed.failure is SessionFailure.MALFORMED else failed


def _usage(used: dict[str, Any]) -> Usage:
    cached = (used.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return Usage(
        input=max((used.get("prompt_tokens") or 0) - cached, 0),
        output=used.get("completion_tokens") or 0,
        cache_read=cached,
    )
