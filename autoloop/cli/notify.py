"""`--notify`: notices to people who are away, of the end of a run or a bench, or of each experiment and trial."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from autoloop import api
from autoloop.agents.profiles import load_settings
from autoloop.cli.render import complain
from autoloop.config.dotenv import variables
from autoloop.config.places import FILE, user_config
from autoloop.core import notices
from autoloop.core.run.results import Row
from autoloop.core.run.summary import Summary
from autoloop.core.suite.persistent import PersistentMap
from autoloop.core.suite.state import BenchState
from autoloop.core.suite.tasks import TrialKey, TrialResult
from autoloop.errors import AutoloopError
from autoloop.host.notify import Notifier, ways_of


@dataclass
class Notify:
    """The notices that were asked for after `run` or `bench`."""

    ways: list[str] | None = None
    each: bool = False
    _notifier: Notifier = field(default_factory=lambda: Notifier({}, False, lambda text: None))
    _told: int = -1

    @contextmanager
    def opened(self, path: Path) -> Iterator[None]:
        """Make ready, so that a way that cannot work is refused before anything starts."""
        self._notifier = Notifier({}, self.each, complain)
        root = api.root_or_here(path)
        known = variables(root, os.environ)
        self._notifier.ways = ways_of(self._wanted(root), known, root)
        try:
            yield
        except AutoloopError as error:
            self._notifier.tell(notices.failed(error.message))
            raise
        finally:
            self._notifier.close()

    def refuse_in_background(self) -> None:
        """The process in the background knows the settings alone."""
        if self.ways or self.each:
            hint = f'Set it in {FILE}, such as notify = ["desktop"].'
            raise AutoloopError("--notify does not reach a run in the background", hint)

    def on_news(self, rows: list[Row], summary: Summary) -> None:
        """Tell of experiments of a run that are finished."""
        for row in rows if self.each else ():
            if row.experiment:
                self._notifier.tell(notices.experiment_ended(summary.program, row))

    def on_state(self, state: BenchState) -> None:
        """A bench after an event. What an earlier process did is no news."""
        if self.each:
            if 0 <= self._told < len(state.results):
                self._notifier.tell(notices.trial_ended(state.started.suite, *_last(state.results)))
            self._told = len(state.results)

    def run_ended(self, summary: Summary) -> None:
        """Tell of the end of a run."""
        self._notifier.tell(notices.run_ended(summary))

    def bench_ended(self, outcome: api.BenchOutcome) -> None:
        """Tell of the end of a bench."""
        self._notifier.tell(notices.bench_ended(outcome.summary))

    def _wanted(self, root: Path) -> list[str]:
        """The flags, else the settings; a bench that is the measurement of a run tells nobody by itself."""
        if self.ways is not None or api.SAMPLE_DIR in os.environ:
            return self.ways or []
        return list(load_settings(root, os.environ, user_config(os.environ)).notify)


def _last(results: PersistentMap[TrialKey, TrialResult]) -> tuple[TrialKey, TrialResult]:
    key = next(reversed(results))
    return key, results[key]
