"""The real loop on a noisy machine whose truth is known: `python -m benchmarks.closed_loop [--campaigns N] [--quick]`.

Each campaign is a run as people start it, with a repository, trees, `measure.sh` processes and a scripted agent.
Of its 200 changes 70 % do nothing to the number, 20 % take 1 to 8 % off it and 10 % add as much. The measurement
varies by 3 % from sample to sample, and swings by another 3 % as time goes by.
"""

import argparse
import math
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context

from autoloop.core.run.night import Confidence
from benchmarks.bounds import Bound
from benchmarks.known_truth import RULES, Campaign, Keep, campaign

EXPERIMENTS = 200


def claimed_over_true(played: list[Campaign]) -> float:
    keeps = [keep for one in played for keep in one.keeps]
    gained = sum(keep.effect for keep in keeps)
    return sum(keep.claimed for keep in keeps) / gained if gained > 0 else math.nan


def share(part: int, whole: int) -> str:
    return f"{part} of {whole}" + (f", {100 * part / whole:.1f} %" if whole else "")


def kept_of(played: list[Campaign], low: float, high: float) -> str:
    """Keeps among the changes whose effect is at least `low` and below `high`."""
    proposed = sum(low <= effect < high for one in played for effect in one.effects)
    return share(sum(low <= keep.effect < high for one in played for keep in one.keeps), proposed)


def false_of(keeps: list[Keep]) -> str:
    return share(sum(keep.effect <= 0 for keep in keeps), len(keeps))


def rows(played: list[Campaign]) -> Iterator[tuple[str, str]]:
    n, sessions = len(played), sum(len(one.effects) for one in played)
    checked = [(one.true_gain, one.verified) for one in played if one.verified]
    yield "changes without effect that were kept", kept_of(played, 0, 1e-9)
    yield "harms that were kept", kept_of(played, -1, 0)
    for low, high in ((1, 3), (3, 6), (6, 8.01)):
        found = kept_of(played, -math.log1p(-low / 100), -math.log1p(-high / 100))
        yield f"gains of {low} to {high:.0f} % that were kept", found
    yield "claimed / true gain of the keeps", f"{claimed_over_true(played):.2f}"
    yield "true gain at the end of a campaign", f"{-100 * math.expm1(-sum(one.true_gain for one in played) / n):.1f} %"
    keeps = [keep for one in played for keep in one.keeps]
    yield "all keeps: of these false", false_of(keeps)
    if checked:
        for confidence in Confidence:
            yield f"{confidence}: of these false", false_of([keep for keep in keeps if keep.confidence is confidence])
        ratio = sum(seen[0] for _, seen in checked) / sum(truth for truth, _ in checked)
        held = sum(seen[1] <= truth <= seen[2] for truth, seen in checked)
        yield "verified / true gain", f"{ratio:.2f}"
        yield "truth within the verification's interval", f"{held} of {len(checked)}"
    yield "samples an experiment, everything included", f"{sum(one.samples for one in played) / sessions:.1f}"
    yield "seconds a campaign", f"{sum(one.seconds for one in played) / n:.0f}"


def bounds(played: list[Campaign]) -> list[Bound]:
    """What the paired rule must reach."""
    nothings = sum(effect == 0 for one in played for effect in one.effects)
    keeps = [keep for one in played for keep in one.keeps]
    sure = [keep for keep in keeps if keep.confidence is Confidence.CONFIRMED]
    claims = claimed_over_true(played)
    return [
        Bound("paired: changes without effect kept, %", 100 * sum(k.effect == 0 for k in keeps) / nothings, 2.0),
        Bound("paired: claimed / true, at least", claims, 0.9, at_least=True),
        Bound("paired: claimed / true, at most", claims, 1.1),
        Bound("paired: confirmed that are false, %", 100 * sum(k.effect <= 0 for k in sure) / max(len(sure), 1), 10.0),
    ]


def print_table(played: Mapping[str, list[Campaign]]) -> None:
    columns = [dict(rows(of_rule)) for of_rule in played.values()]
    print(f"| | {' | '.join(played)} |\n|---|{'---|' * len(played)}")
    for name in dict.fromkeys(name for column in columns for name in column):
        print(f"| {name} | {' | '.join(column.get(name, '') for column in columns)} |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--campaigns", type=int, default=10, help="of each rule")
    parser.add_argument("--seed", type=int, default=19_770_525)
    parser.add_argument("--quick", action="store_true", help="a smoke run: one short campaign of each rule")
    options = parser.parse_args()
    campaigns, experiments = (1, 20) if options.quick else (options.campaigns, EXPERIMENTS)
    began = time.perf_counter()
    done: list[Campaign] = []
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        plan = [(rule, options.seed + i, experiments) for rule, i in product(RULES, range(campaigns))]
        for one in pool.map(campaign, *zip(*plan, strict=True)):
            done.append(one)
            print(f"{len(done)} of {len(plan)}: {one.rule}, {one.seconds:.0f} s", file=sys.stderr)
    played = {rule: [one for one in done if one.rule == rule] for rule in RULES}
    print(f"{campaigns} campaigns of {experiments} experiments\n")
    print_table(played)
    print()
    reached = bounds(played["paired"])
    print("\n".join(map(str, reached)))
    misses = sum(not bound.holds for bound in reached)
    if options.quick:
        print("\nA smoke run: far too few experiments to judge by.")
    print(f"\n{misses} missed; seed {options.seed}; {time.perf_counter() - began:.0f} s")
    return 1 if misses and not options.quick else 0


if __name__ == "__main__":
    sys.exit(main())
