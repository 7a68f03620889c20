"""The paired rule in the loop: calibration across slots, coin-flipped pairs, recovery, the end of a night."""

import random
from collections.abc import Callable

import pytest

from autoloop.core.run.candidate import Candidate, Capture, Change
from autoloop.core.run.events import Baselined, Continued, Decided, Event, Sampled, Verified
from autoloop.core.run.measurement import Arm, MeasurementFailure, Sample
from autoloop.core.run.night import Confidence, labels
from autoloop.core.run.program import Criteria, Direction, Limits, Program, Rule
from autoloop.core.run.reasons import Reason, StopReason
from autoloop.errors import AutoloopError
from autoloop.ports import OnProgress, Request, Wishes
from tests.fakes import FakeSampler, FakeTrees, World


class _KilledError(BaseException):
    """The process dies here."""


class NoisySampler(FakeSampler):
    """A value for each commit, with noise that depends on the sample alone, not on when it is taken."""

    def __init__(self, true: Callable[[str], float], noise: float, bias: float = 0.0) -> None:
        super().__init__(lambda commit, count: true(commit))
        self.true, self.noise, self.bias = true, noise, bias

    def sample(self, request: Request, on_progress: OnProgress) -> Sample | MeasurementFailure:
        self.requests.append(request)
        draw = random.Random(f"{request.key} {request.commit}").gauss(0, self.noise)
        slot = self.bias if request.arm is Arm.CANDIDATE else 0.0
        return Sample(metrics={"ms": self.true(request.commit) * (1 + draw + slot)}, seconds=1.0)


def paired(threshold: float | None = None, **limits: object) -> Program:
    criteria = Criteria(metric_field="ms", direction=Direction.LOWER, rule=Rule.PAIRED, noise_threshold=threshold)
    return Program(
        slug="p",
        directory="programs/p",
        text="Make it fast.",
        scripts=("measure.sh",),
        criteria=criteria,
        limits=Limits.model_validate({"max_experiments": 5, "max_consecutive_discards": 100, **limits}),
    )


def better_at(*numbers: int, gain: float = 0.1) -> Callable[[str], float]:
    """Commits of these experiments are better than their parents, and what builds on them stays so."""

    def true(commit: str) -> float:
        own = int(commit.removeprefix("c"))
        return 100.0 * (1 - gain) ** sum(number <= own for number in numbers)

    return true


def decisions(world: World) -> dict[int, Decided]:
    return {event.experiment: event for event in world.journal.read() if isinstance(event, Decided)}


def test_the_start_is_calibrated_against_itself_in_both_slots() -> None:
    world = World(paired(max_experiments=1), NoisySampler(better_at(), 0.01))
    state = world.run()
    calibration = world.sampler.requests[:20]
    assert {request.commit for request in calibration} == {"c0"}
    assert sum(request.arm is Arm.CANDIDATE for request in calibration) == 10
    assert len(state.pool[0]) == 10 and state.noise and state.noise.spread == pytest.approx(0.01, rel=0.6)


def test_both_samples_of_a_pair_share_their_seed_and_a_coin_orders_them() -> None:
    world = World(paired(max_experiments=3), NoisySampler(better_at(1, 2, 3), 0.01))
    world.run()
    pairs = list(zip(world.sampler.requests[::2], world.sampler.requests[1::2], strict=True))
    assert all(one.seed == other.seed and one.arm is not other.arm for one, other in pairs)
    firsts = [one.arm for one, _ in pairs]
    assert 0.2 < firsts.count(Arm.BASELINE) / len(firsts) < 0.8


def test_a_real_gain_is_kept_with_its_interval_and_a_null_change_is_not() -> None:
    world = World(paired(max_experiments=4), NoisySampler(better_at(2), 0.01))
    state = world.run()
    kept = decisions(world)[2].decision
    assert [event.decision.reason for event in decisions(world).values()].count(Reason.IMPROVED) == 1
    assert kept.gain == pytest.approx(0.1, abs=0.02)
    assert kept.low is not None and kept.high is not None and kept.low < 0.1 < kept.high
    assert kept.evidence and kept.evidence > 3.9 and len(kept.trace) == len(kept.pairs) >= 6
    assert state.gain == pytest.approx(kept.gain), "under pairs the gain is what was claimed"
    assert state.recent[2].gain == kept.gain


def test_a_null_change_costs_few_pairs() -> None:
    world = World(paired(max_experiments=30), NoisySampler(better_at(), 0.02))
    world.run()
    spent = [len(event.decision.pairs) for event in decisions(world).values()]
    assert sum(spent) / len(spent) <= 5
    kept = [event for event in decisions(world).values() if event.decision.reason is Reason.IMPROVED]
    assert len(kept) <= 1, "alpha is 2 % an experiment"


def test_trees_that_measure_apart_are_refused() -> None:
    world = World(paired(), NoisySampler(better_at(), 0.001, bias=0.02))
    with pytest.raises(AutoloopError, match="two trees of the same commit"):
        world.run()


def test_a_metric_without_spread_costs_one_pair_and_a_keep_is_confirmed() -> None:
    world = World(paired(max_experiments=2), NoisySampler(better_at(2), 0.0))
    world.run()
    assert len(decisions(world)[1].decision.pairs) == 1
    assert decisions(world)[2].decision.reason is Reason.IMPROVED
    assert 2 <= len(decisions(world)[2].decision.pairs) <= 4


@pytest.mark.parametrize("boundary", [*range(2, 90, 4)])
def test_a_run_killed_at_an_event_goes_on_with_the_pair_it_was_at(boundary: int) -> None:
    undisturbed = World(paired(max_experiments=4, max_hours=1), NoisySampler(better_at(2), 0.01))
    undisturbed.run()
    world = World(paired(max_experiments=4, max_hours=1), NoisySampler(better_at(2), 0.01))
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
    keys = [request.key for request in world.sampler.requests]
    assert len(keys) == len(set(keys)), "a sample that was journaled is not taken again"
    same = [(number, event.decision) for number, event in decisions(undisturbed).items()]
    assert [(number, event.decision) for number, event in decisions(world).items()] == same
    assert world.state().verified == undisturbed.state().verified


def test_the_end_of_a_run_measures_the_original_against_the_head_afresh() -> None:
    world = World(paired(max_experiments=3, max_hours=10), NoisySampler(better_at(1, 2), 0.01))
    state = world.run()
    assert state.verified is not None and state.verified.head == state.head
    assert state.verified.gain == pytest.approx(0.19, abs=0.02)
    assert state.verified.claimed == pytest.approx(0.19, abs=0.03)
    used = [event for event in world.journal.read() if isinstance(event, Sampled) and event.experiment == -1]
    assert {event.commit for event in used} == {"c0", state.head} and len(used) == 32


def test_a_run_without_a_keep_verifies_nothing() -> None:
    world = World(paired(max_experiments=2), NoisySampler(better_at(), 0.01))
    assert world.run().verified is None
    assert not any(isinstance(event, Verified) for event in world.journal.read())


def test_a_provisional_keep_gets_more_pairs_until_it_is_confirmed() -> None:
    world = World(paired(max_experiments=30, max_hours=10), NoisySampler(better_at(7, gain=0.04), 0.01))
    state = world.run()
    more = [event for event in world.journal.read() if isinstance(event, Continued)]
    assert more, "30 experiments ask for more evidence than one keep needs"
    assert [label.confidence for label in labels(state)].count(Confidence.CONFIRMED) >= 1
    keep = next(keep for keep in state.keeps if keep.experiment == 7)
    assert len(keep.pairs) > len(decisions(world)[7].decision.pairs)


def test_without_a_time_limit_nothing_is_continued() -> None:
    world = World(paired(max_experiments=30), NoisySampler(better_at(7, gain=0.04), 0.01))
    world.run()
    assert not any(isinstance(event, Continued) for event in world.journal.read())


def test_a_resume_past_the_end_takes_no_old_pair_for_a_new_one() -> None:
    world = World(paired(max_experiments=2, max_hours=10), NoisySampler(better_at(1), 0.01))
    world.run()
    world.steering.asked = Wishes(limits={"max_experiments": 4})
    state = world.run()
    assert state.totals.experiments == 4
    keys = [request.key for request in world.sampler.requests if not request.key.startswith("-1")]
    assert len(keys) == len(set(keys))


def simplifying(number: int, parent: str) -> Capture:
    change = Change(path="code.py", kind="modified", added=0, removed=3)
    return Capture(Candidate(commit=f"c{number}", parent=parent, changes=(change,)))


def test_simplifications_in_a_row_share_one_tolerance() -> None:
    def slightly_worse(commit: str) -> float:
        return 100.0 * 1.004 ** int(commit.removeprefix("c"))

    world = World(paired(threshold=0.02, max_experiments=12), NoisySampler(slightly_worse, 0.002))
    world.trees = FakeTrees(lambda number: simplifying(number, world.state().head))
    state = world.run()
    kept = [row for row in state.recent if row.reason == Reason.SIMPLIFIED]
    assert kept, "a loss of 0.4 % is far inside a tolerance of 2 %"
    lost = slightly_worse(state.head) / 100 - 1
    assert lost <= 0.02


def test_a_baseline_that_drifts_is_shown_as_it_is_now() -> None:
    drift = [1.0]

    class Drifting(NoisySampler):
        def sample(self, request: Request, on_progress: OnProgress) -> Sample | MeasurementFailure:
            drift[0] *= 1.002
            found = super().sample(request, on_progress)
            assert isinstance(found, Sample)
            return Sample(metrics={"ms": found.metrics["ms"] * drift[0]}, seconds=1.0)

    world = World(paired(max_experiments=10), Drifting(better_at(), 0.005))
    state = world.run()
    assert state.totals.kept == 0, "drift cancels in a pair"
    assert state.metric and state.metric > 105
    assert state.gain == 0
    assert len([event for event in world.journal.read() if isinstance(event, Baselined)]) == 1


def reusing(**limits: object) -> Program:
    program = paired(**limits)
    return program.model_copy(update={"criteria": program.criteria.model_copy(update={"baseline": "reuse"})})


class BySeed(NoisySampler):
    """A metric that depends on the seed and nothing else, such as a loss."""

    def sample(self, request: Request, on_progress: OnProgress) -> Sample | MeasurementFailure:
        self.requests.append(request)
        draw = random.Random(request.seed).gauss(0, self.noise) + random.Random(
            f"{request.commit} {request.seed}"
        ).gauss(0, self.noise / 3)
        return Sample(metrics={"ms": self.true(request.commit) * (1 + draw)}, seconds=300.0)


def test_a_reused_baseline_is_measured_once_for_each_seed() -> None:
    world = World(reusing(max_experiments=9), BySeed(better_at(), 0.03))
    world.run()
    after_calibration = [request for request in world.sampler.requests if not request.key.startswith("0-")]
    assert all(request.arm is Arm.CANDIDATE for request in after_calibration)
    calibrated = {request.seed for request in world.sampler.requests if request.key.startswith("0-")}
    assert {request.seed for request in after_calibration} <= calibrated


def test_a_reused_baseline_still_finds_what_is_real_and_the_winners_samples_become_the_baseline() -> None:
    world = World(reusing(max_experiments=8), BySeed(better_at(3, gain=0.08), 0.03))
    state = world.run()
    reasons = [event.decision.reason for event in decisions(world).values()]
    assert reasons[2] is Reason.IMPROVED and reasons.count(Reason.IMPROVED) == 1
    assert state.stored and state.stored[0].metrics["ms"] == pytest.approx(92, rel=0.1)
    last = [request for request in world.sampler.requests if request.key.startswith("8-")]
    assert any(request.arm is Arm.CANDIDATE for request in last)


def test_a_stored_sample_that_moved_ends_the_reuse() -> None:
    class Moving(BySeed):
        def sample(self, request: Request, on_progress: OnProgress) -> Sample | MeasurementFailure:
            found = super().sample(request, on_progress)
            assert isinstance(found, Sample)
            factor = 1.3 if len(self.requests) > 60 else 1.0
            return Sample(metrics={"ms": found.metrics["ms"] * factor}, seconds=300.0)

    world = World(reusing(max_experiments=30), Moving(better_at(), 0.03))
    state = world.run()
    assert state.stored_moved
    assert any(request.arm is Arm.BASELINE for request in world.sampler.requests[-20:])
    assert state.totals.kept == 0


def test_a_screen_discards_without_a_measurement_and_never_keeps() -> None:
    def screened(commit: str) -> float:
        return 150.0 if commit == "c1" else 100.0 if commit == "c0" else 80.0

    program = paired(max_experiments=2).model_copy(update={"scripts": ("measure.sh", "screen.sh")})
    world = World(program, NoisySampler(screened, 0.01))
    world.run()
    scripts = {
        number: {r.script for r in world.sampler.requests if r.key.startswith(f"{number}-")} for number in (1, 2)
    }
    assert scripts[1] == {"screen.sh"}
    assert decisions(world)[1].decision.reason is Reason.REGRESSED
    assert scripts[2] == {"screen.sh", "measure.sh"}
    assert decisions(world)[2].decision.reason is Reason.IMPROVED


def test_a_target_is_not_reached_by_the_luck_of_a_few_samples() -> None:
    world = World(paired(max_experiments=25, target=95.0), NoisySampler(better_at(), 0.03))
    state = world.run()
    assert state.totals.kept or (state.stopped and state.stopped.reason is not StopReason.TARGET)
    reached = World(paired(max_experiments=25, target=95.0), NoisySampler(better_at(3), 0.01)).run()
    assert reached.stopped and reached.stopped.reason is StopReason.TARGET
    assert reached.totals.experiments == 3


def test_a_night_bounded_by_hours_leaves_time_for_its_verification() -> None:
    world = World(paired(max_experiments=500, max_hours=0.25), NoisySampler(better_at(2), 0.01))
    state = world.run()
    assert state.stopped and state.stopped.reason is StopReason.MAX_HOURS
    assert state.verified is not None and state.verified.head == state.head
    assert state.active_seconds <= 1.1 * 900


def test_a_pass_rate_is_decided_by_its_cases_and_its_gain_is_said_of_the_metric() -> None:
    passed = {"c0": 5, "c1": 13, "c2": 20}

    class Suite(FakeSampler):
        def sample(self, request: Request, on_progress: OnProgress) -> Sample | MeasurementFailure:
            self.requests.append(request)
            count = passed[request.commit]
            cases = {f"t{number}": float(number < count) for number in range(20)}
            return Sample(metrics={"ms": count / 20}, cases=cases, seconds=1.0)

    program = paired(max_experiments=2)
    higher = program.criteria.model_copy(update={"direction": Direction.HIGHER})
    world = World(program.model_copy(update={"criteria": higher}), Suite(lambda commit, count: 0.0))
    state = world.run()
    assert [event.decision.gain for event in decisions(world).values()] == [pytest.approx(1.6), pytest.approx(7 / 13)]
    assert state.gain == pytest.approx(3.0)
    assert state.verified is not None and state.verified.gain == pytest.approx(3.0)


def test_the_seconds_of_a_row_leave_out_the_time_that_the_run_was_dead() -> None:
    world = World(paired(max_experiments=2), NoisySampler(better_at(), 0.01))
    left = [60]

    def die(event: Event) -> None:
        left[0] -= 1
        if left[0] == 0 or event.kind == "captured":
            raise _KilledError

    world.journal.on_append = die
    with pytest.raises(_KilledError):
        world.run()
    world.journal.on_append = lambda event: None
    world.machine.time += 5000
    state = world.run()
    assert all(row.seconds is not None and row.seconds < 500 for row in state.recent)
