"""The server under all stand-ins: a conversation with scripted turns, or with a fault in the place of one."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.http_script import Reply


@dataclass(frozen=True)
class Turn:
    """What the model does when it is asked: it talks, and may use a tool."""

    text: str = ""
    command: str = ""
    """For the shell, by whatever name the client has it."""


Answer = Callable[[str, Any, int], Reply | None]
"""The reply to a request, by its path, its body and how many came before; None for what is not known."""


@dataclass
class Standin:
    """A running stand-in."""

    url: str
    requests: list[tuple[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    """By what each request was signed."""
    release: threading.Event = field(default_factory=threading.Event)

    def bodies(self, path: str) -> list[Any]:
        return [body for asked, body in self.requests if asked.split("?")[0].endswith(path)]


@contextmanager
def standing_in(answer: Answer) -> Iterator[Standin]:
    """Serve until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    standin = Standin(f"http://127.0.0.1:{server.server_port}")
    server.RequestHandlerClass = _handler(standin, answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield standin
    finally:
        standin.release.set()
        server.shutdown()
        server.server_close()


def scripted(turns: Sequence[Turn], step: int) -> Turn:
    """The turn of a step; beyond the last there is nothing to do."""
    return turns[step] if step < len(turns) else Turn("Nothing more to do.")


def _handler(standin: Standin, answer: Answer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._reply(Reply([b"{}"], headers={"content-type": "application/json"}))

        def do_HEAD(self) -> None:
            self._reply(Reply([]))

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            try:
                body = json.loads(self.rfile.read(length) or b"null")
            except ValueError:
                body = None
            before = len(standin.requests)
            standin.requests.append((self.path, body))
            standin.keys.append(self.headers.get("x-api-key") or self.headers.get("authorization") or "")
            self._reply(answer(self.path, body, before) or Reply([b"{}"], headers={"content-type": "application/json"}))

        def _reply(self, reply: Reply) -> None:
            if reply.hang_before:
                standin.release.wait(60)
                return
            self.close_connection = True
            self.send_response(reply.status)
            for name, value in {"content-type": "text/event-stream", "connection": "close", **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                for part in reply.parts:
                    self.wfile.write(part)
                    self.wfile.flush()
            except OSError:
                return
            if reply.hang_after:
                standin.release.wait(60)

        def log_message(self, format: str, *args: object) -> None: ...

    return Handler
