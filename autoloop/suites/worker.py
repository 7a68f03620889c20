"""A worker of a bench: takes orders for trials on standard input, and says on standard output what came of each.

`python -m autoloop.suites.worker DIRECTORY [--root REPO]`, where DIRECTORY is the bench's. One JSON object a line,
both ways.
It ends when its orders end. When its parent dies or SIGTERM comes, the trial in progress is ended and its processes
with it.
"""

import argparse
import ctypes
import json
import os
import queue
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from autoloop.core.suite.tasks import TrialOrder
from autoloop.suites.trial import Trials

BEAT = 1.0
"""Seconds between two signs of life."""
_SET_PDEATHSIG = 1
_WORTH_SAYING = 2.0
"""Seconds."""


class Worker:
    """One process that takes trials, one after the other."""

    def __init__(self, bench: Path, root: Path, out: int) -> None:
        self.trials = Trials(bench, root, dict(os.environ))
        self.out, self.lock = out, threading.Lock()
        self.orders: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.ended, self.told = threading.Event(), threading.Event()

    def work(self) -> None:
        """Take trials until there are no more orders, or until it has to end."""
        for task in (self._listen, self._beat):
            threading.Thread(target=task, daemon=True).start()
        self.say(kind="ready")
        while (line := self.orders.get()) is not None and not self.ended.is_set():
            order = TrialOrder.model_validate_json(line)
            self.told.clear()
            result = self.trials.run(order, self._phase, self.ended.is_set, self.told.is_set, self._paced)
            self.say(kind="result", result=result.model_dump(mode="json"))

    def end(self, *_: object) -> None:
        """Cut the trial in progress short, and take no other."""
        self.ended.set()
        self.orders.put(None)

    def notice(self, *_: object) -> None:
        """Ctrl-C reaches the parent alone, so a SIGINT that comes here was sent to everybody, agents too."""
        self.told.set()

    def say(self, **message: Any) -> None:
        """Write a message for whoever gave the orders; once nobody listens, end."""
        line = json.dumps(message).encode() + b"\n"
        try:
            with self.lock:
                while line:
                    line = line[os.write(self.out, line) :]
        except OSError:
            self.end()

    def _phase(self, phase: str, text: str) -> None:
        self.say(kind="phase", phase=phase, text=text)

    def _paced(self, seconds: float) -> None:
        self.say(kind="paced", seconds=seconds)
        if seconds >= _WORTH_SAYING:
            self._phase("agent", f"waits {seconds:.0f} s for --max-rpm")

    def _listen(self) -> None:
        parent = os.getppid()
        for line in sys.stdin:
            if line.strip():
                self.orders.put(line)
        self.orders.put(None)
        while os.getppid() == parent:
            time.sleep(BEAT)
        self.end()

    def _beat(self) -> None:
        while not self.ended.wait(BEAT):
            self.say(kind="beat")


def main(words: list[str]) -> int:
    """Parse the command line and work."""
    parser = argparse.ArgumentParser(prog="python -m autoloop.suites.worker")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--root", type=Path, default=Path())
    given = parser.parse_args(words)
    out = os.dup(1)
    os.dup2(2, 1)  # whatever an agent's class prints must not look like a message
    worker = Worker(given.directory.resolve(), given.root.resolve(), out)
    signal.signal(signal.SIGTERM, worker.end)
    signal.signal(signal.SIGINT, worker.notice)  # ignored, it would be ignored by agents too
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            worker.end()
    worker.work()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
