"""The paired sequential test, by claims."""

import math
import subprocess
import sys
import time
from itertools import product

import numpy as np
import pytest

from autoloop.core.evidence.betting import LOG_BEST_BET, PairedRule, Shared, traces
from autoloop.core.evidence.noise import NoisePool, Scale, pseudo_median, spread
from autoloop.core.evidence.paired import confirmed, judge, judge_cases, to_continue
from autoloop.core.evidence.power import outcomes, resolvable

RULE = PairedRule()


def final(gains, *, sigma=1.0, df=9.0, rule=RULE, **more):
    """The judgement at which a loop would stop, and the pairs it took."""
    for n in range(1, len(gains) + 1):
        said = judge(gains[:n], sigma=sigma, df=df, rule=rule, **more)
        if said.verdict != "continue":
            break
    return said, n


@pytest.mark.parametrize("sigma, df", [(1.0, 9.0), (0.02, 3.0), (40.0, 60.0), (0.0, 0.0)])
def test_over_all_flips_of_the_coins_the_evidence_averages_to_one(sigma, df):
    sizes = np.array([0.3, 2.5, 0.0, 1.1, 8.0, 0.7, 1.9])
    flips = np.array(list(product([-1, 1], repeat=sizes.size)))
    evidence = np.exp(traces(flips * sizes, sigma=sigma, df=df, rule=PairedRule(min_gain=0.4)).evidence)
    assert evidence.mean(axis=0) == pytest.approx(1.0)


def test_over_all_flips_of_the_coins_at_most_alpha_is_ever_kept():
    sizes = np.array([1.0, 1.4, 0.2, 2.0, 0.9, 1.1, 3.0, 0.6, 1.2, 0.8, 1.0, 1.3])
    flips = np.array(list(product([-1, 1], repeat=sizes.size)))
    rule = PairedRule(alpha=0.05, beta=1e-9, max_pairs=sizes.size)
    assert 0 < outcomes(flips * sizes, sigma=1.0, df=9.0, rule=rule).kept.mean() <= rule.alpha


@pytest.mark.parametrize("noise", ["standard_normal", "standard_cauchy"])
def test_noise_alone_is_rarely_kept_and_soon_discarded(noise):
    gains = getattr(np.random.default_rng(11), noise)((4000, 16))
    end = outcomes(gains, sigma=1.5, df=9.0, rule=RULE)
    assert end.kept.mean() <= RULE.alpha and end.pairs.mean() <= 6


def test_a_change_for_the_worse_is_discarded_within_a_few_pairs():
    said, n = final([-2.0, -1.5, -2.2, -1.8])
    assert said.verdict == "discard" and n <= 3 and said.gain < 0 and said.high < 0.5


@pytest.mark.parametrize("loss", [-3.0, -50.0, -1e6])
def test_a_disaster_takes_two_pairs(loss):
    assert final([loss, loss + 0.5, loss - 0.5])[1] == 2


def test_a_clear_gain_is_kept_after_six_pairs_and_no_sooner():
    said, n = final([5.0, 5.5, 4.5, 5.2, 4.8, 5.1, 5.0])
    assert said.verdict == "keep" and n == math.ceil(math.log(1 / RULE.alpha) / math.log(2)) == 6
    assert said.low < 5 < said.high and 0.9 * said.gain < said.claimed <= said.gain


def test_no_pair_more_than_doubles_the_evidence():
    said, _ = final([1e6] * 5, rule=PairedRule(alpha=1e-6))
    steps = np.diff([0.0, *said.trace])
    assert (steps <= LOG_BEST_BET + 1e-12).all() and said.trace[-1] == said.log_evidence


@pytest.mark.parametrize("place", range(16))
@pytest.mark.parametrize("sigma", [0.0, 0.005, 0.05])
def test_one_outlier_is_never_a_keep(place, sigma):
    gains = [sigma * (-1) ** i for i in range(16)]
    gains[place] = 0.4
    assert final(gains, sigma=sigma)[0].verdict == "discard"


def test_a_tie_says_nothing():
    assert judge([0.0], sigma=1.0, df=9.0).log_evidence == 0.0


def test_a_gain_below_the_noise_threshold_is_not_kept():
    gains = [1.0, 1.1, 0.9, 1.0, 1.05, 0.95, 1.0, 1.02, 1.0, 0.98, 1.0, 1.1, 0.9, 1.0, 1.05, 0.95]
    assert final(gains, sigma=0.2)[0].verdict == "keep"
    said, _ = final(gains, sigma=0.2, rule=PairedRule(min_gain=2.0))
    assert said.verdict == "discard" and "ruled out" in said.reason


def test_pairs_stop_as_soon_as_a_keep_is_out_of_reach():
    said, n = final([0.0] * 16, sigma=1.0, rule=PairedRule(beta=1e-9, max_pairs=8))
    assert said.verdict == "discard" and n == 3 and "out of reach in 8" in said.reason


def test_a_decision_is_reached_by_max_pairs():
    rng = np.random.default_rng(3)
    assert all(final(rng.normal(0.8, 1, 16).tolist())[0].verdict != "continue" for _ in range(50))


def test_judge_is_what_the_vectorised_outcomes_say():
    rng = np.random.default_rng(4)
    for m in (0.0, 0.5) * 40:
        rule, gains = PairedRule(min_gain=m), rng.normal(rng.choice([0, 1, 2]), 1.3, 16)
        said, n = final(gains.tolist(), rule=rule)
        end = outcomes(gains[None], sigma=1.0, df=9.0, rule=rule)
        assert (n, said.verdict == "keep") == (end.pairs[0], end.kept[0])
        assert [said.gain, said.claimed, said.log_evidence] == pytest.approx(
            [end.gain[0], end.claimed[0], end.log_evidence[0]]
        )


def test_a_bet_never_looks_at_its_own_pair_or_later_ones():
    gains = np.array([0.5, 1.0, -0.2, 2.0, 1.1])
    whole = traces(gains, sigma=1.0, df=9.0, rule=RULE).evidence
    part = traces(gains[:3], sigma=1.0, df=9.0, rule=RULE).evidence
    assert whole[:3].tolist() == part.tolist()


def test_without_pairs_there_is_nothing_to_say():
    assert judge([], sigma=1.0, df=9.0).verdict == "continue"


def test_a_metric_without_spread_needs_one_pair_to_discard_and_two_to_keep():
    assert final([0.0], sigma=0.0)[1] == 1 and final([-0.1], sigma=0.0)[0].verdict == "discard"
    said, n = final([0.1, 0.1], sigma=0.0)
    assert (said.verdict, n, said.claimed) == ("keep", 2, 0.1) and said.log_evidence >= math.log(50)


def test_a_flip_demotes_a_metric_that_looked_exact():
    said, n = final([0.1, 0.11, 0.0, 0.1, 0.0, -0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], sigma=0.0)
    assert said.verdict == "discard" and n > 2


@pytest.mark.parametrize("share", [0.02, 0.05, 0.17, 0.4])
def test_a_metric_that_flips_now_and_then_is_not_kept_for_it(share):
    rng, kept = np.random.default_rng(5), 0
    for _ in range(400):
        moves = 0.1 * rng.choice([-1, 0, 1], p=[share / 2, 1 - share, share / 2], size=26)
        pool = NoisePool(moves[:10].tolist())
        kept += final(moves[10:].tolist(), sigma=pool.sigma, df=pool.df)[0].verdict == "keep"
    assert kept / 400 <= RULE.alpha


def test_without_any_calibration_the_pairs_speak_for_their_own_noise():
    said, n = final([1.0, 1.3, 0.8, 1.1, 0.9, 1.2, 1.0, 1.1, 0.9, 1.0], sigma=0.0, df=0.0)
    assert said.verdict == "keep" and n == 9


def test_a_shared_baseline_discards_sooner_and_never_keeps():
    gains = [0.3, -0.4, 0.2, -0.1, 0.3, 0.0, -0.2, 0.1, 0.2, -0.1, 0.0, 0.1, -0.3, 0.2, 0.0, 0.1]

    def ended(level):
        for n in range(1, 17):
            said = judge(gains[:n], sigma=1.0, df=30, shared=Shared(np.full(n, level), stored=20.0))
            if said.verdict != "continue":
                return said, n
        raise AssertionError("no decision")

    assert ended(0.0)[1] < final(gains, df=30)[1]
    assert ended(9.0)[0].verdict == "discard"


def test_the_noise_pool_is_rebuilt_from_the_journaled_gains():
    rng = np.random.default_rng(6)
    sequences = [rng.normal(i, 2.0, 5).tolist() for i in range(30)]
    pool, again = NoisePool(sequences[0]), NoisePool(sequences[0])
    for gains in sequences[1:]:
        pool.add(gains)
    for gains in sequences[1:]:
        again.add(gains)
    assert (pool.sigma, pool.df) == (again.sigma, again.df) and pool.sigma == pytest.approx(2.0, rel=0.25)
    assert pool.df == pytest.approx(48)


def test_neither_a_gain_nor_a_slot_bias_is_noise():
    pool = NoisePool([1.0, 1.0, 1.0])
    pool.add([5.0, 5.0])
    pool.add([7.0])
    assert pool.sigma == 0.0 and pool.df == pytest.approx(3.0)


def test_a_lone_outlier_hardly_widens_the_noise():
    quiet = np.random.default_rng(7).standard_normal(20).tolist()
    assert NoisePool([*quiet, 40.0]).sigma < 1.5 * NoisePool(quiet).sigma


def test_a_quantised_metric_keeps_its_spread():
    assert float(spread(np.array([0.0] * 9 + [1.0]), 10)) == pytest.approx(math.sqrt(0.1))


def test_the_hodges_lehmann_gain_ignores_a_wild_pair():
    assert float(pseudo_median([1.0, 1.0, 1.0, 1.0, 900.0])) == 1.0


def test_a_pair_means_the_opposite_when_its_arms_are_swapped():
    for scale in (Scale.of([2.0, 3.0], "lower"), Scale.of([-1.0, 2.0], "higher"), Scale.of([0.0], "lower")):
        for a, b in ((2.0, 3.0), (0.0, 1.5), (-1.0, 4.0)):
            assert scale.gain(a, b) == -scale.gain(b, a)


def test_positive_metrics_gain_in_logs_and_are_told_in_fractions():
    scale = Scale.of([100.0, 101.0, 99.0], "lower")
    assert scale.logarithmic and scale.fraction(scale.gain(100.0, 90.0)) == pytest.approx(0.10)
    assert scale.from_fraction(0.10) == pytest.approx(scale.gain(100.0, 90.0))
    higher = Scale.of([50.0], "higher")
    assert higher.fraction(higher.gain(50.0, 60.0)) == pytest.approx(0.20)


def test_a_metric_that_can_be_negative_gains_relative_to_its_original_median():
    scale = Scale.of([-4.0, -5.0, 1.0], "higher")
    assert not scale.logarithmic and scale.gain(-4.0, -3.0) == pytest.approx(0.25)


def test_a_zero_on_a_logarithmic_scale_is_large_but_finite():
    assert Scale.of([2.0], "lower").gain(2.0, 0.0) == 1.0


def suite(rng, rates):
    return {f"case{i}": int(rng.random() < rate) for i, rate in enumerate(rates)}


def judged_cases(rng, before, after, pairs=16):
    baseline, candidate = [], []
    for _ in range(pairs):
        baseline.append(suite(rng, before))
        candidate.append(suite(rng, after))
        said = judge_cases(baseline, candidate)
        if said.verdict != "continue":
            break
    return said


def test_cases_that_flip_at_random_are_not_kept():
    rng, rates = np.random.default_rng(8), np.linspace(0.1, 0.9, 50)
    assert sum(judged_cases(rng, rates, rates).verdict == "keep" for _ in range(150)) <= 3


def test_fixed_cases_are_kept():
    rng, before = np.random.default_rng(9), np.linspace(0.2, 0.8, 50)
    after = np.where(np.arange(50) < 15, 0.95, before)
    said = [judged_cases(rng, before, after) for _ in range(20)]
    assert sum(j.verdict == "keep" for j in said) >= 18
    assert np.median([j.claimed for j in said]) == pytest.approx((after.sum() - before.sum()) / before.sum(), rel=0.15)


def test_one_run_in_which_everything_failed_is_no_evidence():
    up, down = {f"c{i}": 1 for i in range(40)}, {f"c{i}": 0 for i in range(40)}
    said = judge_cases([up, down, up], [up, up, up])
    assert said.log_evidence <= LOG_BEST_BET


def test_cases_that_never_flip_are_discarded_after_one_pair():
    said = judge_cases([{"a": 1, "b": 0}], [{"a": 1, "b": 0}])
    assert said.verdict == "discard" and said.gain == 0.0


def test_only_cases_that_both_arms_ran_count():
    assert judge_cases([{"a": 1, "gone": 0}], [{"a": 1, "new": 1}]).verdict == "discard"


def test_confirmation_asks_more_of_a_lone_keep_than_of_many():
    e = math.log(400.0)
    assert confirmed([e], experiments=100) == [False]
    assert confirmed([e, e, e], experiments=100) == [True, True, True]
    assert confirmed([math.log(1001.0), 0.0], experiments=100) == [True, False]
    assert confirmed([], experiments=10) == []


def test_the_most_promising_provisional_keep_is_continued_until_nothing_is_left():
    sure, near, far, lost = math.log(1e6), math.log(300.0), math.log(60.0), -0.1
    assert to_continue([far, near, sure, lost], [9, 9, 9, 9], experiments=100) == 1
    assert to_continue([far, near, sure, lost], [9, 60, 9, 9], experiments=100) == 0
    assert to_continue([sure, lost], [9, 9], experiments=100) is None


def test_what_is_resolvable_grows_with_the_noise_and_with_fewer_pairs():
    assert 1.2 < resolvable(1.0) < 1.7
    assert resolvable(2.0) == pytest.approx(2 * resolvable(1.0), rel=0.02)
    assert resolvable(1.0, PairedRule(max_pairs=8)) > resolvable(1.0)
    assert resolvable(0.0, PairedRule(min_gain=0.02)) == 0.02
    assert math.isinf(resolvable(1.0, PairedRule(max_pairs=5)))


def test_judging_sixteen_pairs_takes_less_than_two_milliseconds():
    gains = np.random.default_rng(10).standard_normal(16).tolist()
    seconds = []
    for _ in range(50):
        started = time.perf_counter()
        judge(gains, sigma=1.0, df=9.0)
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 0.002


def test_the_rest_of_the_core_does_not_need_numpy():
    code = "import sys, autoloop.core.run.decision, autoloop.core.evidence; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
