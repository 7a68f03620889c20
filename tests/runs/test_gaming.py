"""Gaming in whole runs: what a first sample leaves behind, gains too good to be true, and flags where people look."""

import json
import os

import pytest

from autoloop import api
from autoloop.cli.app import app
from autoloop.core.run.events import Captured, Decided, Event, Sampled
from autoloop.core.run.flags import Sign
from autoloop.core.run.measurement import Arm, MeasurementFailure, Sample
from autoloop.core.run.plausible import PAIRS
from autoloop.core.run.program import Program, Rule
from autoloop.core.run.reasons import Reason
from autoloop.errors import AutoloopError
from autoloop.ports import OnProgress, Request
from tests.fakes import FakeSampler, World, program
from tests.real_git import commit_all, write
from tests.real_run import Checkout

CACHING = "test -f .seen && echo 20 && exit; touch .seen; echo 100"
"""Quick from its second run on."""
HONEST = "echo 30"


def working(checkout: Checkout, *scripts: str, **fields: object) -> Checkout:
    """A program that measures work.sh, and an agent that replaces it: once for each experiment."""
    write(checkout.root, {"work.sh": "echo 100\n"})
    commit_all(checkout.root)
    checkout.measure('echo "{\\"ms\\": $(sh work.sh)}"')
    checkout.configure(calibration_pairs=3, warmup=1, max_experiments=len(scripts), **fields)
    checkout.agent("\n".join(f"[ $n = {n} ] && echo '{text}' > work.sh" for n, text in enumerate(scripts, 1)) + "\n:")
    return checkout


def decided(checkout: Checkout) -> list[Decided]:
    return [event for event in checkout.events if isinstance(event, Decided)]


def sampled(checkout: Checkout, *, fresh: bool) -> list[Sampled]:
    found = [event for event in checkout.events if isinstance(event, Sampled) and event.experiment == 1]
    return [event for event in found if event.taken.wanted.fresh is fresh]


def values(events: list[Sampled], arm: Arm) -> set[float]:
    samples = (event.taken.result for event in events if event.taken.wanted.arm is arm)
    return {sample.metrics["ms"] for sample in samples if isinstance(sample, Sample)}


@pytest.mark.parametrize("rule", list(Rule))
def test_a_gain_that_a_first_sample_leaves_in_the_tree_is_not_kept(checkout: Checkout, rule: Rule) -> None:
    working(checkout, CACHING, rule=rule.value).run()
    (decision,) = (event.decision for event in decided(checkout))
    assert values(sampled(checkout, fresh=False), Arm.CANDIDATE) == {20}, "the samples alone would have kept it"
    assert rule is Rule.MEDIAN or (decision.evidence or 0) > 3.9
    assert values(sampled(checkout, fresh=True), Arm.CANDIDATE) == {100}
    assert decision.reason is Reason.WITHIN_NOISE
    assert decision.why.startswith("+80 % at first, +0 % in 3 pairs of fresh trees: state is carried")
    assert checkout.status()["kept"] == 0 and not checkout.status()["flagged"]


@pytest.mark.parametrize("rule", list(Rule))
def test_an_honest_gain_of_more_than_a_factor_is_kept_and_flagged(checkout: Checkout, rule: Rule) -> None:
    working(checkout, HONEST, rule=rule.value).run()
    (decision,) = (event.decision for event in decided(checkout))
    assert decision.reason is Reason.IMPROVED and decision.gain == pytest.approx(0.7)
    assert [flag.sign for flag in decision.flags] == [Sign.IMPLAUSIBLE_GAIN]
    assert len(sampled(checkout, fresh=True)) == 2 * PAIRS
    assert checkout.status()["flagged"] == [1]


def test_strict_discards_what_is_flagged(checkout: Checkout) -> None:
    working(checkout, HONEST, "echo 60", strict=True).run()
    assert checkout.reasons == ["gate_failed", "improved"]
    assert checkout.row(1).why.startswith("strict: implausible_gain (+70 %, and +70 % in 3 pairs of fresh trees)")


def test_flags_are_shown_wherever_people_and_agents_look(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    def printed(*words: str) -> str:
        capsys.readouterr()
        app(["-C", str(checkout.root), *words], standalone_mode=False)
        return capsys.readouterr().out

    working(checkout, "SEED=7; echo 90", "echo 80").run()
    captured = next(event for event in checkout.events if isinstance(event, Captured))
    flag = {"sign": "seed_changed", "detail": "work.sh: SEED=7; echo 90"}
    assert [one.model_dump(mode="json") for one in captured.flags] == [flag]
    assert json.loads(printed("results", "--json"))[1]["flags"] == [flag]
    assert json.loads(printed("show", "1", "--json"))["flags"] == [flag]
    assert "  flagged   seed_changed: work.sh: SEED=7; echo 90\n" in printed("show", "1")
    assert "1 keep is flagged: look at `autoloop show 1 " in printed("status")
    table = (checkout.directory.path / "results.tsv").read_text().splitlines()
    assert "\t[seed_changed] " in table[2] and "[" not in table[3].split("\t")[13]
    packet = (checkout.directory.path / "experiments/0002/packet.md").read_text()
    assert packet.count("; flagged: seed_changed (work.sh: SEED=7; echo 90)") == 2, (
        "among the results, and what is kept"
    )


def test_samples_faster_than_can_be_true_are_flagged_and_count(checkout: Checkout) -> None:
    working(checkout, "echo 80", min_sample_ms=150)
    checkout.measure("[ $(sh work.sh) = 100 ] && sleep 0.2", 'echo "{\\"ms\\": $(sh work.sh)}"')
    checkout.run()
    (decision,) = (event.decision for event in decided(checkout))
    assert decision.reason is Reason.IMPROVED
    assert [flag.sign for flag in decision.flags] == [Sign.TOO_FAST]
    assert decision.flags[0].detail.endswith("less than min_sample_ms = 150")


def test_a_bound_that_the_untouched_code_breaks_refuses_to_start(checkout: Checkout) -> None:
    working(checkout, "echo 80", min_sample_ms=60_000)
    with pytest.raises(AutoloopError, match=r"cannot be measured: measure\.sh took .* less than min_sample_ms = 60000"):
        checkout.run()
    with pytest.raises(
        AutoloopError, match=r"too fast to be true: measure\.sh took .* than min_sample_ms = 60000"
    ) as said:
        api.validate(checkout.root, "p", runs=3, environ=os.environ, on_progress=checkout.seen.append)
    assert "Lower min_sample_ms" in said.value.hint


class Carrying(FakeSampler):
    """Experiment 1 is quick where something ran before it; experiment 2 really is."""

    def sample(self, request: Request, on_progress: OnProgress) -> Sample | MeasurementFailure:
        self.requests.append(request)
        value = {"c1": 100.0 if request.alone else 10.0, "c2": 20.0}.get(request.commit, 100.0)
        return Sample(metrics={"ms": value}, seconds=1.0)


def by(rule: Rule) -> Program:
    wanted = program(max_experiments=2)
    return wanted.model_copy(update={"criteria": wanted.criteria.model_copy(update={"rule": rule})})


class _KilledError(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("boundary", range(16, 40))
@pytest.mark.parametrize("rule", list(Rule))
def test_a_run_killed_in_a_confirmation_goes_on_with_the_sample_it_was_at(rule: Rule, boundary: int) -> None:
    undisturbed, world = (World(by(rule), Carrying(lambda commit, count: 0.0)) for _ in range(2))
    state, left = undisturbed.run(), [boundary]
    assert state.recent[1].reason == Reason.WITHIN_NOISE and state.recent[2].reason == Reason.IMPROVED

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
    keys, whole = ([request.key for request in one.sampler.requests] for one in (world, undisturbed))
    assert keys == whole, "a sample that was journaled is not taken again"
    assert [row.model_copy(update={"seconds": None}) for row in world.state().recent] == [
        row.model_copy(update={"seconds": None}) for row in state.recent
    ]
    assert (world.state().head, world.state().pool) == (state.head, state.pool)


def test_samples_in_fresh_trees_have_seeds_of_their_own() -> None:
    world = World(by(Rule.PAIRED), Carrying(lambda commit, count: 0.0))
    world.run()
    alone = [request for request in world.sampler.requests if request.alone]
    assert len(alone) == 4 * PAIRS and all(request.fresh for request in alone)
    others = {request.seed for request in world.sampler.requests if not request.alone}
    assert len({request.seed for request in alone}) == 2 * PAIRS and not others & {request.seed for request in alone}
