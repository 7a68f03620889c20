"""Notices for people who are away: on the desktop, by the bell, by a command of theirs, by a webhook.

What goes wrong with that is said once and harms nothing else. Addresses and commands may hold secrets, so they are
never repeated.
"""

import queue
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from autoloop import process
from autoloop.core.notices import Notice
from autoloop.errors import AutoloopError

WAYS = "desktop, bell, command:LINE, webhook:URL, or webhook:$NAME for the variable that holds the address"
_PATIENCE = 15.0
"""Seconds for one message, and at the end for all that are still to go."""

Way = Callable[[Notice], None]


@dataclass
class Notifier:
    """Sends messages from a thread of its own, so that nobody waits for them."""

    ways: dict[str, Way]
    """The ways to tell people, by a name that may be shown."""
    each: bool
    """Whether each experiment or trial is worth a message; otherwise the end alone."""
    on_problem: Callable[[str], None]
    _queue: queue.SimpleQueue[Notice | None] = field(default_factory=queue.SimpleQueue)
    _failed: set[str] = field(default_factory=set)
    _thread: threading.Thread | None = None

    def tell(self, notice: Notice) -> None:
        """Queue a notice, if it is wanted."""
        if not self.ways or not (self.each or notice.is_end):
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True, name="notices")
            self._thread.start()
        self._queue.put(notice)

    def close(self) -> None:
        """Wait a moment for notices that are still to be sent."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(_PATIENCE)

    def _work(self) -> None:
        while (notice := self._queue.get()) is not None:
            for name, way in self.ways.items():
                try:
                    way(notice)
                except Exception as error:
                    self._complain(name, error)

    def _complain(self, name: str, error: Exception) -> None:
        if name not in self._failed:
            self._failed.add(name)
            why = error.message if isinstance(error, AutoloopError) else type(error).__name__
            with suppress(Exception):
                self.on_problem(f"the notice by {name} failed: {why}")


def ways_of(texts: Iterable[str], environ: Mapping[str, str], root: Path) -> dict[str, Way]:
    """The ways that people chose; AutoloopError for one that there is not, or cannot work."""
    found: dict[str, Way] = {}
    for text in texts:
        kind, _, rest = text.partition(":")
        name = kind if kind not in found else f"{kind} {len(found) + 1}"
        found[name] = _way(kind, rest, environ, root)
    return found


def _way(kind: str, rest: str, environ: Mapping[str, str], root: Path) -> Way:
    match kind, bool(rest):
        case "desktop", False:
            return _desktop(environ)
        case "bell", False:
            return lambda notice: _ring()
        case "command", True:
            return lambda notice: _run(rest, notice, environ, root)
        case "webhook", True:
            address = _address(rest, environ)
            return lambda notice: _post(address, notice)
    shown = f"{kind}:…" if rest else kind
    raise AutoloopError(f"there is no way of telling people called {shown!r}", f"There are: {WAYS}.")


def _desktop(environ: Mapping[str, str]) -> Way:
    program = shutil.which("osascript" if sys.platform == "darwin" else "notify-send", path=environ.get("PATH"))
    if program is None:
        raise AutoloopError("notices on the desktop need notify-send", "Install it (libnotify), or choose another way.")
    return lambda notice: _started(_words(program, notice), environ)


def _words(program: str, notice: Notice) -> list[str]:
    if program.endswith("osascript"):
        script = "on run argv\ndisplay notification (item 2 of argv) with title (item 1 of argv)\nend run"
        return [program, "-e", script, notice.title, notice.text]
    return [program, "--app-name=autoloop", "--", notice.title, notice.text]


def _ring() -> None:
    """Ring the bell of the terminal that the process belongs to, also where its output goes elsewhere."""
    try:
        with open("/dev/tty", "w") as terminal:
            terminal.write("\a")
    except OSError:
        raise AutoloopError("there is no terminal to ring") from None


def _run(line: str, notice: Notice, environ: Mapping[str, str], root: Path) -> None:
    said = {"AUTOLOOP_NOTICE_TITLE": notice.title, "AUTOLOOP_NOTICE_TEXT": notice.text,
            "AUTOLOOP_NOTICE_END": "1" if notice.is_end else ""}  # fmt: skip
    _started(["sh", "-c", line], {**environ, **said}, root)


def _started(words: list[str], environ: Mapping[str, str], cwd: Path | None = None) -> None:
    done = process.run(words, cwd=cwd or Path("/"), env=environ, deadline=_PATIENCE)
    if not done.ok:
        raise AutoloopError("it took too long" if done.timed_out else f"exit code {done.exit_code}")


def _address(text: str, environ: Mapping[str, str]) -> str:
    if not text.startswith("$"):
        return text
    if not (found := environ.get(text[1:])):
        raise AutoloopError(f"the webhook is in {text}, which is not set", "Set it in the environment or in .env.")
    return found


def _post(address: str, notice: Notice) -> None:
    import httpx

    try:
        answer = httpx.post(address, json={**notice.model_dump(), "at": time.time()}, timeout=_PATIENCE)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise AutoloopError(type(error).__name__) from None  # whose text may have the address
    if answer.is_error:
        raise AutoloopError(f"it answered with {answer.status_code}")
