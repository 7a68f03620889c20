"""The loop of a bench: hand out trials, take what comes of them, look after the workers, stop when there is reason to.

It knows ports, not processes, and remembers nothing that the journal does not say but who is at what: after a kill
the trials that were in hand are taken anew, each in a fresh workspace.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from autoloop.core.suite import events
from autoloop.core.suite.events import BenchEvent, BenchStop
from autoloop.core.suite.state import LOST, BenchState, after, used_up
from autoloop.core.suite.stopping import SILENT, BenchLimits, BenchSituation, bench_stop, end_of, stuck
from autoloop.core.suite.tasks import Outcome, TrialKey, TrialOrder, TrialResult
from autoloop.ports import Ledger, Machine, News, OnWorker, Pacing, Workers

_TICK = 0.5
"""Seconds between two looks at the workers when none of them says anything."""


@dataclass(frozen=True)
class InHand:
    """A trial that a worker is working on."""

    key: TrialKey
    since: float
    longest: float


@dataclass
class SuiteLoop:
    """The loop of a bench, in one process, from wherever its journal ends."""

    state: BenchState
    ledger: Ledger
    workers: Workers
    machine: Machine
    order: Callable[[TrialKey], TrialOrder]
    limits: BenchLimits
    count: int
    """How many workers there are."""
    pace: Pacing
    stop: Callable[[], bool]
    """Whether no further trial should begin."""
    stop_now: Callable[[], bool]
    """Whether those in hand should be given up."""
    silent: float = SILENT
    """Seconds without a sign of life after which a worker is replaced."""
    on_worker: OnWorker = lambda worker, key, phase, text: None
    say: Callable[[str], None] = lambda text: None
    """Told why nothing is begun for a while."""
    idle: set[int] = field(default_factory=set)
    in_hand: dict[int, InHand] = field(default_factory=dict)
    waiting_since: tuple[float, str] | None = None
    """When everything began to wait, and for what."""

    def run(self) -> BenchState:
        """Run trials until every one is settled or there is a reason to stop; the state at the end."""
        resumed_at = self.machine.now()
        self.append(events.BenchResumed(at=resumed_at, workers=self.count))
        while True:
            self._cut_short()
            ending = self._why_end(resumed_at)
            if ending is not None and (not self.in_hand or self.stop_now()):
                break
            if ending is None:
                self._hand_out()
            paced = self.pace.wait() if self.idle else 0.0
            self._take(self.workers.news(min(_TICK, paced) if paced > 0 else _TICK))
            self._look_after()
        reason, detail = ending
        self._end_wait()
        self.append(events.BenchStopped(at=self.machine.now(), reason=reason, detail=detail))
        return self.state

    def append(self, event: BenchEvent) -> None:
        """Write the event to the journal, then bring the views up to it."""
        state = after(self.state, event)
        self.ledger.append(event, state)
        self.state = state

    def _why_end(self, resumed_at: float) -> tuple[BenchStop, str] | None:
        """Why no further trial is begun."""
        free = self.machine.conditions().free_gb
        around = BenchSituation(free, self.stop() or self.stop_now(), self.machine.now() - resumed_at)
        if (found := bench_stop(self.state, self.limits, around)) is not None:
            return found
        done = next(iter(self.waiting()), None) is None
        return end_of(self.state) if done else None

    def _cut_short(self) -> None:
        """Begin nothing more of groups whose hours are used up."""
        now, hours = self.machine.now(), self.limits.group_hours
        in_hand = {held.key: held.since for held in self.in_hand.values()}
        for group in sorted(used_up(self.state, hours, in_hand, now)):
            self.append(events.GroupCut(at=now, group=group, hours=hours[group]))

    def waiting(self) -> Iterable[TrialKey]:
        """The trials that are still to be taken, those in hand included."""
        return self.state.outstanding()

    def came_to(self, key: TrialKey, result: TrialResult) -> BenchEvent:
        """The event that is written for a trial's result."""
        return events.TrialEnded(at=self.machine.now(), key=key, result=result)

    def _hand_out(self) -> None:
        """Give every idle worker the next trial that nobody has."""
        if not self.idle:
            return
        paused = self._paused()
        taken = {held.key for held in self.in_hand.values()}
        waiting = (key for key in self.waiting() if key not in taken and key.arm not in paused)
        for worker in sorted(self.idle):
            now = self.machine.now()
            key = next(waiting, None)
            if key is None:
                self._begin_wait(paused)
                return
            order = self.order(key)
            if order.paid_calls and self.pace.wait() > 0:
                return
            self._end_wait()
            self.pace.charge(order.paid_calls)
            self.idle.discard(worker)
            self.in_hand[worker] = InHand(key, now, order.longest)
            self.workers.give(worker, order)
            self.on_worker(worker, key, "starting", "")

    def _paused(self) -> dict[str, str]:
        """The arms of which no trial is begun now, each with the reason."""
        now = self.machine.now()
        found = self.state.pauses()
        return {arm: pause.why for arm, pause in found.items() if pause.until is None or pause.until > now}

    def _begin_wait(self, paused: dict[str, str]) -> None:
        if self.waiting_since is None and not self.in_hand and paused:
            why = "; ".join(f"{arm}: {why}" for arm, why in paused.items())
            self.waiting_since = (self.machine.now(), why)
            self.say(why)

    def _end_wait(self) -> None:
        if self.waiting_since is not None:
            since, why = self.waiting_since
            self.waiting_since = None
            now = self.machine.now()
            self.append(events.BenchWaited(at=now, why=why, seconds=now - since))

    def _take(self, news: News | None) -> None:
        """Take a message of a worker, or about one."""
        if news is None:
            return
        held = self.in_hand.get(news.worker)
        match news.kind:
            case "ready":
                self.idle.add(news.worker)
            case "phase":
                self.on_worker(news.worker, held.key if held else None, news.phase, news.text)
            case "paced" if held is not None:
                self.in_hand[news.worker] = replace(held, longest=held.longest + news.seconds)
            case "result" if held is not None and news.result is not None:
                self._settle(news.worker, held, news.result)
                self.idle.add(news.worker)
            case "gone":
                self._replace(news.worker, news.text or "its process ended")
            case _:
                pass

    def _settle(self, worker: int, held: InHand, result: TrialResult) -> None:
        del self.in_hand[worker]
        self.on_worker(worker, None, "", "")
        interrupted = result.outcome is Outcome.ERROR and self.stop_now()
        if not interrupted:  # what a person cut short says nothing, not even that something failed
            self.append(self.came_to(held.key, result))

    def _look_after(self) -> None:
        """Replace the workers that are stuck."""
        now = self.machine.now()
        for worker, held in list(self.in_hand.items()):
            if (why := stuck(self.workers.silence(worker), now - held.since, held.longest, self.silent)) is not None:
                self._replace(worker, why)

    def _replace(self, worker: int, why: str) -> None:
        held = self.in_hand.pop(worker, None)
        self.idle.discard(worker)
        now = self.machine.now()
        if held is not None and not self.stop_now():
            lost = TrialResult(
                outcome=Outcome.ERROR,
                failure_mode=LOST,
                detail=f"worker {worker}: {why}",
                started=held.since,
                seconds=max(0.0, now - held.since),
            )
            self.append(self.came_to(held.key, lost))
        self.append(events.WorkerReplaced(at=now, worker=worker, key=held.key if held else None, why=why))
        self.on_worker(worker, None, "", "")
        self.workers.replace(worker)
