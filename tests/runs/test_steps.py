"""What the loop does when the machine is against it, with doubles for everything around it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from autoloop.core.run.candidate import Candidate, Capture, Change
from autoloop.core.run.disturbance import MOST_TIMES
from autoloop.core.run.events import Disturbed, Event, Guided, RunStopped, Sampled, SessionEnded, Waited
from autoloop.core.run.measurement import MeasurementFailure
from autoloop.core.run.program import Criteria, Direction, Rule
from autoloop.core.run.reasons import Reason, StopReason
from autoloop.core.run.state import RunState
from autoloop.core.session import Session
from autoloop.errors import AutoloopError, NoRoom
from autoloop.ports import Wishes
from tests.fakes import FakeAgent, FakeSampler, FakeTrees, MemoryJournal, World, failed, program

FULL = OSError(28, "No space left on device", "/disk/file")


def slower(commit: str, count: int) -> float:
    return 100.0 + int(commit.removeprefix("c"))


def kinds(world: World) -> list[str]:
    return [event.kind for event in world.journal.read()]


def found(world: World, kind: type[Event]) -> list[Event]:
    return [event for event in world.journal.read() if isinstance(event, kind)]


def calm_kinds() -> list[str]:
    world = World(program(max_experiments=2), FakeSampler(slower))
    world.run()
    return kinds(world)


def once_each(times: int, error: Exception) -> Callable[[], None]:
    """Raises so many times, and then no more."""
    left = [times]

    def act() -> None:
        left[0] -= 1
        if left[0] >= 0:
            raise error

    return act


class FullJournal(MemoryJournal):
    """Has no room for some events at first."""

    def __init__(self, kind: str, times: int) -> None:
        super().__init__()
        self.kind, self.left = kind, times

    def append(self, event: Event, state: RunState) -> None:
        if event.kind == self.kind and self.left:
            self.left -= 1
            raise NoRoom("journal.jsonl cannot be written: No space left on device", "Make room.")
        super().append(event, state)


@pytest.mark.parametrize("kind", [kind for kind in dict.fromkeys(calm_kinds()) if kind != "run_started"])
def test_an_event_for_which_there_is_no_room_is_written_later_and_nothing_is_done_twice(kind: str) -> None:
    journal = FullJournal(kind, 3)
    world = World(program(max_experiments=2), FakeSampler(slower), journal=journal)
    world.run()
    assert [kind for kind in kinds(world) if kind != "waited"] == calm_kinds()
    waited = found(world, Waited)
    assert len(waited) == 1, "one line for one wait, however many tries it took"
    assert isinstance(waited[0], Waited) and waited[0].seconds >= 0.5 + 1 + 2
    assert len(world.agent.packets) == 2
    assert any(sign.phase == "waiting" and "no space left" in sign.text for sign in world.seen)


@pytest.mark.parametrize("error", [FULL, NoRoom("full"), OSError(122, "Disk quota exceeded", "/d")])
@pytest.mark.parametrize("where", ["place", "capture", "settle", "patch", "packet", "sample", "agent"])
def test_whatever_finds_no_room_is_tried_again(where: str, error: Exception) -> None:
    world = World(program(max_experiments=2), FakeSampler(slower))
    act = once_each(2, error)

    def before(method: Callable[..., object]) -> Callable[..., object]:
        def instead(*args: object, **named: object) -> object:
            act()
            return method(*args, **named)

        return instead

    loop = world.loop()
    target = {"patch": loop.parts.files, "packet": loop.parts.files, "sample": world.sampler, "agent": world.agent}
    owner = target.get(where, world.trees)
    name = "run" if where == "agent" else where
    setattr(owner, name, before(getattr(owner, name)))
    loop.run()
    assert [kind for kind in kinds(world) if kind not in ("waited", "disturbed")] == calm_kinds()
    assert {"waited", "disturbed"} & set(kinds(world))


def test_what_else_goes_wrong_stops_the_run_with_its_reason() -> None:
    for error, message in (
        (OSError(30, "Read-only file system", "/d/f"), "/d/f: Read-only file system"),
        (OSError(5, "Input/output error", "/d/f"), "/d/f: Input/output error"),
        (AutoloopError("the head was moved"), "the head was moved"),
    ):
        world = World(program(), FakeSampler(slower))
        world.trees.settle = lambda *, head, previous, error=error: once_each(1, error)()  # type: ignore[method-assign, misc]
        with pytest.raises(AutoloopError) as stopped:
            world.run()
        assert stopped.value.message == message
        [last] = found(world, RunStopped)
        assert isinstance(last, RunStopped) and (last.reason, last.detail) == (StopReason.FAULT, message)


def test_a_bug_is_no_fault_of_the_machines() -> None:
    world = World(program(), FakeSampler(slower))
    world.agent = FakeAgent(lambda number: {}[number])
    with pytest.raises(KeyError):
        world.run()
    world.agent = FakeAgent(lambda number: Path("/nonexistent/file").read_text())  # type: ignore[arg-type, return-value]
    with pytest.raises(FileNotFoundError):
        world.run()


def test_a_full_disk_is_seen_also_where_git_does_not_name_it() -> None:
    world = World(program(max_experiments=1), FakeSampler(slower))
    act, looks = once_each(1, AutoloopError("git read-tree: fatal: unable to write new index file")), [0]

    def settle(*, head: str, previous: str) -> None:
        act()

    def free() -> float:
        looks[0] += 1
        return 0.0 if looks[0] < 6 else 10.0

    world.trees.settle = settle  # type: ignore[method-assign]
    world.machine.free_gb = free
    world.run()
    assert found(world, Waited)


def test_whoever_waits_for_room_can_be_stopped_and_the_experiment_goes_on_later() -> None:
    world = World(program(max_experiments=2), FakeSampler(slower))
    act = once_each(1, NoRoom("full"))

    def capture(experiment: int, parent: str, *, at: float, message: str) -> Capture:
        world.steering.asked = Wishes(stop=True)
        act()
        change = Change(path="code.py", kind="modified", added=1, removed=1)
        return Capture(Candidate(commit=f"c{experiment}", parent=parent, changes=(change,)))

    world.trees.capture = capture  # type: ignore[method-assign]
    state = world.run()
    assert state.stopped and state.stopped.reason is StopReason.STOPPED
    assert state.current and state.current.session and state.totals.experiments == 0
    world.trees = FakeTrees(head=world.trees.head)
    world.steering.asked = Wishes()
    assert world.run().totals.experiments == 2
    assert len(world.agent.packets) == 2, "the session is not repeated"


def test_a_fault_that_cannot_be_written_down_is_said_all_the_same() -> None:
    class Broken(MemoryJournal):
        broken = False

        def append(self, event: Event, state: RunState) -> None:
            if self.broken:
                raise AutoloopError("journal.jsonl was changed from outside")
            super().append(event, state)

    journal = Broken()
    world = World(program(), FakeSampler(slower), journal=journal)
    world.agent = FakeAgent(lambda number: setattr(journal, "broken", True) or Session(seconds=1))
    lines = []
    with pytest.raises(AutoloopError, match="changed from outside"):
        world.run()
    lines = list(journal.lines)
    assert b'"run_stopped"' not in lines[-1]


# Samples that do not count


def paired(**limits: object) -> object:
    criteria = Criteria(
        metric_field="ms", direction=Direction.LOWER, rule=Rule.PAIRED, calibration_pairs=3, max_pairs=4
    )
    return program(**limits).model_copy(update={"criteria": criteria})


def test_a_sample_across_a_standstill_is_taken_again_with_the_other_half_of_its_pair() -> None:
    calm = World(paired(max_experiments=1), FakeSampler(slower))  # type: ignore[arg-type]
    calm.run()
    world = World(paired(max_experiments=1), FakeSampler(slower))  # type: ignore[arg-type]

    def value(commit: str, count: int) -> float:
        # The second half of the experiment's first pair: six samples calibrate.
        if count == 8:
            world.machine.still += 30.0
            return 1.0
        return slower(commit, count)

    world.sampler.value = value
    world.run()
    [stopped] = found(world, Disturbed)
    assert isinstance(stopped, Disturbed) and stopped.still == 30.0 and stopped.taken is not None
    asked = [request.key for request in world.sampler.requests]
    assert len(asked) == len(calm.sampler.requests) + 2 and len(set(asked)) == len(calm.sampler.requests)
    rows = [row.model_copy(update={"seconds": None}) for row in world.state().recent]
    assert rows == [row.model_copy(update={"seconds": None}) for row in calm.state().recent]


def test_a_standstill_between_samples_breaks_the_pair_as_well() -> None:
    world = World(paired(max_experiments=1), FakeSampler(slower))  # type: ignore[arg-type]
    taken = [0]

    def stop(event: Event) -> None:
        taken[0] += isinstance(event, Sampled)
        if isinstance(event, Sampled) and taken[0] == 7:
            world.machine.still += 30.0

    world.journal.on_append = stop
    world.run()
    [stopped] = found(world, Disturbed)
    assert isinstance(stopped, Disturbed) and stopped.taken is None
    sampled = found(world, Sampled)
    assert len(sampled) == len({id(event) for event in sampled})
    keys = [request.key for request in world.sampler.requests]
    assert len(keys) - len(set(keys)) == 1, "the half that was there already"


def test_a_machine_that_stands_still_all_the_time_does_not_hold_the_run_up_for_ever() -> None:
    world = World(program(max_experiments=1), FakeSampler(slower))

    def value(commit: str, count: int) -> float:
        world.machine.still += 5.0
        return slower(commit, count)

    world.sampler.value = value
    state = world.run()
    assert state.totals.experiments == 1
    assert len(world.sampler.requests) == 6 * (MOST_TIMES + 1)


def test_a_failure_on_a_full_disk_is_taken_again_and_one_that_filled_it_counts() -> None:
    def of(cleared: bool) -> World:
        free = [10.0]

        def value(commit: str, count: int) -> float | MeasurementFailure:
            if commit == "c1" and count == 4:
                free[0] = 0.0
                return failed(Reason.MEASUREMENT_FAILED, "cp: No space left on device")
            return slower(commit, count)

        world = World(program(max_experiments=1), FakeSampler(value))
        world.machine.free_gb = lambda: free[0]
        tidy, sleep = world.sampler.tidy, world.machine.sleep

        def room(*_: object) -> None:
            free[0] = 10.0

        if cleared:
            world.sampler.tidy = lambda: (tidy(), room())  # type: ignore[method-assign, assignment, return-value, func-returns-value]
        world.machine.sleep = lambda *args: (sleep(*args), room())  # type: ignore[method-assign, assignment, return-value, func-returns-value]
        world.run()
        assert world.sampler.tidied == 1
        return world

    assert [row.reason for row in of(cleared=False).state().recent[1:]] == ["within_noise"]
    filled = of(cleared=True).state().recent[1]
    assert (filled.reason, filled.why) == (
        "measurement_failed",
        "cp: No space left on device; what it left had filled the disk",
    )


def test_a_session_whose_tree_vanished_is_begun_again_once() -> None:
    def of(times: int) -> World:
        left = [times]

        def changes(number: int) -> Capture | None:
            left[0] -= 1
            return Capture(None, ("the tree itself",), lost=True) if left[0] >= 0 else None

        world = World(program(max_experiments=1), FakeSampler(slower), trees=FakeTrees(changes))
        world.run()
        return world

    once, ever = of(1), of(99)
    assert [row.reason for row in once.state().recent[1:]] == ["within_noise"]
    assert [row.reason for row in ever.state().recent[1:]] == ["out_of_scope"]
    for world in (once, ever):
        assert len(found(world, SessionEnded)) == 2
        assert world.state().totals.cost_usd == pytest.approx(0.2), "both sessions are paid for"


def test_a_place_that_became_read_only_ends_the_run_before_anybody_is_blamed() -> None:
    world = World(program(max_experiments=1), FakeSampler(slower))

    def value(commit: str, count: int) -> float | MeasurementFailure:
        if commit != "c1":
            return slower(commit, count)
        world.machine.read_only = "/disk"
        return failed(Reason.MEASUREMENT_FAILED, "exit code 1")

    world.sampler.value = value
    with pytest.raises(AutoloopError, match="/disk became read-only"):
        world.run()
    assert len(world.state().recent) == 1
    world.machine.read_only, world.sampler.value = "", slower
    world.run()
    assert [row.reason for row in world.state().recent[1:]] == ["within_noise"]


def test_an_event_that_could_not_be_written_is_not_in_the_state() -> None:
    class Refusing(MemoryJournal):
        refuses = False

        def append(self, event: Event, state: RunState) -> None:
            if self.refuses:
                raise AutoloopError("journal.jsonl was changed from outside")
            super().append(event, state)

    journal = Refusing()
    loop = World(program(), FakeSampler(slower), journal=journal).loop()
    before, journal.refuses = loop.state, True
    with pytest.raises(AutoloopError, match="changed from outside"):
        loop.append(Guided(at=loop.now(), text="try the cache"))
    assert loop.state is before
    journal.refuses = False
    loop.append(Guided(at=loop.now(), text="try the cache"))
    assert loop.state.guidance == "try the cache" and loop.state.events == before.events + 1
