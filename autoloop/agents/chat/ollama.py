"""Ollama's own chat API: https://github.com/ollama/ollama/blob/main/docs/api.md.

Ollama cuts a prompt that is longer than `num_ctx` and says nothing. So the size is set with each call, and an
answer that fills it ends the session instead of going on with half of a conversation.
"""

from collections.abc import Sequence
from typing import Any

from autoloop.agents.chat.http import Endpoint, parsed
from autoloop.agents.chat.openai import declared, without_tools
from autoloop.agents.chat.service import QUESTION, Answer, Answered, Asked, ServiceFailed, Stop, Tool, Turn
from autoloop.agents.trajectory import Call
from autoloop.core.session import SessionFailure, Usage

CONTEXT = 32_768
"""Tokens, unless the profile says more."""
_LONGEST_TOKEN = 6
"""Characters of a token on average, at the most: what is longer than this many is cut for sure."""


class OllamaService:
    """One model of a local Ollama."""

    def __init__(
        self, model: str, *, base_url: str, silence: float, num_ctx: int = CONTEXT, think: bool | str | None = None
    ) -> None:
        self.model, self.num_ctx, self.think = model, num_ctx, think
        self._endpoint = Endpoint(base_url, {}, silence)

    def close(self) -> None:
        """Close the connection, also in the middle of an answer."""
        self._endpoint.close()

    def answer(self, system: str, turns: Sequence[Turn], tools: Sequence[Tool]) -> Answer:
        """The next answer, put together from its stream."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": "system", "content": system}, *(m for turn in turns for m in _messages(turn))],
            "stream": True,
            "options": {"num_ctx": self.num_ctx},
        }
        if tools:
            body["tools"] = [declared(tool) for tool in tools]
        if self.think is not None:
            body["think"] = self.think
        if len(str(body["messages"])) > _LONGEST_TOKEN * self.num_ctx:
            raise ServiceFailed(SessionFailure.CONTEXT_TOO_LONG, f"the conversation outgrew num_ctx = {self.num_ctx}")
        text = reasoning = ""
        found: list[dict[str, Any]] = []
        last: dict[str, Any] = {}
        try:
            for line in self._endpoint.lines("/api/chat", body):
                if line.strip():
                    last = parsed(line)
                    message = last.get("message") or {}
                    text += message.get("content") or ""
                    reasoning += message.get("thinking") or ""
                    found += message.get("tool_calls") or ()
        except ServiceFailed as failed:
            raise without_tools(_explained(failed, self.model), bool(tools)) from failed
        if not last.get("done"):
            raise ServiceFailed(SessionFailure.MALFORMED, "the answer was cut off in the middle of the stream")
        return self._whole(text, reasoning, found, last)

    def sign_of_life(self) -> None:
        """Ask for an answer of one token; Ollama loads the model for it as for a session."""
        options = {"num_ctx": self.num_ctx, "num_predict": 1}
        question = [{"role": "user", "content": QUESTION}]
        body = {"model": self.model, "messages": question, "stream": True, "options": options}
        try:
            if not any(parsed(line) for line in self._endpoint.lines("/api/chat", body) if line.strip()):
                raise ServiceFailed(SessionFailure.MALFORMED, f"{self._endpoint.base_url} gives no answer of Ollama's")
        except ServiceFailed as failed:
            raise _explained(failed, self.model) from failed

    def _whole(self, text: str, reasoning: str, found: list[dict[str, Any]], last: dict[str, Any]) -> Answer:
        usage = Usage(input=last.get("prompt_eval_count") or 0, output=last.get("eval_count") or 0)
        functions = [call.get("function") or {} for call in found]
        calls = tuple(
            Call(f"call-{number}", str(function.get("name")), dict(function.get("arguments") or {}))
            for number, function in enumerate(functions)
        )
        said = {"role": "assistant", "content": text, **({"tool_calls": found} if found else {})}
        stop: Stop = "tools" if calls else "length" if last.get("done_reason") == "length" else "end"
        if usage.total >= self.num_ctx:
            stop = "context"
        return Answer(text, stop, said, calls, reasoning, usage, last.get("model") or self.model)


def _messages(turn: Turn) -> list[dict[str, Any]]:
    if isinstance(turn, Asked):
        return [{"role": "user", "content": turn.text}]
    if isinstance(turn, Answered):
        return [turn.answer.said]
    return [{"role": "tool", "content": outcome.text} for outcome in turn.outcomes]


def _explained(failed: ServiceFailed, model: str) -> ServiceFailed:
    if "not found" in failed.detail.lower():
        return ServiceFailed(SessionFailure.UNREACHABLE, f"{failed.detail}; fetch it with `ollama pull {model}`")
    return failed
