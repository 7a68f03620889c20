"""What the statistics of suites promise, played: `python -m benchmarks.suite_statistics [--quick]`.

How often no difference is called one, how often a difference is found, whether what is said of more trials comes true,
how often intervals hold the truth, and what a summary of 5,000 trials takes.
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import cache
from math import comb

import numpy as np
from numpy.typing import NDArray

from autoloop.core.evidence.comparison import Difference
from autoloop.core.evidence.trial_power import difference_shown, flips_needed
from autoloop.core.evidence.trials import paired_interval, wilson
from autoloop.core.suite.contrast import Contrast, contrast
from autoloop.core.suite.events import BenchStarted, TrialEnded
from autoloop.core.suite.nights import TrendDirection, trend_of
from autoloop.core.suite.plan import ArmPlan, BenchPlan, TaskPlan
from autoloop.core.suite.state import BenchState, replay
from autoloop.core.suite.summary import metrics_line, summarise
from autoloop.core.suite.tasks import Outcome, TrialKey, TrialResult

ALPHA = 0.02
Floats = NDArray[np.float64]
Results = dict[TrialKey, TrialResult]
Draw = Callable[[np.random.Generator], Contrast]


@cache
def key(arm: str, task: int, iteration: int, attempt: int) -> TrialKey:
    return TrialKey(arm=arm, iteration=iteration, task=f"task-{task}", attempt=attempt)


@cache
def result(reward: float) -> TrialResult:
    outcome = Outcome.PASS if reward == 1 else Outcome.FAIL
    return TrialResult(outcome=outcome, reward=reward, started=0.0, seconds=1.0)


def side(rng: np.random.Generator, arm: str, chances: Floats, attempts: int = 1, iteration: int = 1) -> Results:
    passed = rng.random((chances.size, attempts)) < chances[:, None]
    return {
        key(arm, task, iteration, attempt + 1): result(float(passed[task, attempt]))
        for task in range(chances.size)
        for attempt in range(attempts)
    }


def graded(rng: np.random.Generator, arm: str, centre: Floats) -> Results:
    rewards = np.clip(centre + rng.normal(0, 0.15, centre.size), 0, 1).round(2)
    return {key(arm, task, 1, 1): result(float(reward)) for task, reward in enumerate(rewards)}


def arms(a: Floats, b: Floats, attempts: tuple[int, int] = (1, 1)) -> Draw:
    return lambda rng: contrast(side(rng, "a", a, attempts[0]), side(rng, "b", b, attempts[1]))


def looked_at_ten_times(rng: np.random.Generator) -> Contrast:
    """One iteration after the other; the first verdict stands."""
    a: Results = {}
    b: Results = {}
    seen = contrast(a, b)
    for iteration in range(1, 11):
        a |= side(rng, "a", MIXED, iteration=iteration)
        b |= side(rng, "b", MIXED, iteration=iteration)
        seen = contrast(a, b)
        if seen.verdict is not Difference.NOISE:
            break
    return seen


MIXED = np.repeat([0.02, 0.5, 0.98], 20)
STEPS = np.array([0.1, 0.4, 0.6, 0.9])
CENTRES = np.linspace(0.1, 0.9, 60)
HALVES = np.repeat([0.3, 0.7], 30)
NOTHING: dict[str, Draw] = {
    "60 tasks alike, 50 %": arms(np.full(60, 0.5), np.full(60, 0.5)),
    "60 tasks of 2, 50 and 98 %": arms(MIXED, MIXED),
    "60 hard tasks, 5 %": arms(np.full(60, 0.05), np.full(60, 0.05)),
    "4 tasks of 10 to 90 %, 15 attempts": arms(STEPS, STEPS, (15, 15)),
    "60 tasks, 15 %, 7 attempts against 2": arms(np.full(60, 0.15), np.full(60, 0.15), (7, 2)),
    "500 tasks alike, 50 %": arms(np.full(500, 0.5), np.full(500, 0.5)),
    "better on 30 tasks, as much worse on 30": arms(HALVES, HALVES[::-1]),
    "60 tasks with partial credit": lambda rng: contrast(graded(rng, "a", CENTRES), graded(rng, "b", CENTRES)),
    "looked at after each of 10 iterations": looked_at_ten_times,
}

THERE = [(30, 0.3, 0.6), (30, 0.2, 0.9), (100, 0.4, 0.6), (100, 0.2, 0.4), (400, 0.5, 0.6), (2000, 0.5, 0.55)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run of some seconds")
    parser.add_argument("--seed", type=int, default=19_770_525)
    options = parser.parse_args()
    times = 60 if options.quick else 2000
    good = nothing_is_rarely_something(times, options.seed)
    what_is_there_is_found(max(40, times // 5), options.seed)
    what_is_said_comes_true(max(40, times // 5), options.seed)
    intervals_hold_the_truth(times, options.seed)
    trends(times, options.seed)
    good &= summaries()
    return 0 if good else 1


def nothing_is_rarely_something(times: int, seed: int) -> bool:
    print(f"no difference, {times:,} contrasts each: called one (alpha {ALPHA:.0%})")
    good = True
    for name, draw in NOTHING.items():
        rng = np.random.default_rng(seed)
        plays = times // 10 if draw is looked_at_ten_times else times
        share = np.mean([draw(rng).verdict is not Difference.NOISE for _ in range(plays)])
        good &= bool(share <= ALPHA) or times < 1000
        print(f"  {name:<42} {share:7.2%}")
    return good


def what_is_there_is_found(times: int, seed: int) -> None:
    print(f"\na difference, {times:,} contrasts each: found; by an exact sign test that may look once")
    for n, a, b in THERE:
        rng = np.random.default_rng(seed)
        seen = [arms(np.full(n, a), np.full(n, b))(rng) for _ in range(times)]
        found = np.mean([one.verdict is Difference.BETTER for one in seen])
        wrong = np.mean([one.verdict is Difference.WORSE for one in seen])
        once = np.mean([one.for_b > one.for_a and sign_test(one.for_b, one.for_a) <= ALPHA for one in seen])
        print(f"  {n:5} pairs, {a:.0%} against {b:.0%}: {found:6.1%}  {once:6.1%}  the wrong way {wrong:.1%}")


def sign_test(wins: int, losses: int) -> float:
    flips = wins + losses
    return min(1.0, 2 * sum(comb(flips, k) for k in range(max(wins, losses), flips + 1)) / (1 << flips))


def what_is_said_comes_true(times: int, seed: int) -> None:
    print(f"\nwith what is said to be shown, and to be needed, {times:,} contrasts each: found")
    for n, base in ((50, 0.4), (200, 0.3), (1000, 0.6)):
        rng = np.random.default_rng(seed)
        shown = consistent(n, base)
        found = np.mean(
            [arms(np.full(n, base), np.full(n, base + shown))(rng).verdict is Difference.BETTER for _ in range(times)]
        )
        print(f"  {n:5} pairs, {base:.0%} against {base + shown:.1%}: {found:6.1%}")
    for a, b in ((0.4, 0.7), (0.5, 0.6), (0.1, 0.2)):
        rng = np.random.default_rng(seed)
        up, down = (1 - a) * b, a * (1 - b)
        flips = flips_needed(up / (up + down), ALPHA) or 0
        n = round(flips / (up + down))
        found = np.mean([arms(np.full(n, a), np.full(n, b))(rng).verdict is Difference.BETTER for _ in range(times)])
        print(f"  {a:.0%} against {b:.0%}: {n:,} pairs needed: {found:6.1%}")


def consistent(n: int, base: float) -> float:
    """The difference that is shown when as many pairs flip as that difference brings."""
    low, high = 0.0, 1.0 - base
    for _ in range(20):
        middle = (low + high) / 2
        flips = round(n * (base * (1 - base - middle) + (1 - base) * (base + middle)))
        shown = difference_shown(flips, n, ALPHA)
        low, high = (middle, high) if shown is None or shown > middle else (low, middle)
    return float(high)


def intervals_hold_the_truth(times: int, seed: int) -> None:
    print("\nintervals of 95 %: hold the truth")
    rng = np.random.default_rng(seed)
    kinds = {"alike, 30 %": np.full(60, 0.3), "of 2, 50 and 98 %": MIXED, "hard, 2 %": np.full(60, 0.02)}
    for name, chances in kinds.items():
        passes = (rng.random((times, 60)) < chances).sum(axis=1)
        held = np.mean([low <= chances.mean() <= high for low, high in (wilson(int(one), 60) for one in passes)])
        print(f"  pass rate of 60 tasks {name:<22} {held:6.1%}")
    for n, shares in ((40, (0.3, 0.1, 0.2, 0.4)), (200, (0.6, 0.02, 0.05, 0.33)), (30, (0.9, 0.0, 0.1, 0.0))):
        drawn = rng.multinomial(n, shares, times)
        both = [paired_interval(*map(int, row)) for row in drawn]
        held = np.mean([one.low <= shares[2] - shares[1] <= one.high for one in both])
        print(f"  difference of {n} pairs, {shares[1]:.0%} and {shares[2]:.0%} flip{'':<10} {held:6.1%}")


def trends(times: int, seed: int) -> None:
    print(f"\ntrends of 14 nights with 50 tasks (alpha {ALPHA:.0%}): called one")
    rng = np.random.default_rng(seed)
    for first, last in ((0.5, 0.5), (0.05, 0.05), (0.4, 0.5), (0.4, 0.6), (0.4, 0.7)):
        nights = rng.binomial(50, np.linspace(first, last, 14), (times, 14)) / 50
        called = np.mean([trend_of(row).direction is not TrendDirection.NOISE for row in nights.tolist()])
        print(f"  {first:.0%} to {last:.0%}: {called:6.1%}")


def summaries() -> bool:
    state = bench_of_5000()
    began = time.perf_counter()
    summarise(state)
    whole = time.perf_counter() - began
    began = time.perf_counter()
    metrics_line(state, "a")
    line = time.perf_counter() - began
    began = time.perf_counter()
    contrast(state.of(arm="a"), state.of(arm="b"))
    pairs = time.perf_counter() - began
    print(f"\n5,000 trials: summary {whole:.2f} s, at most 2; metrics {line:.2f} s; contrast of the arms {pairs:.2f} s")
    return whole <= 2


def bench_of_5000() -> BenchState:
    tasks = tuple(TaskPlan(id=f"task-{n}", group=f"level-{n % 5}") for n in range(250))
    both = (ArmPlan(name="a", profile="mine"), ArmPlan(name="b", profile="other"))
    plan = BenchPlan(arms=both, tasks=tasks, iterations=5, attempts=2)
    began = BenchStarted(at=1.0, bench_id="b", suite="s", suite_path="/s", suite_version="1", plan=plan)
    rng = np.random.default_rng(1)
    return replay(
        [began, *(TrialEnded(at=2.0, key=one, result=result(float(rng.random() < 0.5))) for one in plan.trials())]
    )


if __name__ == "__main__":
    sys.exit(main())
