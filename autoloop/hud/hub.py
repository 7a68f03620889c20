"""One reader of the journal, any number of viewers.

A viewer gets a snapshot first, then every message behind it, in the order of their numbers. Nobody waits for a
viewer: one that does not keep up is dropped, and gets a new snapshot when it comes back.
"""

import json
from collections import deque
from collections.abc import Callable
from threading import Condition, Lock
from typing import Protocol

from autoloop.errors import AutoloopError
from autoloop.hud.messages import Message, cut, message

MOST_WAITING = 500
"""Messages that may wait for one viewer."""
_MANY = 200
"""The number of new messages beyond which a snapshot is shorter."""
BEAT_SECONDS = 5.0
"""Seconds of silence after which the hub sends a heartbeat."""
_PATIENCE = 2
"""Looks in a row at a journal that cannot be read; the first may have come in the middle of a repair."""


class Story(Protocol):
    """What viewers are told of a run or a bench, as a protocol."""

    def tell(self, now: float) -> list[Message]:
        """The messages that are new since the last look."""

    def snapshot(self, now: float) -> Message:
        """A message with everything that a new viewer needs."""


class Viewer:
    """The queue of messages that wait for one viewer."""

    def __init__(self, cut_off: Callable[[], None]) -> None:
        self._cut_off = cut_off
        self._waiting: deque[str] = deque()
        self._over = False
        self._changed = Condition()

    def offer(self, text: str) -> bool:
        """Queue a message; whether there was room for it."""
        with self._changed:
            if len(self._waiting) >= MOST_WAITING:
                return False
            self._waiting.append(text)
            self._changed.notify()
        return True

    def next(self) -> str | None:
        """The next message, as soon as there is one; None when it is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._over)
            return None if self._over else self._waiting.popleft()

    def end(self) -> None:
        """Close the connection, also where it is stuck in the middle of a message."""
        with self._changed:
            self._over = True
            self._changed.notify()
        self._cut_off()


class Hub:
    """Reads the story of a run or a bench, and passes it on to viewers."""

    def __init__(self, story: Story, now: Callable[[], float]) -> None:
        self._story = story
        self._now = now
        self._lock = Lock()
        self._viewers: set[Viewer] = set()
        self._number = 0
        self._said_at = now()
        self._unreadable = 0
        self._snapshot: str | None = None
        """As of the newest message."""
        self._closed = False
        self.dropped = 0
        """Viewers that did not keep up."""

    def begin(self) -> None:
        """Read the journal as it is so far; AutoloopError when it cannot be read."""
        with self._lock:
            self._story.tell(self._now())

    def look(self) -> None:
        """Read what is new, and pass it on."""
        with self._lock:
            now = self._now()
            told = self._told(now)
            if not told and now - self._said_at >= BEAT_SECONDS:
                told = [message("beat", now)]
            if told:
                self._said_at, self._snapshot = now, None
                self._pass_on(told)

    def join(self, cut_off: Callable[[], None]) -> Viewer:
        """A new viewer, for whom a snapshot waits. `cut_off` ends its connection at once."""
        viewer = Viewer(cut_off)
        with self._lock:
            viewer.offer(self._newest_snapshot())
            self._viewers.add(viewer)
            closed = self._closed
        if closed:
            viewer.end()
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """Remove a viewer whose connection is closed."""
        with self._lock:
            self._viewers.discard(viewer)

    def close(self) -> None:
        """Close the connections of all viewers."""
        with self._lock:
            viewers, self._viewers, self._closed = self._viewers, set(), True
        for viewer in viewers:
            viewer.end()

    @property
    def viewers(self) -> int:
        """The number of viewers that are connected."""
        with self._lock:
            return len(self._viewers)

    def _told(self, now: float) -> list[Message]:
        try:
            told = self._story.tell(now)
        except AutoloopError as error:
            self._unreadable += 1
            text = f"{error.message}. {error.hint}"
            return [message("notice", now, text=cut(text))] if self._unreadable == _PATIENCE else []
        self._unreadable = 0
        return told

    def _pass_on(self, told: list[Message]) -> None:
        if len(told) > _MANY:
            self._number += len(told)
            texts = [self._newest_snapshot()]
        else:
            texts = [self._numbered(one) for one in told]
        late = [viewer for viewer in self._viewers if not all(map(viewer.offer, texts))]
        for viewer in late:
            self._viewers.discard(viewer)
            self.dropped += 1
            viewer.end()

    def _numbered(self, told: Message) -> str:
        self._number += 1
        return _text({**told, "seq": self._number})

    def _newest_snapshot(self) -> str:
        if self._snapshot is None:
            self._snapshot = _text({**self._story.snapshot(self._now()), "seq": self._number})
        return self._snapshot


def _text(told: Message) -> str:
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))
