"""The views of a journal: `results.tsv`, `ideas.md`, `state.json`. Rebuilt at will, never read by the loop.

What finds no room on the disk is made again from the journal as soon as there is some: no view holds a run up.
"""

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from autoloop.core.run.events import (
    Baselined,
    Captured,
    Decided,
    Event,
    ExperimentStarted,
    RunStopped,
    Sampled,
    SessionEnded,
)
from autoloop.core.run.program import Limits
from autoloop.core.run.replay import after
from autoloop.core.run.results import HEADER, Row
from autoloop.core.run.state import RunState
from autoloop.core.run.summary import Summary, summarise
from autoloop.errors import NoRoom
from autoloop.journal.files import append_text, write_atomically
from autoloop.ports import OnNews, Progress
from autoloop.runs.directory import RunDirectory
from autoloop.runs.record import read_events

_OFTEN_ENOUGH = 0.2
"""Seconds between two states that differ by a sample alone; who looks in between reads the journal."""
_TEXT_SECONDS = 1.0
"""Between two states that were written for what the agent says alone."""
_LONGEST_TEXT = 300
_PHASE_AFTER: dict[type[Event], str] = {ExperimentStarted: "agent", SessionEnded: "capture", Captured: "measuring"}
"""What comes next, so that the state need not be written again to say so."""


class Views:
    """Keeps the views of one run up to date, at a cost that does not grow with its history."""

    def __init__(
        self, directory: RunDirectory, limits: Limits, sandbox: str, on_news: OnNews = lambda rows, summary: None
    ) -> None:
        self._directory = directory
        self._limits = limits
        self._sandbox = sandbox
        self._on_news = on_news
        self._phase = "starting"
        self._text = ""
        """What the agent said last."""
        self._spoken = float("-inf")
        self._state: RunState | None = None
        self._length = 0
        self._written = 0.0
        self.behind = False
        """Whether something found no room, and a view lacks what is newest."""

    def rebuild(self, events: Iterable[Event], state: RunState) -> RunState:
        """Write every view anew from the journal, and return the state at its end."""
        rows: list[str] = [HEADER]
        for event, state in states(events, state):  # noqa: B020 - the fold's state is the result
            rows += [row.to_tsv() for row in finished_rows(event, state)]
        write_atomically(self._directory.path / "results.tsv", "".join(rows))
        write_atomically(self._directory.path / "ideas.md", state.backlog.render())
        self._state, self._length = state, self._directory.journal.stat().st_size
        self._write_state()
        return state

    def on_append(self, event: Event, state: RunState, length: int) -> None:
        """Bring the views up to a state that includes a new event."""
        self._state, self._length = state, length
        self._phase = _PHASE_AFTER.get(type(event), self._phase)
        rows = [*finished_rows(event, state), *(unfinished_rows(state) if isinstance(event, RunStopped) else ())]
        try:
            self._bring_up(event, rows, state)
        except NoRoom:
            self.behind = True
        if isinstance(event, Sampled) and time.monotonic() - self._written < _OFTEN_ENOUGH:
            return
        summary = self._write_state()
        if summary is not None:
            self._on_news(rows, summary)

    def on_progress(self, progress: Progress) -> None:
        """Let other processes see the phase, and the newest line of an agent."""
        moved = progress.phase != self._phase
        self._phase = progress.phase
        self._text = progress.text if progress.phase == "agent" else ""
        speaks = bool(self._text) and time.monotonic() - self._spoken >= _TEXT_SECONDS
        if moved or speaks:
            self._write_state()
        if speaks:
            self._spoken = self._written

    def _bring_up(self, event: Event, rows: list[Row], state: RunState) -> None:
        """Add what an event finished, or write everything anew where something is missing."""
        if self.behind:
            self.rebuild(read_events(self._directory.journal), RunState(state.criteria))
            self.behind, rows = False, unfinished_rows(state) if isinstance(event, RunStopped) else []
        if rows:
            append_text(self._directory.path / "results.tsv", "".join(row.to_tsv() for row in rows))
        if isinstance(event, Decided):
            write_atomically(self._directory.path / "ideas.md", state.backlog.render())

    def _write_state(self) -> Summary | None:
        if self._state is None or self._state.started is None:
            return None
        summary = summarise(self._state, self._limits, phase=self._phase, sandbox=self._sandbox)
        self._written = time.monotonic()
        said = json.dumps(self._text[:_LONGEST_TEXT])
        start = f'{{"journal_bytes": {self._length}, "text": {said}, '
        with suppress(NoRoom):
            write_atomically(self._directory.state, f"{start}{summary.model_dump_json()[1:]}\n")
        return summary


def states(events: Iterable[Event], state: RunState) -> Iterator[tuple[Event, RunState]]:
    """Each event with the state that includes it."""
    for event in events:
        state = after(state, event)
        yield event, state


def finished_rows(event: Event, state: RunState) -> list[Row]:
    """The rows that an event completes. Under `median` a keep's row waits for its own measurement."""
    match event:
        case Decided() if not state.keep_unmeasured:
            return [state.recent[-1]]
        case Baselined(why="keep" | "calibration"):
            return [state.recent[-1]]
    return []


def unfinished_rows(state: RunState) -> list[Row]:
    """The row of a keep that was not measured again, as it was decided; a resume replaces it."""
    return [state.recent[-1]] if state.keep_unmeasured else []


def all_rows(events: Iterable[Event], state: RunState) -> Iterator[Row]:
    """Every row of a journal, streamed; a keep that was not measured again comes as it was decided."""
    for event, state in states(events, state):  # noqa: B020 - only the last one is needed below
        yield from finished_rows(event, state)
    yield from unfinished_rows(state)


def read_text(path: Path) -> str:
    """A view's text, or nothing when it was not written yet."""
    return path.read_text(errors="replace") if path.exists() else ""
