"""Following a run from outside, while another process works on it or after it ended.

Only reads: nobody notices a follower. A look costs what was added since the last one, not the history. What happened
comes from the journal; what is being done now, which nothing depends on, from `state.json`.
"""

from autoloop.core.run.events import RUN_EVENTS, Event
from autoloop.core.run.replay import after
from autoloop.core.run.results import Row
from autoloop.core.run.state import RunState
from autoloop.core.run.summary import Summary, summarise
from autoloop.journal.tail import Doing, Sight, Tail, read_state, taken
from autoloop.runs.directory import RunDirectory
from autoloop.runs.find import is_alive
from autoloop.runs.record import read_record
from autoloop.runs.views import finished_rows


class RunFollower:
    """Follows a run of the loop, from its journal."""

    def __init__(self, directory: RunDirectory) -> None:
        self.directory = directory
        self.record = read_record(directory)
        self._tail = Tail(directory.journal, RUN_EVENTS)
        self._begin()

    def _begin(self) -> None:
        self.state = RunState(self.record.program.criteria)
        self.rows: list[Row] = []
        """Of every experiment that is finished, the baseline first."""

    def look(self) -> Sight[Event]:
        """The events and rows that are new since the last look."""
        anew = self._tail.is_replaced()
        if anew:
            self._begin()
        known, alive = len(self.rows), is_alive(self.directory)
        events = taken(self._tail.new(), self._take)
        rows = tuple(self.rows[known:])
        return Sight(anew, events, self._doing() if alive else (), alive, rows)

    def summary(self, phase: str) -> Summary:
        """The summary of the run as of the last look."""
        return summarise(self.state, self.record.program.limits, phase=phase, sandbox=self.record.sandbox)

    def _take(self, event: Event) -> None:
        self.state = after(self.state, event)
        self.rows += finished_rows(event, self.state)

    def _doing(self) -> tuple[Doing, ...]:
        state = read_state(self.directory.state)
        phase, text = state.get("phase"), state.get("text")
        if not isinstance(phase, str):
            return ()
        return (Doing(1, phase, text=text if isinstance(text, str) else "", experiment=self.state.last_experiment),)
