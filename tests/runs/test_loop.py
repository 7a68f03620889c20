"""The loop on doubles: order of events, recovery at every one of them, reasons to stop."""

from dataclasses import dataclass, field, replace

import pytest

from autoloop.core.run.candidate import Capture
from autoloop.core.run.events import Baselined, Decided, Event, Sampled, Waited
from autoloop.core.run.reasons import Reason, StopReason
from autoloop.core.session import Session, SessionFailure
from autoloop.errors import AutoloopError
from autoloop.ports import Left, OnProgress, Task, Wishes
from tests.fakes import FakeAgent, FakeSampler, FakeTrees, World, failed, program


def improving_at(*numbers: int) -> FakeSampler:
    """Each named experiment, and what is built on it, is 10 % faster."""

    def value(commit: str, _: int) -> float:
        own = int(commit.removeprefix("c"))
        return 100.0 * 0.9 ** sum(number <= own for number in numbers) if own in (0, *numbers) else 100.0

    return FakeSampler(value)


def reasons(world: World) -> list[Reason]:
    return [event.decision.reason for event in world.journal.read() if isinstance(event, Decided)]


def kinds(world: World) -> list[str]:
    return [event.kind for event in world.journal.read()]


def test_an_experiment_travels_in_the_documented_order() -> None:
    world = World(program(max_experiments=1), improving_at(1))
    world.run()
    assert kinds(world) == [
        "run_started", "run_resumed", *["sampled"] * 3, "baselined",
        "experiment_started", "session_ended", "captured", *["sampled"] * 3, "decided",
        *["sampled"] * 3, "baselined", "run_stopped",
    ]  # fmt: skip


def test_a_keep_becomes_the_parent_of_the_next_experiment() -> None:
    world = World(program(max_experiments=3), improving_at(2))
    state = world.run()
    assert reasons(world) == [Reason.WITHIN_NOISE, Reason.IMPROVED, Reason.REGRESSED]
    assert (state.head, world.trees.head) == ("c2", "c2")
    assert state.gain == pytest.approx(0.1)
    assert state.totals.kept == 1 and state.best_experiment == 2


def test_a_keeps_own_measurement_becomes_the_record() -> None:
    def lucky(commit: str, count: int) -> float:
        return {"c0": 100.0}.get(commit, 80.0 if count <= 6 else 95.0)

    state = World(program(max_experiments=1), FakeSampler(lucky)).run()
    assert state.metric == 95.0
    assert state.kept[-1].gain == pytest.approx(0.05), "what a fresh measurement shows, not what it was chosen by"


class _KilledError(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("boundary", range(2, 40))
def test_a_run_killed_at_any_event_resumes_to_the_same_end(boundary: int) -> None:
    undisturbed = World(program(max_experiments=4), improving_at(1, 3))
    undisturbed.run()

    world = World(program(max_experiments=4), improving_at(1, 3))
    left = [boundary]

    def die(event: Event) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise _KilledError

    world.journal.on_append = die
    try:
        world.run()
    except _KilledError:
        world.journal.on_append = lambda event: None
        world.run()
    facts = [kind for kind in kinds(undisturbed) if kind != "run_resumed"]
    assert [kind for kind in kinds(world) if kind != "run_resumed"] in (facts, [*facts, "run_stopped"])
    assert [row.model_copy(update={"seconds": None}) for row in world.state().recent] == [
        row.model_copy(update={"seconds": None}) for row in undisturbed.state().recent
    ]
    assert world.trees.head == undisturbed.trees.head


def test_samples_already_taken_are_not_taken_again() -> None:
    world = World(program(max_experiments=1), improving_at())
    taken = [0]

    def die(event: Event) -> None:
        taken[0] += isinstance(event, Sampled)
        if taken[0] == 5:
            raise _KilledError

    world.journal.on_append = die
    with pytest.raises(_KilledError):
        world.run()
    world.journal.on_append = lambda event: None
    world.run()
    keys = [request.key for request in world.sampler.requests]
    assert len(keys) == len(set(keys)) == 6


def test_stagnation_counts_crashes_and_ends_the_run() -> None:
    sessions = FakeAgent(lambda number: Session(seconds=1, failure=SessionFailure.EXITED, detail="boom"))
    world = World(program(max_experiments=50, max_consecutive_discards=3), improving_at(), sessions)
    world.trees = FakeTrees(lambda number: Capture(None))
    state = world.run()
    assert reasons(world) == [Reason.AGENT_FAILED] * 3
    assert state.stopped and state.stopped.reason is StopReason.STAGNATION


def test_the_baseline_follows_the_machine_after_every_fifth_discard_and_only_beyond_the_threshold() -> None:
    world = World(program(max_experiments=10, max_consecutive_discards=50), FakeSampler(lambda commit, count: 100.0))
    world.sampler.value = lambda commit, count: 100.0 if count < 20 else 110.0
    world.run()
    drifts = [event for event in world.journal.read() if isinstance(event, Baselined) and event.why == "drift"]
    assert [event.moved for event in drifts] == [False, True] or [event.moved for event in drifts] == [True, False]
    assert world.state().metric == 110.0


def test_an_unreachable_agent_stops_the_run_and_spends_no_experiment() -> None:
    agent = FakeAgent(lambda number: Session(seconds=0, failure=SessionFailure.UNREACHABLE, detail="no such command"))
    world = World(program(), improving_at(), agent)
    state = world.run()
    assert state.stopped and state.stopped.reason is StopReason.AGENT_UNAVAILABLE
    assert state.totals.experiments == 0
    world.agent = FakeAgent()
    assert world.run().totals.experiments == 5


@pytest.mark.parametrize(("now", "reason"), [(False, StopReason.STOPPED), (True, StopReason.ABORTED)])
def test_a_person_who_ends_the_wait_for_a_quota_has_stopped_the_run(now: bool, reason: StopReason) -> None:
    def out_of_quota(number: int) -> Session:
        world.steering.asked, world.steering.at_once = Wishes(stop=True), now
        return Session(seconds=0, failure=SessionFailure.OUT_OF_QUOTA, detail="again tomorrow")

    world = World(program(), improving_at(), FakeAgent(out_of_quota))
    state = world.run()
    assert state.stopped and state.stopped.reason is reason
    assert state.totals.experiments == 0


@dataclass
class WaitingAgent:
    """Waits in its first session, and remembers what each was left."""

    left: list[Left] = field(default_factory=list)

    def run(self, task: Task, on_progress: OnProgress) -> Session:
        self.left.append(task.left)
        if task.experiment == 1:
            assert task.wait("the agent is rate limited", 60.0)
        return Session(seconds=1.0, cost_usd=0.1, tokens=10)


def test_what_an_agent_waits_for_is_journaled_and_shown_and_it_knows_what_is_left() -> None:
    agent = WaitingAgent()
    world = World(program(max_cost_usd=1.0, max_tokens=1000, max_hours=1.0), improving_at(), agent)
    state = world.run()
    waits = [event for event in world.journal.read() if isinstance(event, Waited)]
    assert [(wait.why, wait.seconds >= 60.0) for wait in waits] == [("the agent is rate limited", True)]
    assert [sign.text for sign in world.seen if sign.phase == "waiting"] == ["the agent is rate limited"]
    assert state.totals.experiments == 5
    assert [(left.cost_usd, left.tokens) for left in agent.left[:2]] == [(1.0, 1000), (0.9, 990)]
    hours = [left.seconds for left in agent.left if left.seconds is not None]
    assert len(hours) == 5 and hours == sorted(hours, reverse=True) and hours[1] < 3600.0 - 60.0


def test_a_baseline_that_cannot_be_measured_is_refused_with_its_cause() -> None:
    world = World(program(), FakeSampler(lambda *_: failed(Reason.MEASUREMENT_FAILED, "`ms` is missing")))
    with pytest.raises(AutoloopError, match="`ms` is missing"):
        world.run()


def test_a_kept_tree_that_fails_once_keeps_what_it_was_kept_for() -> None:
    def value(commit: str, count: int) -> object:
        return 100.0 if commit == "c0" else 80.0 if count <= 6 else failed(Reason.MEASUREMENT_FAILED)

    world = World(program(max_experiments=1), FakeSampler(value))  # type: ignore[arg-type]
    assert world.run().metric == 80.0


def test_wishes_are_journaled_before_they_count() -> None:
    world = World(program(max_experiments=5), improving_at())
    world.steering.asked = Wishes(guidance="try caching", limits={"max_experiments": 1})
    state = world.run()
    assert state.totals.experiments == 1
    assert state.guidance == "try caching" and "try caching" in world.agent.packets[0]
    assert {"guided", "limits_changed"} <= set(kinds(world))


def test_a_raised_limit_lets_a_finished_run_go_on() -> None:
    world = World(program(max_experiments=2), improving_at())
    world.run()
    world.steering.asked = Wishes(limits={"max_experiments": 4})
    state = world.run()
    assert state.totals.experiments == 4
    assert [row.experiment for row in state.recent] == [0, 1, 2, 3, 4]


def test_an_experiment_cut_short_is_a_row_and_its_candidate_is_kept() -> None:
    world = World(program(), improving_at())
    world.agent = FakeAgent(lambda number: Session(seconds=1, failure=SessionFailure.CANCELLED))

    def cut(number: int) -> None:
        world.steering.at_once = True
        return

    world.trees = FakeTrees(cut)
    state = world.run()
    assert reasons(world) == [Reason.INTERRUPTED]
    assert state.stopped and state.stopped.reason is StopReason.ABORTED
    assert state.recent[-1].commit == "c1"


def test_an_unknown_cost_is_unknown_and_never_zero() -> None:
    agent = FakeAgent(lambda number: Session(seconds=1, cost_usd=None if number == 2 else 0.5))
    state = World(program(max_experiments=3), improving_at(), agent).run()
    assert state.totals.cost_usd == pytest.approx(1.0) and state.totals.unknown_costs == 1
    assert state.recent[2].cost_usd is None
    never = World(program(max_experiments=1), improving_at(), FakeAgent(lambda n: Session(seconds=1))).run()
    assert never.totals.cost_usd is None


def test_budgets_end_the_run() -> None:
    state = World(program(max_experiments=50, max_cost_usd=0.25), improving_at()).run()
    assert state.stopped and state.stopped.reason is StopReason.BUDGET
    assert state.totals.experiments == 3


def test_a_gap_in_time_has_the_baseline_measured_again() -> None:
    world = World(program(max_experiments=1), improving_at())
    world.run()
    world.machine.time += 7200
    world.steering.asked = Wishes(limits={"max_experiments": 2})
    state = world.run()
    assert "gap" in [event.why for event in world.journal.read() if isinstance(event, Baselined)]
    assert state.active_seconds < 3600, "a pause between processes is not the run's time"


def test_a_lock_violation_needs_no_measurement() -> None:
    world = World(program(max_experiments=1), improving_at())
    world.seal = replace(world.seal, found=("measure.sh",))
    world.run()
    assert reasons(world) == [Reason.LOCK_VIOLATION]
    assert len(world.sampler.requests) == 3
