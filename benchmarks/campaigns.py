"""Nights of experiments under one rule and one kind of noise, many nights at once."""

import math
from dataclasses import dataclass

import numpy as np

from autoloop.core.evidence.betting import PairedRule, traces
from autoloop.core.evidence.noise import Floats
from autoloop.core.evidence.paired import confirmed, to_continue
from benchmarks.noise_models import NoiseModel
from benchmarks.paired import Kept, Paired
from benchmarks.rules import Flags, Machine, Rule

EFFECTS = np.array([0.0, -0.02, 0.01, 0.02, 0.05])
SHARES = np.array([0.60, 0.16, 0.12, 0.08, 0.04])
"""What an agent proposes: mostly nothing, some harm, a few small gains, the odd large one."""
_SESSION = 5
"""The machine drifts on during an agent's session, by so many samples."""


@dataclass(frozen=True)
class Night:
    """How long a campaign lasts, in experiments or in hours."""

    experiments: int = 100
    hours: float = math.inf
    sample_seconds: float = 0.0
    session_seconds: float = 0.0

    def samples(self, experiments: int) -> float:
        """How many samples fit in beside so many sessions."""
        if math.isinf(self.hours):
            return math.inf
        return (self.hours * 3600 - experiments * self.session_seconds) / self.sample_seconds


@dataclass(frozen=True)
class Campaigns:
    """One row an experiment that was finished, over all campaigns."""

    campaign: Floats
    effect: Floats
    kept: Floats
    claimed: Floats
    samples: float
    """Samples an experiment, everything included."""
    true_gain: float
    """Log gain of the tree that stands at the end, on average."""

    @property
    def false_keeps(self) -> float:
        """Share of the changes without effect that were kept."""
        return float(self.kept[self.effect == 0].mean())

    @property
    def false_share(self) -> float:
        """Share of the keeps that do not improve anything."""
        return _share(self.effect[self.kept > 0] <= 0)

    def power(self, effect: float) -> float:
        return float(self.kept[self.effect == effect].mean())

    @property
    def inflation(self) -> float:
        """What was claimed over what was gained."""
        kept = self.kept > 0
        gained = self.effect[kept].sum()
        return float(self.claimed[kept].sum() / gained) if gained > 0 else math.nan


def _share(flags: Flags) -> float:
    return float(flags.mean()) if flags.size else 0.0


def play(rule: Rule, model: NoiseModel, campaigns: int, night: Night, seed: int) -> Campaigns:
    """Play all campaigns side by side, one experiment at a time."""
    rng = np.random.default_rng(seed)
    machine = Machine(model.draw(rng, campaigns, 1500), rng)
    rule.start(machine)
    effects = rng.choice(EFFECTS, p=SHARES, size=(campaigns, night.experiments))
    parts = []
    for i in range(night.experiments):
        rows = np.flatnonzero(machine.spent < night.samples(i + 1))
        if rows.size == 0:
            break
        before = machine.level.copy()
        machine.at[rows] += _SESSION
        verdicts = rule.experiment(rows, effects[rows, i])
        late = machine.spent[rows] > night.samples(i + 1)
        machine.level[rows[late]] = before[rows[late]]
        parts.append(np.column_stack([rows, effects[rows, i], verdicts.kept & ~late, verdicts.claimed])[~late])
    table = np.concatenate(parts)
    spent, (campaign, effect, kept, claimed) = float(machine.spent.sum() / len(table)), table.T
    return Campaigns(campaign, effect, kept, claimed, spent, true_gain=float(-machine.level.mean()))


@dataclass(frozen=True)
class Morning:
    """The keeps of many nights, labelled by e-BH and continued where provisional."""

    kept: float
    """Keeps a night."""
    false_kept: float
    confirmed: float
    false_confirmed: float
    extra_pairs: float
    """Pairs of the continuation, over those of all experiments."""


def mornings(rule: Paired, played: Campaigns, model: NoiseModel, experiments: int, seed: int) -> Morning:
    """Continue the provisional keeps of each campaign, most promising first."""
    rng, campaigns = np.random.default_rng(seed), int(played.campaign.max()) + 1
    label: dict[int, bool] = {}
    extra = 0
    for campaign in range(campaigns):
        keeps = [k for k in rule.keeps if k.campaign == campaign]
        labels, pairs = _continue(keeps, model, experiments, rule.rule, rng)
        label.update(zip(map(id, keeps), labels, strict=True))
        extra += pairs
    false = np.array([k.effect <= 0 for k in rule.keeps], np.bool_)
    sure = np.array([label[id(k)] for k in rule.keeps], np.bool_)
    return Morning(
        kept=len(rule.keeps) / campaigns,
        false_kept=_share(false),
        confirmed=float(sure.sum()) / campaigns,
        false_confirmed=_share(false[sure]),
        extra_pairs=2 * extra / (played.samples * len(played.kept)),
    )


def _continue(
    keeps: list[Kept],
    model: NoiseModel,
    experiments: int,
    rule: PairedRule,
    rng: np.random.Generator,
    cap: int = 60,
) -> tuple[list[bool], int]:
    """e-BH labels after the continuation, and the pairs that it took."""
    seen, at = [], [len(k.gains) for k in keeps]
    for k in keeps:
        more = model.gains(rng, 1, cap - len(k.gains), k.effect)[0]
        gains = np.concatenate([k.gains, more])
        seen.append(traces(gains, sigma=k.sigma, df=k.df, rule=rule).evidence)
    while True:
        evidence = [float(trace[n - 1]) for trace, n in zip(seen, at, strict=True)]
        chosen = to_continue(evidence, at, experiments, most=cap)
        if chosen is None:
            return confirmed(evidence, experiments), sum(at) - sum(len(k.gains) for k in keeps)
        at[chosen] += 1
