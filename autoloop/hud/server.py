"""The server of the live page: HTTP for the page, WebSocket at `/events` for its messages. It refuses everything else.

A page elsewhere must not read what this one shows, and no trick with names may make it look the same. A browser says in
`Host` which name it believes to talk to: a name that an attacker owns can be led to this machine (DNS rebinding), a
number or `localhost` cannot. In `Origin` it says whose page opens a connection; programs that are no browsers say
nothing there.
"""

import errno
import http
import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from threading import Event, Thread
from urllib.parse import urlsplit

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

from autoloop import api
from autoloop.errors import AutoloopError
from autoloop.hud.bench_story import BenchStory
from autoloop.hud.hub import Hub, Story
from autoloop.hud.run_story import RunStory
from autoloop.runs.follow import RunFollower
from autoloop.suites.follow import BenchFollower

PAGE = Path(__file__).parent / "page"
EVENTS = "/events"
_FILES = {
    "/": ("live.html", "text/html"),
    "/live.css": ("live.css", "text/css"),
    "/live.js": ("live.js", "text/javascript"),
}
_LONGEST_MESSAGE = 1 << 10
"""Bytes that a viewer may send at once. Nothing that it says is read."""
_QUIET = logging.getLogger("autoloop.hud")
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False


def listen(host: str, port: int) -> socket.socket:
    """A listening socket for the server; port 0 is any that is free."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except PermissionError:
        raise AutoloopError(f"port {port} is not for everybody", f"Take one above 1023: {_with(4242)}.") from None
    except OverflowError:
        raise AutoloopError(f"there is no port {port}", f"Take one from 1 to 65535: {_with(4242)}.") from None
    except OSError as error:
        if isinstance(error, socket.gaierror) or not _is_taken(error):
            said = f"cannot listen on {host}, port {port}: {error.strerror}"
            raise AutoloopError(said, "--host takes an address of this machine; 127.0.0.1 is the default.") from None
        hint = f"If that is a hud, open {address(host, port)}. Else take another port: {_with(port + 1)}."
        raise AutoloopError(f"port {port} on {host} is taken", hint) from None


def address(host: str, port: int) -> str:
    """The address of the page in a browser."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{shown}]:{port}/" if ":" in shown else f"http://{shown}:{port}/"


def server_of(hub: Hub, listening: socket.socket, bound: str) -> Server:
    """A server of the hub's messages, not yet started."""

    def process_request(connection: ServerConnection, request: Request) -> Response | None:
        refusal = why_refused(bound, _header(request, "Host"), _header(request, "Origin"))
        if refusal is not None:
            return _answer(http.HTTPStatus.FORBIDDEN, f"{refusal}\n".encode())
        return _page(request)

    def view(connection: ServerConnection) -> None:
        viewer = hub.join(lambda: _cut_off(connection))
        try:
            with suppress(ConnectionClosed, OSError):
                while (text := viewer.next()) is not None:
                    connection.send(text)
        finally:
            hub.leave(viewer)

    return serve(
        view,
        sock=listening,
        process_request=process_request,
        compression=None,
        open_timeout=5,
        close_timeout=1,
        max_size=_LONGEST_MESSAGE,
        server_header=None,
        logger=_QUIET,
    )


def _header(request: Request, name: str) -> str | None:
    """The value of a header; None when it is missing. Given twice, its values are joined and so match nothing."""
    return ", ".join(request.headers.get_all(name)) or None


def _page(request: Request) -> Response | None:
    """A file of the page; None for a connection that asks for messages."""
    path = request.path.partition("?")[0]
    if path == EVENTS and (_header(request, "Upgrade") or "").lower() == "websocket":
        return None
    if path == EVENTS:
        return _answer(http.HTTPStatus.UPGRADE_REQUIRED, b"this is a WebSocket\n")
    if path not in _FILES:
        return _answer(http.HTTPStatus.NOT_FOUND, b"there is no such page; try /\n")
    name, kind = _FILES[path]
    return _answer(http.HTTPStatus.OK, (PAGE / name).read_bytes(), kind, request.headers["Host"])


def _answer(status: http.HTTPStatus, body: bytes, kind: str = "text/plain", host: str = "") -> Response:
    connects = f"'self' ws://{host}" if host else "'none'"  # 'self' does not include ws: in every browser
    policy = (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src {connects}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = Headers(
        {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(body)),
            "Content-Security-Policy": policy,
            "Cross-Origin-Resource-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
            "Connection": "close",
        }
    )
    return Response(status.value, status.phrase, headers, body)


def _cut_off(connection: ServerConnection) -> None:
    """End a connection whose other side may not read: a proper farewell would wait for it."""
    with suppress(OSError):
        connection.socket.shutdown(socket.SHUT_RDWR)


def _is_taken(error: OSError) -> bool:
    return error.errno == errno.EADDRINUSE


def _with(port: int) -> str:
    return f"`autoloop hud --port {port}`"


def why_refused(bound: str, host: str | None, origin: str | None) -> str | None:
    """Why a request is refused, when it is; `bound` is the address that the server listens on."""
    if host is None or not _is_ours(bound, host):
        return f"this server does not answer to the name {host!r}; open it by its address"
    if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
        return f"a page of {origin} may not look"
    return None


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches an address."""
    if address == "localhost":
        return True
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _is_ours(bound: str, host: str) -> bool:
    name = _name(host)
    if is_loopback(name):
        return True
    if is_loopback(bound):
        return False
    return _is_number(name) or name in (bound.lower(), socket.gethostname().lower(), socket.getfqdn().lower())


def _name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _is_number(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


LOOK_SECONDS = 0.5
"""Seconds between two looks at the journal."""


@dataclass(frozen=True)
class ShownPage:
    """A page while it is served."""

    hub: Hub
    url: str
    directory: Path
    about: str
    """`run` or `bench`."""


@contextmanager
def shown(path: Path, name: str | None, host: str, port: int) -> Iterator[ShownPage]:
    """Serve the page of a run or a bench. The caller keeps calling `hub.look`, as `keep_looking` does."""
    follower = api.follow(path, name)
    hub = Hub(_story(follower), time.time)
    hub.begin()
    listening = listen(host, port)
    server = server_of(hub, listening, host)
    Thread(target=server.serve_forever, daemon=True, name="hud").start()
    about = "bench" if isinstance(follower, BenchFollower) else "run"
    try:
        yield ShownPage(hub, address(host, _port(listening)), follower.directory.path, about)
    finally:
        hub.close()
        server.shutdown()


def keep_looking(hub: Hub, over: Event) -> None:
    """Look, pause, look again, until it is over."""
    while not over.wait(LOOK_SECONDS):
        hub.look()


def _story(follower: RunFollower | BenchFollower) -> Story:
    return BenchStory(follower) if isinstance(follower, BenchFollower) else RunStory(follower)


def _port(listening: socket.socket) -> int:
    return int(listening.getsockname()[1])
