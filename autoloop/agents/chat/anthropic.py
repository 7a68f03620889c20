"""The Messages API of Anthropic, through its SDK: https://docs.anthropic.com/en/api/messages.

What the SDK lets through is caught here: a stream that is cut returns a message without a stop reason, an error
event in a stream is a status error with status 200, a stalled stream and a broken one raise errors of other libraries.
"""

from collections.abc import Sequence
from typing import Any

from autoloop.agents.chat.service import QUESTION, Answer, Answered, Asked, ServiceFailed, Stop, Tool, Turn, failed_with
from autoloop.agents.trajectory import Call
from autoloop.core.session import SessionFailure, Usage

_STOPS: dict[str, Stop] = {
    "end_turn": "end",
    "stop_sequence": "end",
    "tool_use": "tools",
    "max_tokens": "length",
    "refusal": "refused",
    "pause_turn": "paused",
    "model_context_window_exceeded": "context",
}
_EVENTS = {
    "authentication_error": 401,
    "permission_error": 403,
    "billing_error": 402,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "overloaded_error": 529,
    "api_error": 500,
    "timeout_error": 504,
}
"""The statuses that errors within a stream stand for."""
_CACHED = {"type": "ephemeral"}


class AnthropicService:
    """One model of Anthropic's, with prompt caching: each call reads what the one before wrote."""

    def __init__(
        self,
        model: str,
        *,
        api_key: str,
        base_url: str | None,
        silence: float,
        effort: str = "",
        max_tokens: int = 16_000,
    ) -> None:
        import anthropic  # takes a second or two

        self.model, self.effort, self.max_tokens = model, effort, max_tokens
        self._sdk = anthropic
        # Retries are the loop's: it shows them and knows when the run has to end.
        self._client = anthropic.Anthropic(
            api_key=api_key,
            base_url=base_url,
            max_retries=0,
            timeout=anthropic.Timeout(silence, connect=min(silence, 15.0)),
        )

    def close(self) -> None:
        """Close the connection, also in the middle of an answer."""
        self._client.close()

    def answer(self, system: str, turns: Sequence[Turn], tools: Sequence[Tool]) -> Answer:
        """The next answer, streamed, so that a long one is not taken for silence."""
        wanted: dict[str, Any] = {
            "model": self.model,
            "max_tokens": self.max_tokens,
            "system": [{"type": "text", "text": system, "cache_control": _CACHED}],
            "messages": _messages(turns),
        }
        if tools:
            wanted["tools"] = [_declared(tool) for tool in tools]
        if self.effort:
            wanted["output_config"] = {"effort": self.effort}
        return _read(self._ask(wanted))

    def sign_of_life(self) -> None:
        """Ask for an answer of one token."""
        self._ask({"model": self.model, "max_tokens": 1, "messages": [{"role": "user", "content": QUESTION}]})

    def _ask(self, wanted: dict[str, Any]) -> Any:
        sdk = self._sdk
        try:
            with self._client.messages.stream(**wanted) as stream:
                return stream.get_final_message()
        except sdk.APITimeoutError as error:
            raise ServiceFailed(SessionFailure.IDLE, "the service was silent for too long") from error
        except sdk.APIStatusError as error:
            raise _failed(error) from error
        except sdk.APIConnectionError as error:
            why = error.__cause__ or error
            raise ServiceFailed(SessionFailure.UNREACHABLE, f"{self._client.base_url}: {why}") from error
        except Exception as error:
            # Of the HTTP library, of the JSON reader, or an assertion of the SDK's: all say that this was no answer.
            if "timeout" in type(error).__name__.lower():
                raise ServiceFailed(
                    SessionFailure.IDLE, "the service fell silent in the middle of an answer"
                ) from error
            raise ServiceFailed(SessionFailure.MALFORMED, f"no answer of the API: {type(error).__name__}") from error


def _failed(error: Any) -> ServiceFailed:
    body = error.body if isinstance(error.body, dict) else {}
    found = body.get("error")
    inner = found if isinstance(found, dict) else {}
    said = str(inner.get("message") or error.message)
    status = error.status_code
    if status < 400:
        status = _EVENTS.get(str(inner.get("type")), 500)
    return failed_with(status, said, error.response.headers.get("retry-after"))


def _declared(tool: Tool) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}


def _messages(turns: Sequence[Turn]) -> list[dict[str, Any]]:
    """The conversation; the last part of it is where the cache ends."""
    messages = [_message(turn) for turn in turns]
    last = messages[-1]
    if last["role"] == "user":
        last["content"][-1]["cache_control"] = _CACHED
    return messages


def _message(turn: Turn) -> dict[str, Any]:
    if isinstance(turn, Asked):
        return {"role": "user", "content": [{"type": "text", "text": turn.text}]}
    if isinstance(turn, Answered):
        return {"role": "assistant", "content": turn.answer.said}
    results = [
        {"type": "tool_result", "tool_use_id": outcome.call_id, "content": outcome.text, "is_error": outcome.is_error}
        for outcome in turn.outcomes
    ]
    return {"role": "user", "content": results}


def _read(message: Any) -> Answer:
    blocks = message.content
    stop = message.stop_reason
    if stop is None:
        raise ServiceFailed(SessionFailure.MALFORMED, "the answer was cut off in the middle of the stream")
    used = message.usage
    said = [block.model_dump(mode="json", exclude_none=True) for block in blocks]
    return Answer(
        text="".join(block.text for block in blocks if block.type == "text"),
        stop=_STOPS.get(stop, "end"),
        # An empty message cannot be sent back.
        said=said or [{"type": "text", "text": "…"}],
        calls=tuple(Call(block.id, block.name, dict(block.input)) for block in blocks if block.type == "tool_use"),
        reasoning="".join(getattr(block, "thinking", "") for block in blocks if block.type == "thinking"),
        usage=Usage(
            input=used.input_tokens,
            output=used.output_tokens,
            cache_read=used.cache_read_input_tokens or 0,
            cache_write=used.cache_creation_input_tokens or 0,
        ),
        model=message.model,
    )
