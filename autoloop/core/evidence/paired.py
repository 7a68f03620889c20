"""Is a change better, or is it noise? The paired sequential test: judgement over the gains of pairs.

A pair is a baseline sample and a candidate sample taken back to back, in an order that a fair coin chose.
If the change does nothing, swapping the two changes nothing: whatever the noise, its drift and its tails,
the sign of each gain is a fair coin. A bet on that sign, placed with what the earlier pairs taught, wins
nothing on average, so the product of the bets is an e-process and

    P(it ever reaches 1 / alpha | no effect) <= alpha        (Ville 1939; Ramdas et al. 2022)

however often one looks. The bound needs nothing but the coin; every other number of `betting` buys only
speed. It holds as well for a change that makes things worse, where the noise has one peak: the
difference of two such samples then has one peak too (Hodges and Lehmann 1954), and a bet on gains loses.

This module takes no samples and keeps no state.

Ville 1939, Étude critique de la notion de collectif. Ramdas, Ruf, Larsson and Koolen 2022, Testing
exchangeability: fork-convexity, supermartingales and e-processes. The bets that average a fixed and an
adaptive alternative are in the spirit of Waudby-Smith and Ramdas 2024, Estimating means of bounded random
variables by betting. Hodges and Lehmann 1963, Estimates of location based on rank tests. Wang and Ramdas
2022, False discovery rate control with e-values.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from autoloop.core.evidence.betting import LOG_BEST_BET, PairedRule, Shared, Traces, shrunk, traces
from autoloop.core.evidence.noise import Floats, pseudo_median
from autoloop.core.text import count, odds

Verdict = Literal["keep", "discard", "continue"]


@dataclass(frozen=True)
class Judgement:
    """The verdict on the pairs so far, with every number that a sceptic needs to check it."""

    verdict: Verdict
    gain: float
    """The Hodges-Lehmann estimate over the pairs."""
    claimed: float
    """What a fresh measurement would show: the gain, for a keep less what stopping at a good moment adds."""
    low: float
    high: float
    """The 95 % interval around `claimed`."""
    log_evidence: float
    """Natural logarithm of the evidence for a gain after the last pair."""
    reason: str
    trace: tuple[float, ...] = ()
    """The log evidence after each pair; a keep needs `log(1 / alpha)`."""


def judge(
    gains: Sequence[float],
    *,
    sigma: float,
    df: float,
    rule: PairedRule = PairedRule(),
    shared: Shared | None = None,
) -> Judgement:
    """Judge all gains of one experiment so far, oldest first.

    `sigma` and `df` are the noise pool's from before the first pair, and stay what they were while the
    sequence grows, also when it is continued much later: a bet may use only what was known when it was
    placed. A `sigma` of 0 with `df` above 0 says that the metric never showed any spread; then one pair
    decides and a second one confirms, unless these two differ. With `df` 0 nothing is known of the noise.
    `shared` is for reused baselines. To continue a keep, ask with a rule of more `max_pairs`.
    """
    values = np.asarray(gains, float)
    if values.size == 0:
        return Judgement("continue", 0.0, 0.0, -math.inf, math.inf, 0.0, "no pair yet")
    if sigma == 0 and df > 0 and np.all(values == values[0]):
        return _judge_exact(values, df, rule)
    return _judge_noisy(values, np.full(values.size, sigma), df, rule, shared)


def _judge_noisy(gains: Floats, sigma: Floats, df: float, rule: PairedRule, shared: Shared | None = None) -> Judgement:
    seen, n = traces(gains, sigma=sigma, df=df, rule=rule, shared=shared), gains.size
    gain, error = float(pseudo_median(gains)), float(seen.scale[-1]) / math.sqrt(n)
    verdict, reason = _conclude(seen, gain, n, rule)
    claimed = float(shrunk(np.asarray(gain), np.asarray(error))) if verdict == "keep" else gain
    reach = t975(df * bool(sigma[-1]) + n - 1) * error if error > 0 else math.inf
    trace = tuple(float(x) for x in seen.evidence)
    return Judgement(verdict, gain, claimed, claimed - reach, claimed + reach, trace[-1], reason, trace)


def _conclude(seen: Traces, gain: float, n: int, rule: PairedRule) -> tuple[Verdict, str]:
    evidence, bound, after = float(seen.evidence[-1]), math.log(1 / rule.alpha), f"after {count(n, 'pair')}"
    if evidence >= bound and gain > rule.min_gain:
        return "keep", f"{odds(evidence)} for a gain {after}"
    if seen.futility[-1] >= math.log(1 / rule.beta):
        return "discard", f"a gain worth having is ruled out {after}"
    if evidence + LOG_BEST_BET * (rule.max_pairs - n) >= bound and n < rule.max_pairs:
        return "continue", f"{odds(evidence)} for a gain {after}; a keep needs {odds(bound)}"
    if evidence >= bound:
        return "discard", f"{odds(evidence)} for a gain {after}, but not above the noise threshold"
    return "discard", f"{odds(evidence)} for a gain {after}: {odds(bound)} is out of reach in {rule.max_pairs}"


def _judge_exact(gains: Floats, df: float, rule: PairedRule) -> Judgement:
    """A metric without spread in `df` pairs, and in these: the one place where calibration is trusted.

    If unchanged code moved it in a share p of the pairs, `df` still pairs and then n moves for the better
    by the same amount would have probability (1 - p)^df (p / 2)^n. The worst p bounds that; its inverse is
    the evidence, and has mean at most 1 like any other.
    """
    gain, n = float(gains[0]), gains.size
    verdict: Verdict
    trace = tuple(_exact_evidence(df, i) if gain > 0 else 0.0 for i in range(1, n + 1))
    after = f"by a metric without spread after {count(n, 'pair')}"
    if gain <= rule.min_gain:
        verdict, reason = "discard", f"no gain above {rule.min_gain:.2g} {after}"
    elif n >= 2 and trace[-1] >= math.log(1 / rule.alpha):
        verdict, reason = "keep", f"the same gain each time {after}"
    elif n >= rule.max_pairs:
        verdict, reason = "discard", f"too little evidence {after}"
    else:
        verdict, reason = "continue", f"a gain to confirm {after}"
    return Judgement(verdict, gain, gain, gain, gain, trace[-1], reason, trace)


def _exact_evidence(df: float, n: int) -> float:
    return df * math.log1p(n / df) + n * math.log(2 * (df + n) / n)


def rules_out(gains: Sequence[float], rule: PairedRule = PairedRule()) -> bool:
    """Whether these pairs alone, nothing known of their noise, rule a gain worth having out."""
    values = np.asarray(gains, float)
    if np.all(values == values[0]):
        return bool(values[0] < 0)
    return bool(traces(values, sigma=0.0, df=0.0, rule=rule).futility[-1] >= math.log(1 / rule.beta))


def judge_cases(
    baseline: Sequence[Mapping[str, float]],
    candidate: Sequence[Mapping[str, float]],
    *,
    rule: PairedRule = PairedRule(),
    reference: float | None = None,
) -> Judgement:
    """Judge a pass rate case by case: one mapping of scores (0 to 1) per pair for each arm.

    Only the discordant cases speak, those that one arm alone passed. Their count does not change when
    the arms are swapped, so it may serve as the noise: under no effect their net sum is that of as many
    fair coins. The bet is on the whole pair, not on each case, so cases that fail together, as when a
    service is down, cannot pass for evidence. A gain is relative to `reference`, the passes of one suite
    run of the original baseline; by default to those of the baseline in these pairs.
    """
    if not baseline:
        return judge((), sigma=0.0, df=0.0, rule=rule)
    flips = [_flips(b, c) for b, c in zip(baseline, candidate, strict=True)]
    net = np.array([pair.sum() for pair in flips])
    counts = np.array([(pair**2).sum() for pair in flips])
    if not counts.any():
        return Judgement("discard", 0.0, 0.0, 0.0, 0.0, 0.0, f"no case flipped in {count(len(flips), 'pair')}")
    sigma = np.sqrt(np.cumsum(counts) / np.arange(1, len(flips) + 1))
    first = (sum(baseline[0].values()) + sum(candidate[0].values())) / 2
    judged = _judge_noisy(net, sigma, _CASES_DF, replace(rule, min_gain=rule.min_gain * (reference or first)))
    passes = reference or sum(sum(pair.values()) for pair in baseline) / len(baseline) or 1.0
    relative = {name: getattr(judged, name) / passes for name in ("gain", "claimed", "low", "high")}
    return replace(judged, **relative)


_CASES_DF = 20.0
"""How far the coins' variance is trusted against the pairs' own: cases may be correlated."""


def _flips(baseline: Mapping[str, float], candidate: Mapping[str, float]) -> Floats:
    """Score changes of the cases that both arms ran."""
    return np.array([candidate[case] - baseline[case] for case in sorted(baseline.keys() & candidate.keys())])


def confirmed(log_evidences: Sequence[float], experiments: int, fdr: float = 0.10) -> list[bool]:
    """Which keeps of a run are confirmed: e-BH (Wang and Ramdas 2022), under any dependence.

    Of those marked True at most the share `fdr` is false, on average over runs, however the evidence was
    continued. `experiments` counts all that were measured, kept or not.
    """
    ranked = sorted(log_evidences, reverse=True)
    passing = [e for k, e in enumerate(ranked, 1) if e >= math.log(experiments / (fdr * k))]
    return [bool(passing) and e >= passing[-1] for e in log_evidences]


def to_continue(
    log_evidences: Sequence[float], pairs: Sequence[int], experiments: int, *, fdr: float = 0.10, most: int = 60
) -> int | None:
    """Which keep deserves the next pair in the time that is left; None when there is nothing to add.

    The most promising of those that are provisional, short of `most` pairs, and not ruled out: a keep whose
    evidence has fallen below 1 : 1 has lost all that spoke for it.
    """
    sure = confirmed(log_evidences, experiments, fdr)
    facts = enumerate(zip(log_evidences, pairs, sure, strict=True))
    open_ = [(e, i) for i, (e, n, certain) in facts if not certain and n < most and e >= 0]
    return max(open_)[1] if open_ else None


def t975(df: float) -> float:
    """The 97.5 % quantile of Student's t (Cornish-Fisher; within 4 % from 3 degrees of freedom on)."""
    z, df = 1.959964, max(df, 1.0)
    return z + (z**3 + z) / (4 * df) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * df**2)
