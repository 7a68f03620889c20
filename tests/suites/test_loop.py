"""The loop of a bench with real worker processes that do as they are told."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import ANY

import psutil
import pytest

from autoloop.core.suite.events import (
    BenchEvent,
    BenchStarted,
    BenchStop,
    BenchWaited,
    GroupCut,
    TrialEnded,
    WorkerReplaced,
)
from autoloop.core.suite.pausing import Pause, Rounds, one_more, pause_of, worker_count
from autoloop.core.suite.plan import ArmPlan, BenchPlan, TaskPlan
from autoloop.core.suite.state import MOST_TRIES, BenchState, begun, replay
from autoloop.core.suite.stopping import BenchLimits, stuck
from autoloop.core.suite.tasks import Outcome, Step, SuiteTask, TaskVerification, TrialKey, TrialOrder, TrialResult
from autoloop.errors import NoRoom
from autoloop.host.machine import ThisMachine
from autoloop.suites.loop import SuiteLoop
from autoloop.suites.pace import SharedPace
from autoloop.suites.pool import Pool
from autoloop.suites.record import BenchJournal, read_bench

WORKER = [sys.executable, str(Path(__file__).with_name("fake_worker.py"))]


@dataclass
class Wish:
    stop: bool = False
    now: bool = False


@dataclass
class Place:
    """A bench in a folder, carried on by one process after another."""

    folder: Path
    instructions: list[str]
    arms: tuple[ArmPlan, ...] = (ArmPlan(name="mine", profile="mine"),)
    iterations: int = 1
    wish: Wish = field(default_factory=Wish)
    seen: list[tuple[int, TrialKey | None, str]] = field(default_factory=list)
    command: list[str] = field(default_factory=lambda: WORKER)
    silent: float = 30.0

    @property
    def journal(self) -> Path:
        return self.folder / "journal.jsonl"

    @property
    def events(self) -> list[BenchEvent]:
        return list(read_bench(self.journal))

    def order(self, key: TrialKey) -> TrialOrder:
        number = int(key.task.removeprefix("t"))
        step = Step(instruction=self.instructions[number], verification=TaskVerification(reward="exit_code", timeout=1))
        task = SuiteTask(id=key.task, steps=(step,), setup_timeout=1)
        profile = next(arm.profile for arm in self.arms if arm.name == key.arm)
        return TrialOrder(
            key=key, task=task, suite="/", profile=profile, bench_id="b", directory="/", seed=1,
            timeout=1, idle_timeout=0, max_turns=1,
        )  # fmt: skip

    @contextmanager
    def loop(self, workers: int = 2, max_rpm: float | None = None, **limits: float) -> Iterator[SuiteLoop]:
        plan = BenchPlan(
            arms=self.arms,
            tasks=tuple(TaskPlan(id=f"t{number}") for number in range(len(self.instructions))),
            iterations=self.iterations,
        )
        is_new = not self.journal.exists()
        ledger = BenchJournal(self.journal)
        started = BenchStarted(at=time.time(), bench_id="b", suite="s", suite_path="/", suite_version="1", plan=plan)
        state = begun(started) if is_new else replay(ledger.read())
        if is_new:
            ledger.append(started, state)
        with Pool(self.command, workers, cwd=self.folder, env=dict(os.environ), run_id=f"bench-{os.getpid()}") as pool:
            loop = SuiteLoop(
                state=state,
                ledger=ledger,
                workers=pool,
                machine=ThisMachine(self.folder),
                order=self.order,
                limits=BenchLimits(min_free_gb=0, **limits),  # type: ignore[arg-type]
                count=workers,
                pace=SharedPace(self.folder / "pace.json", max_rpm),
                stop=lambda: self.wish.stop,
                stop_now=lambda: self.wish.now,
                silent=self.silent,
                on_worker=lambda worker, key, phase, text: self.seen.append((worker, key, phase)),
            )
            yield loop
        ledger.close()

    def run(self, **how: float) -> BenchState:
        with self.loop(**how) as loop:  # type: ignore[arg-type]
            return loop.run()


@pytest.fixture
def place(tmp_path: Path) -> Callable[..., Place]:
    return lambda *instructions, **how: Place(tmp_path, list(instructions), **how)


def result_of(outcome: Outcome, **fields: object) -> TrialResult:
    return TrialResult.model_validate({"outcome": outcome, "started": 0.0, "seconds": 1.0, **fields})


def limited(**fields: object) -> TrialResult:
    return result_of(Outcome.ERROR, failure_mode="rate_limited", **fields)


def outcomes(state: BenchState) -> list[str]:
    return [
        state.results[key].outcome.value for key in sorted(state.results, key=lambda key: (key.task, key.iteration))
    ]


def test_every_trial_comes_to_something(place: Callable[..., Place]) -> None:
    here = place("pass", "fail", "pass", iterations=2)
    state = here.run()
    assert outcomes(state) == ["pass", "pass", "fail", "fail", "pass", "pass"]
    assert state.stopped is not None and state.stopped.reason is BenchStop.DONE
    assert replay(here.events).results == state.results, "the journal has it all"
    assert {phase for _, key, phase in here.seen if key} == {"starting", "agent"}


class FullLedger:
    """A journal on a disk that has no room."""

    def append(self, event: BenchEvent, state: BenchState) -> None:
        raise NoRoom("the journal cannot be written", "Make room.")


def test_what_could_not_be_written_is_not_in_the_state(place: Callable[..., Place]) -> None:
    with place("pass").loop() as loop:
        loop.ledger, before = FullLedger(), loop.state
        with pytest.raises(NoRoom):
            loop.append(GroupCut(at=time.time(), group="hard", hours=1))
        assert loop.state is before and not loop.state.cut


def test_an_error_is_tried_again_and_then_left_standing(place: Callable[..., Place]) -> None:
    here = place("error", "pass")
    state = here.run()
    assert outcomes(state) == ["error", "pass"]
    assert sum(isinstance(event, TrialEnded) for event in here.events) == MOST_TRIES + 1
    assert here.run().all_errors == {TrialKey(arm="mine", iteration=1, task="t0"): 2 * MOST_TRIES}


def test_a_worker_that_dies_is_replaced_and_its_trial_taken_again(place: Callable[..., Place], tmp_path: Path) -> None:
    here = place(f"die {tmp_path}/died", "pass", "pass")
    state = here.run()
    assert outcomes(state) == ["pass", "pass", "pass"]
    replaced = [event for event in here.events if isinstance(event, WorkerReplaced)]
    assert [(event.key.task, event.why) for event in replaced if event.key] == [("t0", "killed by signal 9")]


def test_a_worker_that_stands_still_is_replaced(place: Callable[..., Place], tmp_path: Path) -> None:
    here = place(f"freeze {tmp_path}/frozen", "pass", silent=1.5)
    assert outcomes(here.run()) == ["pass", "pass"]
    assert [event.why[:15] for event in here.events if isinstance(event, WorkerReplaced)] == ["no sign of life"]
    assert not [child for child in psutil.Process().children(recursive=True) if child.status() == "stopped"]


def test_a_worker_is_stuck_when_all_deadlines_are_over() -> None:
    assert stuck(silence=1.0, busy=99.0, longest=100.0) is None
    assert "deadlines" in (stuck(silence=1.0, busy=101.0, longest=100.0) or "")


def test_a_wish_to_stop_lets_trials_finish_and_a_resume_goes_on(place: Callable[..., Place]) -> None:
    here = place("wait 0.3", "wait 0.3", "pass", "pass")
    with here.loop(workers=2) as loop:
        loop.on_worker = lambda worker, key, phase, text: setattr(here.wish, "stop", True)
        state = loop.run()
    assert state.stopped is not None and state.stopped.reason is BenchStop.STOPPED
    done = len(state.results)
    assert 1 <= done < 4 and all(result.passed for result in state.results.values()), "what was in hand is finished"
    here.wish.stop = False
    assert outcomes(here.run()) == ["pass"] * 4
    assert sum(isinstance(event, TrialEnded) for event in here.events) == 4, "none is taken twice"


def test_a_second_wish_gives_up_what_is_in_hand(place: Callable[..., Place]) -> None:
    here = place("wait 30", "pass")
    began = time.monotonic()
    with here.loop(workers=1) as loop:
        loop.on_worker = lambda worker, key, phase, text: setattr(here.wish, "now", True)
        state = loop.run()
    assert time.monotonic() - began < 15 and not state.results
    assert not [event for event in here.events if isinstance(event, TrialEnded)]


class Leaping(ThisMachine):
    """A machine whose clock can be put forward."""

    leapt = 0.0

    def now(self) -> float:
        return super().now() + self.leapt


def test_a_rate_limit_is_waited_for_and_spends_no_trial(place: Callable[..., Place], tmp_path: Path) -> None:
    here = place(f"limited {tmp_path}/limited -4", "pass", "pass")
    with here.loop(workers=1) as loop:
        loop.machine = clock = Leaping(here.folder)
        loop.say = lambda why: setattr(clock, "leapt", 4.5)
        state = loop.run()
    assert outcomes(state) == ["pass", "pass", "pass"]
    waits = [event for event in here.events if isinstance(event, BenchWaited)]
    assert len(waits) == 1 and "slow down" in waits[0].why and 4 <= waits[0].seconds < 8
    assert not state.errors and state.all_errors, "it was turned away, and did not fail"


def test_one_limit_that_several_workers_meet_is_one_round() -> None:
    rounds: Rounds = ()
    for at in (10.0, 10.1, 10.2):
        rounds = one_more(rounds, limited(started=1.0, retry_at=30.0), at)
    assert len(rounds) == 1 and pause_of(rounds, answered=True) == Pause(10.2 + 24.8, ANY)
    rounds = one_more(rounds, limited(started=36.0), 37.0)
    assert len(rounds) == 2 and pause_of(rounds, answered=True) == Pause(37.0 + 60.0, ANY), "each wait is longer"
    for number in range(6):
        rounds = one_more(rounds, limited(started=100.0 + 10 * number), 105.0 + 10 * number)
    assert pause_of(rounds, answered=True) == Pause(None, ANY), "patience ends"
    assert one_more(rounds, result_of(Outcome.FAIL), 999.0) == ()


def test_a_key_that_is_refused_is_not_waited_for() -> None:
    refused = result_of(Outcome.ERROR, failure_mode="not_signed_in", detail="no key")
    assert pause_of(one_more((), refused, 1.0), answered=True) == Pause(None, "no key")


def test_an_arm_that_is_given_up_does_not_hold_up_the_other(place: Callable[..., Place]) -> None:
    both = (ArmPlan(name="mine", profile="mine"), ArmPlan(name="other", profile="gone"))
    state = place(*["pass"] * 4, arms=both).run(workers=1)
    assert {key.arm for key in state.results} == {"mine", "other"}
    assert all(result.passed for key, result in state.results.items() if key.arm == "mine")
    assert state.stopped is not None and state.stopped.reason is BenchStop.AGENT_UNAVAILABLE


def test_an_agent_out_of_reach_ends_the_bench(place: Callable[..., Place]) -> None:
    state = place(*["gone"] * 40).run(workers=1)
    assert state.stopped is not None and state.stopped.reason is BenchStop.AGENT_UNAVAILABLE
    assert "no key" in state.stopped.detail and len(state.results) < 10


def test_workers_that_never_work_end_the_bench(place: Callable[..., Place]) -> None:
    state = place("pass", command=[sys.executable, "-c", "raise SystemExit('no such thing')"]).run(workers=2)
    assert state.stopped is not None and state.stopped.reason is BenchStop.FAULT
    assert outcomes(state) == []


def test_a_limit_of_hours_ends_it(place: Callable[..., Place]) -> None:
    state = place(*["wait 0.2"] * 30).run(workers=2, max_hours=0.5 / 3600)
    assert state.stopped is not None and state.stopped.reason is BenchStop.MAX_HOURS
    assert 2 <= len(state.results) < 15


def test_a_limit_of_hours_ends_a_wait(place: Callable[..., Place], tmp_path: Path) -> None:
    began = time.monotonic()
    state = place(f"limited {tmp_path}/limited 600", "pass").run(workers=1, max_hours=1 / 3600)
    assert state.stopped is not None and state.stopped.reason is BenchStop.MAX_HOURS
    assert time.monotonic() - began < 20


def test_sessions_whose_calls_are_not_ours_begin_at_the_pace_of_calls(place: Callable[..., Place]) -> None:
    began = time.monotonic()
    place(*["pass"] * 6).run(workers=2, max_rpm=600)
    assert time.monotonic() - began >= 0.45, "six calls at ten a second, the first for free"


def test_sessions_that_wait_for_their_turn_themselves_are_handed_out_at_once(place: Callable[..., Place]) -> None:
    here = place(*["pass"] * 6)
    paid = here.order
    here.order = lambda key: paid(key).model_copy(update={"paid_calls": 0})  # type: ignore[method-assign]
    began = time.monotonic()
    assert outcomes(here.run(workers=2, max_rpm=1)) == ["pass"] * 6
    assert time.monotonic() - began < 30


def test_who_waits_for_the_pace_of_calls_is_not_stuck(place: Callable[..., Place]) -> None:
    here = place("paced 200", "paced 0")
    for task, replaced in (("t0", 0), ("t1", 1)):
        with here.loop(workers=1) as loop:
            loop.machine = clock = Leaping(here.folder)
            loop.on_worker = lambda worker, key, phase, text, clock=clock, task=task: (  # type: ignore[misc]
                setattr(clock, "leapt", 150.0) if phase == "paced" and key and key.task == task else None
            )
            loop.stop = lambda task=task: any(key.task == task for key in loop.state.results)  # type: ignore[misc]
            before = loop.state.replaced
            loop.run()
            assert loop.state.replaced - before == replaced, "its deadlines together are 123 seconds"


@pytest.mark.parametrize(
    ("wanted", "trials", "cores", "free", "count"),
    [
        (None, 100, 8, 64, 8),
        (None, 100, 8, 4.5, 3),
        (None, 3, 8, 64, 3),
        (None, 9, 8, 0.2, 1),
        (6, 100, 2, 1, 6),
        (6, 4, 2, 1, 4),
    ],
)
def test_the_number_of_workers_follows_cores_and_memory(
    wanted: int | None, trials: int, cores: int, free: float, count: int
) -> None:
    assert worker_count(wanted, trials=trials, cores=cores, free_gb=free) == count


def test_outcomes_that_count_are_those_of_the_agent() -> None:
    assert [outcome.counts for outcome in Outcome] == [True, True, True, False, False]
