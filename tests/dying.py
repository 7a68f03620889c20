"""A process that carries a run on and dies, again and again, until the run is over. For the tests of kills.

    python -m tests.dying ROOT MODE EVERY KILLS SEED

`before`, `torn`, `unseen` and `after` kill at the EVERY-th event that a life appends: before anything of it is
written, with half of its line written, once it is durable but in no view, and when all is done. `homeless` is `after`
with all trees gone in between. `random` shoots from outside at an instant that SEED decides, KILLS times. Each life
is a fork, so that none pays for the imports again; it is killed by SIGKILL alone, and its children are not. Prints
how many lives were cut short.
"""

import os
import random
import shutil
import signal
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

from autoloop import api
from autoloop.core.run.events import Event, to_line
from autoloop.core.run.state import RunState
from autoloop.host.signals import Signals
from autoloop.runs import record
from autoloop.runs.find import all_runs
from autoloop.runs.record import FileJournal

LONGEST_LIFE = 0.4
"""Seconds until a shot at random."""
SHORT_LIFE = 0.1
"""The same, once nothing is left to do but to take up a run and end it."""


class DyingJournal(FileJournal):
    """Kills its own process at one of the events that it appends."""

    mode = ""
    left = 0
    """Events until it dies; from 0 on it lives."""

    def append(self, event: Event, state: RunState) -> None:
        DyingJournal.left -= 1
        if self.left == 0 and self.mode == "torn":
            line = to_line(event)
            os.write(self._file, line[: len(line) // 2])
        if self.left == 0 and self.mode in ("before", "torn"):
            die()
        if self.left == 0 and self.mode == "unseen":
            self._on_append = lambda *_: die()
        super().append(event, state)
        if self.left == 0:
            die()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def live(root: Path) -> None:
    """One life: start the run, or go on with it."""
    options = api.RunOptions(seed=7)
    quietly: dict[str, Any] = {"signals": Signals(), "on_progress": lambda sign: None}
    if all_runs(root, "p"):
        api.resume(root, "p", None, options, **quietly)
    else:
        api.run(root, "p", options, **quietly)


def born(root: Path) -> int:
    """Begin a life; its pid."""
    pid = os.fork()
    if pid:
        return pid
    try:
        live(root)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def is_over(root: Path) -> bool:
    """Whether some life came to the run's last event."""
    return any(b'"run_stopped"' in run.journal.read_bytes() for run in all_runs(root, "p"))


def main() -> int:
    for late in ("autoloop.agents.command", "autoloop.core.evidence"):
        import_module(late)
    root, mode, every, kills, seed = Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:6])
    # The journal is nobody's parameter: only this test wants another.
    record.FileJournal = record.FileJournal = DyingJournal  # type: ignore[misc]
    DyingJournal.mode, DyingJournal.left = mode, every
    dice, killed = random.Random(seed), 0
    while True:
        if mode != "random" and is_over(root):
            DyingJournal.left = 0
        pid = born(root)
        doomed = mode == "random" and killed < kills
        if doomed:
            time.sleep(dice.uniform(0, SHORT_LIFE if is_over(root) else LONGEST_LIFE))
            os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
        killed += os.WIFSIGNALED(status)
        if mode == "homeless":
            shutil.rmtree(os.environ["AUTOLOOP_CACHE_DIR"])
        if os.WIFEXITED(status) and (not doomed or os.WEXITSTATUS(status)):
            print(killed)
            return os.WEXITSTATUS(status)


if __name__ == "__main__":
    sys.exit(main())
