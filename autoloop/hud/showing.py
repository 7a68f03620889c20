"""Serving the live page until somebody ends it."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from autoloop import api
from autoloop.following import BenchFollower, RunFollower
from autoloop.hud.bench_story import BenchStory
from autoloop.hud.hub import Hub, Story
from autoloop.hud.run_story import RunStory
from autoloop.hud.server import address, listen, server_of

LOOK_SECONDS = 0.5
"""Between two looks at the journal."""


@dataclass(frozen=True)
class Shown:
    """A page that is served."""

    hub: Hub
    url: str
    directory: Path
    about: str
    """`run` or `bench`."""


@contextmanager
def shown(path: Path, name: str | None, host: str, port: int) -> Iterator[Shown]:
    """Serve what is meant. Whoever enters keeps calling `hub.look`, as `keep_looking` does."""
    follower = api.follow(path, name)
    hub = Hub(_story(follower), time.time)
    hub.begin()
    listening = listen(host, port)
    server = server_of(hub, listening, host)
    Thread(target=server.serve_forever, daemon=True, name="hud").start()
    about = "bench" if isinstance(follower, BenchFollower) else "run"
    try:
        yield Shown(hub, address(host, _port(listening)), follower.directory.path, about)
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
