"""A web server on this machine that answers what stands in a list, and can fail in every way that services do."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    """One answer: its parts are sent one after the other."""

    parts: list[bytes] = field(default_factory=list)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    hang_before: bool = False
    hang_after: bool = False
    """Stays silent once the parts are sent, with the connection open."""


@dataclass
class Scripted:
    """A running server: where it is, what it will say, what it was asked."""

    replies: list[Reply]
    requests: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def bodies(self) -> list[Any]:
        return [body for _, _, body in self.requests]


def error(status: int, message: str, **headers: str) -> Reply:
    body = json.dumps({"type": "error", "error": {"type": "some_error", "message": message}}).encode()
    return Reply([body], status, {"content-type": "application/json", **headers})


@contextmanager
def serving(*replies: Reply) -> Iterator[Scripted]:
    """Serve these, one a request; what is asked beyond them is a 500."""
    script = Scripted(list(replies))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(script))
    script.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield script
    finally:
        script.release.set()
        server.shutdown()
        server.server_close()


def _handler(script: Scripted) -> Callable[..., BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length) or b"null")
            script.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            reply = script.replies.pop(0) if script.replies else error(500, "nothing is left to say")
            if reply.hang_before:
                script.release.wait(30)
                return
            self.send_response(reply.status)
            for name, value in {"content-type": "text/event-stream", **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            for part in reply.parts:
                self.wfile.write(part)
                self.wfile.flush()
            if reply.hang_after:
                script.release.wait(30)

        def log_message(self, format: str, *args: object) -> None: ...

    return Handler
