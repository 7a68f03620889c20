"""Two sides of a suite: better, worse, or noise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoloop.core.evidence.comparison import Difference
from autoloop.core.evidence.trial_power import fewest_flips, flips_needed, share_shown
from autoloop.core.evidence.trials import paired_interval
from autoloop.core.suite.contrast import Contrast, contrast, delta, pairs_of
from autoloop.core.suite.plan import ArmPlan
from autoloop.core.suite.tasks import TrialKey, TrialResult
from tests.suites.benches import key, plan, result, trials

BETTER, WORSE, NOISE = Difference.BETTER, Difference.WORSE, Difference.NOISE


def words(passes: "np.ndarray[tuple[int, int], np.dtype[np.bool_]]") -> dict[str, str]:
    """A row a task, a column an attempt."""
    return {f"t{task}": "".join("p" if passed else "f" for passed in row) for task, row in enumerate(passes)}


def sides(rng: np.random.Generator, a: list[float], b: list[float], attempts: int = 1) -> Contrast:
    """Two arms whose tasks pass with these probabilities."""
    draws = [rng.random((len(a), attempts)) < np.array(side)[:, None] for side in (a, b)]
    return contrast(trials(words(draws[0])), trials(words(draws[1]), arm="b"))


def test_a_pair_is_the_same_task_iteration_and_attempt_where_both_count() -> None:
    a = {**trials({"t1": "pfe", "t2": "p"}), **trials({"t1": "p"}, iteration=2)}
    b = {**trials({"t1": "ppp", "t3": "p"}, arm="b"), **trials({"t1": "u"}, arm="b", iteration=2)}
    assert {(pair.task, pair.place) for pair in pairs_of(a, b)} == {("t1", (1, 1)), ("t1", (1, 2))}
    assert contrast(a, b).unpaired == 4


def test_episodes_are_paired_by_attempt() -> None:
    one, two = trials({"t1": "pff", "t2": "p"}), trials({"t1": "pp", "t2": "e"}, iteration=2)
    assert sorted(pair.gain for pair in pairs_of(one, two)) == [0.0, 1.0]


def test_trials_without_common_attempts_are_paired_in_their_order() -> None:
    early = {**trials({"t1": "p"}), **trials({"t1": "f"}, iteration=2)}
    late = {**trials({"t1": "f"}, iteration=3), **trials({"t1": "f"}, iteration=4), **trials({"t1": "p"}, iteration=5)}
    assert sorted(pair.gain for pair in pairs_of(early, late)) == [-1.0, 0.0]


def test_the_order_of_the_pairs_is_neither_the_suites_nor_chosen_by_results() -> None:
    tasks = [f"t{number:03}" for number in range(60)]
    one = [
        pair.task for pair in pairs_of(trials(dict.fromkeys(tasks, "p")), trials(dict.fromkeys(tasks, "f"), arm="b"))
    ]
    other = [
        pair.task
        for pair in pairs_of(trials(dict.fromkeys(reversed(tasks), "f")), trials(dict.fromkeys(tasks, "f"), arm="b"))
    ]
    assert one == other != tasks
    assert sorted(one) == tasks


@pytest.mark.parametrize("flips", [1, 3, 5])
def test_a_few_flips_are_no_regression(flips: int) -> None:
    before = {f"t{number}": "p" for number in range(40)}
    now = {task: "f" if number < flips else "p" for number, task in enumerate(before)}
    change = delta(trials(before), trials(now, iteration=2))
    assert (change.verdict, len(change.broken), len(change.unchanged)) == (NOISE, flips, 40 - flips)
    assert change.fixed == change.not_compared == ()
    assert change.sentence.startswith("noise: now ")


def test_a_delta_names_what_was_fixed_and_what_broke() -> None:
    before = trials({"up": "ffp", "down": "p", "same": "pp", "gone": "p", "errs": "p"})
    now = trials({"up": "ppf", "down": "t", "same": "pf" + "p", "errs": "e", "new": "p"}, iteration=2)
    change = delta(before, now)
    assert (change.fixed, change.broken, change.unchanged) == (("up",), ("down",), ("same",))
    assert change.not_compared == ("errs", "gone", "new")


def test_many_flips_one_way_are_a_verdict_and_say_which_tasks() -> None:
    before = {f"t{number}": "p" for number in range(40)}
    now = {task: "f" if number < 12 else "p" for number, task in enumerate(before)}
    seen = contrast(trials(before), trials(now, arm="b"), names=("mine", "other"))
    assert (seen.verdict, seen.for_a, seen.for_b, seen.more_pairs) == (WORSE, 12, 0, None)
    assert {flip.task for flip in seen.flips} == {f"t{number}" for number in range(12)}
    assert seen.log_evidence >= seen.log_needed
    assert seen.sentence().startswith(
        "other is worse than mine on these tasks: other 70 % against mine 100 % of 40 pairs"
    )


def test_nothing_in_common_is_noise_and_says_why() -> None:
    seen = contrast(trials({"t1": "p"}), trials({"t2": "p", "t1": "e"}, arm="b"))
    assert (seen.verdict, seen.pairs, seen.difference, seen.shown) == (NOISE, 0, None, None)
    assert seen.sentence() == "nothing to compare: no task has a trial that counts of both A and B"


def test_the_validation_of_a_share_of_the_tasks_is_the_same_contrast() -> None:
    arms = (ArmPlan(name="a", profile="x"), ArmPlan(name="v", profile="strong", share=0.5))
    of = plan([f"t{number}" for number in range(40)]).model_copy(update={"arms": arms})
    ended = {which: result("pass" if which.arm == "v" else "fail") for which in of.trials()}
    seen = contrast(*({k: r for k, r in ended.items() if k.arm == arm} for arm in ("a", "v")))
    assert (seen.pairs, seen.unpaired, seen.verdict) == (20, 20, BETTER)


@given(st.lists(st.sampled_from(["pp", "pf", "fp", "ff", "tp", "ep"]), min_size=1, max_size=40))
@settings(max_examples=40, deadline=None)
def test_swapping_the_sides_swaps_the_verdict(outcomes: list[str]) -> None:
    a = trials({f"t{number}": word[0] for number, word in enumerate(outcomes)})
    b = trials({f"t{number}": word[1] for number, word in enumerate(outcomes)}, arm="b")
    there, back = contrast(a, b), contrast(b, a)
    mirrored = {BETTER: WORSE, WORSE: BETTER, NOISE: NOISE}
    assert back.verdict is mirrored[there.verdict]
    if there.difference is not None and there.low is not None and there.high is not None:
        assert (back.difference, back.low, back.high) == pytest.approx((-there.difference, -there.high, -there.low))
    assert back.log_evidence == pytest.approx(there.log_evidence)


def test_partial_credit_is_judged_by_how_much() -> None:
    def graded(rewards: "np.ndarray[tuple[int], np.dtype[np.float64]]", arm: str) -> dict[TrialKey, TrialResult]:
        return {key(f"t{n}", arm): result("fail", reward=float(r)) for n, r in enumerate(rewards)}

    rng = np.random.default_rng(3)
    base = rng.uniform(0.1, 0.6, 40)
    up = contrast(graded(base, "a"), graded(base + rng.uniform(0.05, 0.3, 40), "b"))
    assert (up.verdict, up.partial_credit, up.a.passed) == (BETTER, True, 0)
    assert up.low is not None and up.low > 0
    same = contrast(graded(base, "a"), graded(rng.permutation(base), "b"))
    assert same.verdict is NOISE
    assert same.shown is not None and 0 < same.shown < 1


TASKS_OF_ALL_KINDS = {
    "alike": [0.5] * 60,
    "very different": [0.02] * 20 + [0.5] * 20 + [0.98] * 20,
    "hard": [0.05] * 60,
    "few, tried often": [0.1, 0.4, 0.6, 0.9],
}


@pytest.mark.parametrize("tasks", TASKS_OF_ALL_KINDS.values(), ids=TASKS_OF_ALL_KINDS)
def test_no_difference_is_rarely_called_one(tasks: list[float]) -> None:
    rng, attempts = np.random.default_rng(4), 1 if len(tasks) > 10 else 15
    called = sum(sides(rng, tasks, tasks, attempts).verdict is not NOISE for _ in range(100))
    assert called / 100 <= 0.02, "the alpha of the test; it is far below it"


def test_looking_after_every_iteration_finds_no_difference_that_is_not_there() -> None:
    rng, called = np.random.default_rng(8), 0
    for _ in range(20):
        a: dict[TrialKey, TrialResult] = {}
        b: dict[TrialKey, TrialResult] = {}
        verdicts = set()
        for iteration in range(1, 7):
            a |= trials(words(rng.random((30, 1)) < 0.5), iteration=iteration)
            b |= trials(words(rng.random((30, 1)) < 0.5), "b", iteration)
            verdicts.add(contrast(a, b).verdict)
        called += verdicts != {NOISE}
    assert called <= 1


def test_a_verdict_stands_when_trials_are_added() -> None:
    a = trials({f"t{number}": "f" for number in range(20)})
    b = trials({f"t{number}": "p" for number in range(20)}, arm="b")
    more_a = a | trials({f"t{number}": "p" if number < 9 else "f" for number in range(20)}, iteration=2)
    more_b = b | trials({f"t{number}": "f" for number in range(20)}, "b", 2)
    assert contrast(a, b).verdict is contrast(more_a, more_b).verdict is BETTER


def test_more_trials_for_one_side_are_no_advantage() -> None:
    rng = np.random.default_rng(5)
    called = 0
    for _ in range(50):
        few, many = rng.random((60, 2)) < 0.15, rng.random((60, 7)) < 0.15
        called += contrast(trials(words(many)), trials(words(few), arm="b")).verdict is not NOISE
    assert called / 50 <= 0.02


def test_a_difference_that_is_there_is_found_as_often_as_was_said() -> None:
    rng = np.random.default_rng(6)
    first = next(seen for seen in (sides(rng, [0.4] * 60, [0.6] * 60) for _ in range(99)) if seen.verdict is NOISE)
    assert first.shown is not None
    found = [sides(rng, [0.4] * 60, [0.4 + first.shown] * 60).verdict is BETTER for _ in range(60)]
    assert np.mean(found) >= 0.75, "9 of 10 if as many pairs flip as in the first"


def test_a_verdict_takes_as_many_flips_as_are_said() -> None:
    fewest = fewest_flips(0.02)
    assert fewest == 9
    for flips, verdict in ((fewest - 1, NOISE), (fewest, BETTER)):
        tasks = {f"t{number}": "f" for number in range(flips)}
        assert contrast(trials(tasks), trials(dict.fromkeys(tasks, "p"), arm="b")).verdict is verdict
    assert flips_needed(1.0, 0.02) == fewest
    needed = [flips_needed(share, 0.02) for share in (0.95, 0.8, 0.65, 0.55)]
    assert needed == sorted(needed, key=lambda flips: flips or 0) and None not in needed
    assert flips_needed(0.5, 0.02) is None, "no number of trials shows what is not there"
    assert share_shown(8, 0.02) is None


def test_noise_says_how_many_more_trials_a_verdict_would_take() -> None:
    a = trials({f"t{number}": "p" if number < 20 else "f" for number in range(50)})
    b = trials({f"t{number}": "p" if number >= 14 and number < 40 else "f" for number in range(50)}, arm="b")
    seen = contrast(a, b)
    assert (seen.verdict, seen.for_a, seen.for_b) == (NOISE, 14, 20)
    needed = flips_needed(20 / 34, 0.02)
    assert needed is not None and seen.more_pairs == pytest.approx(needed * 50 / 34 - 50, abs=1)
    assert "more pairs" in seen.sentence()


@pytest.mark.parametrize(
    ("both", "only_a", "only_b", "neither"), [(20, 5, 15, 60), (0, 0, 10, 20), (30, 0, 0, 0), (1, 12, 2, 36)]
)
def test_the_interval_of_paired_rates_holds_the_difference(both: int, only_a: int, only_b: int, neither: int) -> None:
    interval = paired_interval(both, only_a, only_b, neither)
    difference = (only_b - only_a) / (both + only_a + only_b + neither)
    assert -1 <= interval.low <= difference <= interval.high <= 1


def test_the_interval_of_paired_rates_covers_the_truth() -> None:
    rng = np.random.default_rng(7)
    shares = np.array([0.3, 0.05, 0.15, 0.5])
    intervals = [paired_interval(*map(int, rng.multinomial(80, shares))) for _ in range(1000)]
    assert np.mean([one.low <= 0.1 <= one.high for one in intervals]) == pytest.approx(0.95, abs=0.02)


def test_pairs_of_partial_credit_that_never_differ_leave_room_for_a_difference() -> None:
    half = {key(f"t{number}"): result("fail", reward=0.5) for number in range(9)}
    seen = contrast(half, half)
    assert seen.difference == 0 and seen.low is not None and seen.high is not None
    assert seen.low < -0.2 and seen.high > 0.2, "nine pairs do not say that there is none"
