"""A bench that goes on as a test says: its journal, state and lock are written by those who write them in earnest."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autoloop.core.suite.events import BenchEvent, BenchResumed, BenchStarted, BenchStop, BenchStopped, TrialEnded
from autoloop.core.suite.plan import BenchPlan
from autoloop.core.suite.state import after, begun, replay
from autoloop.core.suite.tasks import TrialKey, TrialResult
from autoloop.suites.directory import BenchDirectory
from autoloop.suites.record import BenchJournal, read_bench
from autoloop.suites.views import BenchViews
from tests.suites.benches import plan

PLAN = plan(["t1", "t2", "t3"], arms="ab")


class LiveBench:
    """One process's work on a bench."""

    def __init__(self, folder: Path, of: BenchPlan = PLAN) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.directory = BenchDirectory(folder)
        self.views = BenchViews(self.directory, of)
        is_new = not self.directory.exists
        started = BenchStarted(at=time.time(), bench_id="b", suite="s", suite_path="/s", suite_version="1", plan=of)
        self.state = begun(started) if is_new else replay(read_bench(self.directory.journal))
        self.journal = BenchJournal(self.directory.journal, self.views.on_append)
        if is_new:
            self.journal.append(started, self.state)
        self.views.rebuild(self.state)
        self.add(BenchResumed(at=time.time(), workers=2))

    def add(self, event: BenchEvent) -> None:
        """What happened."""
        state = after(self.state, event)
        self.journal.append(event, state)
        self.state = state

    def works(self, worker: int, key: TrialKey, phase: str, text: str = "") -> None:
        """What a worker does now; written at once, however young the last state is."""
        self.views._due = 0.0
        self.views.on_worker(worker, key, phase, text)

    def ends(self, key: TrialKey, result: TrialResult) -> None:
        """A trial came to something."""
        self.add(TrialEnded(at=time.time(), key=key, result=result.model_copy(update={"started": time.time() - 1})))

    def stop(self, reason: BenchStop = BenchStop.DONE) -> None:
        """The process ends its work."""
        self.add(BenchStopped(at=time.time(), reason=reason))


@contextmanager
def going(folder: Path, of: BenchPlan = PLAN) -> Iterator[LiveBench]:
    """A bench that a process holds."""
    folder.mkdir(parents=True, exist_ok=True)
    with BenchDirectory(folder).held():
        bench = LiveBench(folder, of)
        try:
            yield bench
        finally:
            bench.journal.close()
