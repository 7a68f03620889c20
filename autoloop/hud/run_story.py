"""The story of a run, as viewers are told it: what is new at each look, and the whole of it for who comes later."""

from collections import deque
from collections.abc import Iterator
from typing import Any

from autoloop.core.run.events import Event
from autoloop.core.run.summary import seconds_left
from autoloop.hud.messages import Message, cut, message, of_row, of_run, row_fields
from autoloop.journal.tail import Doing, Sight
from autoloop.runs.follow import RunFollower

_LINES = 200
"""Lines of output that a new viewer is shown."""
_ROWS = 1000
"""The newest results that a new viewer is shown, the baseline aside."""


class RunStory:
    """Tells viewers of a run, from its journal and `state.json`."""

    def __init__(self, follower: RunFollower) -> None:
        self._follower = follower
        self._begin()

    def _begin(self) -> None:
        self._doing: Doing | None = None
        self._alive = False
        self._output: deque[Message] = deque(maxlen=_LINES)

    def tell(self, now: float) -> list[Message]:
        """The messages that are new since the last look."""
        sight = self._follower.look()
        if sight.anew:
            self._begin()
        doing = sight.doing[0] if sight.doing else None
        told = [*self._of_events(sight), *self._of_phase(doing, now)]
        changed = bool(told) or self._alive != sight.alive
        self._doing, self._alive = doing, sight.alive
        return [*told, message("summary", now, **self._figures(now))] if changed else told

    def snapshot(self, now: float) -> Message:
        """A message with everything that a new viewer needs."""
        rows, started = self._follower.rows, self._follower.state.started
        assert started is not None, "a journal begins with its run"
        return message(
            "snapshot",
            now,
            about="run",
            id=started.run_id,
            name=started.program,
            directory=str(self._follower.directory.path),
            started_at=started.at,
            rows=[row_fields(row) for row in (*rows[:1], *rows[1:][-_ROWS:])],
            output=list(self._output),
            **self._figures(now),
        )

    def _of_events(self, sight: Sight[Event]) -> Iterator[Message]:
        for event in sight.events:
            told = of_run(event)
            if told is not None:
                yield told
        for row in sight.rows:
            yield of_row(self._follower.state.last_at, row)

    def _of_phase(self, doing: Doing | None, now: float) -> Iterator[Message]:
        before = self._doing
        if doing is None:
            return
        moved = before is None or (before.phase, before.experiment) != (doing.phase, doing.experiment)
        if moved:
            yield message("experiment_phase", now, experiment=doing.experiment, phase=doing.phase)
        if doing.text and (before is None or before.text != doing.text):
            line = message("experiment_output", now, experiment=doing.experiment, text=cut(doing.text))
            self._output.append(line)
            yield line

    def _figures(self, now: float) -> dict[str, Any]:
        doing = self._doing
        summary = self._follower.summary(doing.phase if doing else "killed")
        elapsed = summary.seconds + (max(0.0, now - summary.updated_at) if self._alive else 0.0)
        return {
            "alive": self._alive,
            "stop_reason": summary.stop_reason,
            "stop_detail": summary.detail,
            "elapsed": elapsed,
            "eta_seconds": seconds_left(summary, elapsed) if self._alive else None,
            "cost_usd": summary.cost_usd,
            "tokens": summary.tokens,
            "run": summary.model_dump(mode="json"),
            "text": cut(doing.text) if doing else "",
        }
