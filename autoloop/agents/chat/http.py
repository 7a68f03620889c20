"""Streamed answers over HTTP, for services without an SDK: one request, one line at a time, one way to fail."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from autoloop.agents.chat.service import ServiceFailed, failed_with
from autoloop.core.session import SessionFailure

_LONGEST_ERROR = 4_000


class Endpoint:
    """The base address of a service, with the headers of each request."""

    def __init__(self, base_url: str, headers: Mapping[str, str], silence: float) -> None:
        self.base_url = base_url.rstrip("/")
        timeout = httpx.Timeout(silence, connect=min(silence, 15.0))
        self._client = httpx.Client(headers=dict(headers), timeout=timeout)

    def close(self) -> None:
        """Close the connection, also in the middle of an answer."""
        self._client.close()

    def lines(self, path: str, body: Mapping[str, Any]) -> Iterator[str]:
        """The lines of the answer to a POST. ServiceFailed for whatever is not a streamed answer."""
        url = f"{self.base_url}{path}"
        try:
            with self._client.stream("POST", url, json=body) as response:
                if response.status_code != 200:
                    said = response.read()[:_LONGEST_ERROR].decode(errors="replace")
                    raise failed_with(response.status_code, _message(said), response.headers.get("retry-after"))
                if "html" in response.headers.get("content-type", ""):
                    raise ServiceFailed(SessionFailure.MALFORMED, f"{url} answers with a web page")
                yield from response.iter_lines()
        except httpx.ConnectError as error:
            raise ServiceFailed(SessionFailure.UNREACHABLE, f"{url}: {error}") from error
        except httpx.TimeoutException as error:
            raise ServiceFailed(SessionFailure.IDLE, f"{url}: silent for too long") from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise ServiceFailed(SessionFailure.UNREACHABLE, f"{url} is no address: {error}") from error
        except httpx.HTTPError as error:
            raise ServiceFailed(SessionFailure.MALFORMED, f"{url}: {error or type(error).__name__}") from error


def parsed(text: str) -> dict[str, Any]:
    """One JSON object of a stream; an error in it is raised as what it is."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ServiceFailed(SessionFailure.MALFORMED, f"the stream holds what is not JSON: {text[:100]!r}")
    error = found.get("error")
    if error:
        code = error.get("code") if isinstance(error, dict) else None
        raise failed_with(code if isinstance(code, int) and code >= 400 else 500, _message(text))
    return found


def _message(text: str) -> str:
    """The words in an error's body, however it is wrapped."""
    try:
        found = json.loads(text)
    except ValueError:
        return " ".join(text.split())[:300]
    error = found.get("error", found) if isinstance(found, dict) else found
    if isinstance(error, dict):
        parts = [str(error[name]) for name in ("message", "code", "type") if error.get(name)]
        return "; ".join(parts) or text[:300]
    return str(error)
