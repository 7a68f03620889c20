"""The story of a bench, as viewers are told it: what is new at each look, and the whole of it for who comes later."""

import time
from collections import deque
from collections.abc import Iterator
from typing import Any

from autoloop.core.suite.events import BenchEvent, Regraded, TrialEnded
from autoloop.core.suite.state import BenchState
from autoloop.core.suite.summary import BenchSummary, summarise
from autoloop.core.suite.tally import Tally
from autoloop.core.suite.tasks import TrialKey
from autoloop.hud.messages import Message, cut, message, of_bench, trial_fields
from autoloop.journal.tail import Doing, Sight
from autoloop.suites.follow import BenchFollower

_REMEMBERED = 200
"""Finished trials and lines of output that a new viewer is shown."""
_SHARE = 20
"""Summaries take one part in so many of the time: with thousands of trials one takes a while."""
_UNSHOWN = {"pass_at", "groups"}


class BenchStory:
    """Tells viewers of a bench. What it remembers is bounded, but for when each trial last ended."""

    def __init__(self, follower: BenchFollower) -> None:
        self._follower = follower
        self._begin()

    def _begin(self) -> None:
        self._open: dict[int, Doing] = {}
        self._ended: dict[TrialKey, float] = {}
        self._finished: deque[Message] = deque(maxlen=_REMEMBERED)
        self._output: deque[Message] = deque(maxlen=_REMEMBERED)
        self._alive = False
        self._summary: BenchSummary | None = None
        self._next_summary = float("-inf")
        self._due = True

    def tell(self, now: float) -> list[Message]:
        """The messages that are new since the last look."""
        sight = self._follower.look()
        if sight.anew:
            self._begin()
        before = (self._alive, *self._open.values())
        told = [*self._of_events(sight), *self._of_workers(sight.doing, now)]
        self._alive = sight.alive
        self._due = self._due or bool(sight.events)
        if self._summary_is_due(now) or before != (self._alive, *self._open.values()):
            told.append(message("summary", now, **self._figures(now)))
        return told

    def snapshot(self, now: float) -> Message:
        """A message with everything that a new viewer needs."""
        started = self._state.started
        return message(
            "snapshot",
            now,
            about="bench",
            id=started.bench_id,
            name=started.suite,
            version=started.suite_version,
            directory=str(self._follower.directory.path),
            started_at=started.at,
            finished=list(self._finished),
            output=list(self._output),
            **self._figures(now),
        )

    def _of_events(self, sight: Sight[BenchEvent]) -> Iterator[Message]:
        for event in sight.events:
            if isinstance(event, TrialEnded):
                yield from self._closed(event)
            told = of_bench(event)
            if isinstance(event, TrialEnded | Regraded):
                self._finished.append(told)
            yield told

    def _closed(self, event: TrialEnded) -> Iterator[Message]:
        """Take the trial from its worker. One so short that nobody saw it begin is said to have begun all the same."""
        held = [worker for worker, doing in self._open.items() if doing.key == event.key]
        for worker in held:
            del self._open[worker]
        if not held:
            yield message("task_started", event.result.started, worker=None, **trial_fields(event.key))
        self._ended[event.key] = event.at

    def _of_workers(self, doing: tuple[Doing, ...], now: float) -> Iterator[Message]:
        at_work = {one.worker: one for one in doing if one.key is not None and not self._is_over(one, one.key)}
        for worker, one in at_work.items():
            yield from self._changes(self._open.get(worker), one, now)
        self._open = at_work

    def _is_over(self, doing: Doing, key: TrialKey) -> bool:
        """Whether the journal knows already how this try ended: `state.json` may be a second behind."""
        return key in self._ended and doing.since <= self._ended[key]

    def _changes(self, before: Doing | None, now_at: Doing, now: float) -> Iterator[Message]:
        assert now_at.key is not None
        which = {"worker": now_at.worker, **trial_fields(now_at.key)}
        begun = before is None or before.key != now_at.key
        if begun:
            yield message("task_started", now_at.since or now, **which)
        if begun or before is None or before.phase != now_at.phase:
            yield message("task_progress", now, **which, phase=now_at.phase)
        if now_at.text and (begun or before is None or before.text != now_at.text):
            line = message("task_output", now, **which, text=cut(now_at.text))
            self._output.append(line)
            yield line

    @property
    def _state(self) -> BenchState:
        assert self._follower.state is not None, "a journal begins with its bench"
        return self._follower.state

    def _summary_is_due(self, now: float) -> bool:
        return self._due and now >= self._next_summary

    def _figures(self, now: float) -> dict[str, Any]:
        state = self._state
        if self._summary is None or self._summary_is_due(now):
            began = time.monotonic()
            self._summary, self._due = summarise(state), False
            self._next_summary = now + _SHARE * (time.monotonic() - began)
        summary = self._summary
        since = max(0.0, now - state.last_at) if self._alive else 0.0
        eta = summary.eta_seconds
        return {
            "alive": self._alive,
            "stop_reason": summary.stop_reason,
            "stop_detail": summary.stop_detail,
            "elapsed": summary.worked_seconds + since,
            "eta_seconds": None if eta is None else max(0.0, eta - since),
            "cost_usd": summary.cost_usd,
            "tokens": summary.tokens,
            "arms": [_tallied(arm) for arm in summary.arms],
            "totals": _tallied(summary.totals),
            "workers": [_worker(one) for _, one in sorted(self._open.items())],
        }


def _tallied(tally: Tally) -> dict[str, Any]:
    return {**tally.model_dump(mode="json", exclude=_UNSHOWN), "pass_rate": tally.rate.value}


def _worker(doing: Doing) -> dict[str, Any]:
    assert doing.key is not None
    where = {"worker": doing.worker, **trial_fields(doing.key)}
    return {**where, "phase": doing.phase, "since": doing.since, "text": cut(doing.text)}
