"""The real loop on a noisy machine whose truth is known: `python -m benchmarks.closed_loop [--campaigns N] [--quick]`.

Each campaign is a run as people start it, with a repository, trees, `measure.sh` processes and a scripted agent.
Of its 200 changes 70 % do nothing to the number, 20 % take 1 to 8 % off it and 10 % add as much. The measurement
varies by 3 % from sample to sample and swings by another 3 % with the hours. Both arms of a pair meet noise of
their own: it follows from a clock that every sample moves on, never from the seed that the arms share.
"""

import argparse
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from autoloop import api
from autoloop.agents.scripted import ScriptedAgent
from autoloop.core.events import Sampled
from autoloop.core.night import Confidence, labels
from autoloop.core.reasons import Status
from autoloop.core.replay import replay
from autoloop.core.run import RunState
from autoloop.ports import Task
from autoloop.profiles import Profile
from autoloop.steering import Signals
from autoloop.stores.runs import find_run
from benchmarks.bounds import Bound

EXPERIMENTS = 200
NOISE, DRIFT, PERIOD, TICKS = 0.03, 0.03, 500, 20_000
"""Standard deviation of a sample; the swing, its period in samples; how long the noise lasts."""
SESSION = 5
"""The machine drifts on during an agent's session, by so many samples."""
RULES = {
    "paired": 'rule = "paired"',
    "median of 3": 'rule = "median"',
    "median of 3, 2 %": 'rule = "median"\nnoise_threshold = 0.02',
}
"""The second has the threshold that its calibration asks for, the third a customary one."""
MEASURE = """read -r tick < "$BENCH/clock"
echo $((tick + 1)) > "$BENCH/clock"
mapfile -t -n 1 -s "$tick" factor < "$BENCH/noise"
read -r value < value.txt
echo "{\\"ns\\": $((value * factor / 1000000))}"
"""
CONFIG = """metric_field = "ns"
direction = "lower"
{rule}
warmup = 0
canary = false
measure_env = ["BENCH"]
max_experiments = {experiments}
max_consecutive_discards = 100000
max_hours = 3
"""
SETTINGS = """default_profile = "bench"
sandbox = "none"
[profiles.bench]
agent = "benchmarks.closed_loop:Proposer"
"""
IDENTITY = ("-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false")
START = 100_000_000


class Proposer(ScriptedAgent):
    """Makes the campaign's changes one after the other, and lets some time pass each time."""

    @classmethod
    def from_profile(cls, profile: Profile, root: Path, environ: Mapping[str, str]) -> "Proposer":
        bench = Path(environ["BENCH"])
        return cls([partial(propose, float(line), bench) for line in (bench / "effects").read_text().split()])


def propose(effect: float, bench: Path, task: Task) -> None:
    """A new comment, and a share `effect` less of the number."""
    (task.tree / "code.py").write_text(f"# experiment {task.experiment}\n")
    value = task.tree / "value.txt"
    value.write_text(f"{round(int(value.read_text()) * (1 - effect))}\n")
    (bench / "clock").write_text(f"{int((bench / 'clock').read_text()) + SESSION}\n")


@dataclass(frozen=True)
class Keep:
    effect: float
    """What the change is worth, in logs, as everything here; 0 or less makes the keep a false one."""
    claimed: float
    confidence: Confidence | None


@dataclass(frozen=True)
class Campaign:
    rule: str
    effects: tuple[float, ...]
    keeps: tuple[Keep, ...]
    verified: tuple[float, float, float] | None
    """The gain of the whole run as measured at its end, and its interval."""
    samples: int
    seconds: float

    @property
    def true_gain(self) -> float:
        return sum(keep.effect for keep in self.keeps)


def campaign(rule: str, seed: int, experiments: int) -> Campaign:
    """Play one campaign in a directory that is gone afterwards."""
    with workplace() as work:
        rng = np.random.default_rng(seed)
        effects = [float(f"{effect:.4f}") for effect in draw_effects(rng, experiments)]
        (work / "effects").write_text("\n".join(map(str, effects)))
        (work / "noise").write_text("".join(f"{factor}\n" for factor in noise(rng)))
        (work / "clock").write_text("0\n")
        root = make_repository(work / "repository", rule, experiments)
        passed = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        environ = {**passed, "BENCH": str(work), "AUTOLOOP_CACHE_DIR": str(work / "cache")}
        began, options = time.perf_counter(), api.RunOptions(seed=seed)
        api.run(root, "bench", options, signals=Signals(), on_progress=lambda sign: None, environ=environ)
        return tell(root, rule, [-math.log1p(-effect) for effect in effects], time.perf_counter() - began)


def draw_effects(rng: np.random.Generator, experiments: int) -> list[float]:
    harms, gains = round(0.1 * experiments), round(0.2 * experiments)
    sizes = rng.uniform(0.01, 0.08, harms + gains) * np.repeat((-1, 1), (harms, gains))
    return list(rng.permutation(np.concatenate([sizes, np.zeros(experiments - len(sizes))])))


def noise(rng: np.random.Generator) -> list[int]:
    """Factors in millionths, one for each tick of the clock."""
    swing = DRIFT * np.sin(2 * np.pi * (np.arange(TICKS) / PERIOD + rng.random()))
    return [round(factor) for factor in 1e6 * np.exp(NOISE * rng.standard_normal(TICKS) + swing)]


def make_repository(root: Path, rule: str, experiments: int) -> Path:
    files = {
        "programs/bench/measure.sh": MEASURE,
        "programs/bench/config.toml": CONFIG.format(rule=RULES[rule], experiments=experiments),
        "autoloop.toml": SETTINGS,
        "code.py": "# start\n",
        "value.txt": f"{START}\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "start")):
        subprocess.run(["git", *IDENTITY, *words], cwd=root, check=True)
    return root


def tell(root: Path, rule: str, effects: list[float], seconds: float) -> Campaign:
    """The journal set against the truth."""
    events = list(api.events(root))
    state = replay(events, RunState(find_run(root).read_record().program.criteria))
    sure = {label.experiment: label.confidence for label in labels(state)}
    keeps = tuple(
        Keep(effects[row.experiment - 1], -math.log1p(-(row.gain or 0.0)), sure.get(row.experiment))
        for row in api.results(root)
        if row.status is Status.KEEP
    )
    shown = subprocess.run(["git", "show", f"{state.head}:value.txt"], cwd=root, capture_output=True, check=True)
    stands = math.log(START / int(shown.stdout))
    assert abs(stands - sum(keep.effect for keep in keeps)) < 1e-4, "the head holds what was kept, and nothing else"
    seen, verified = state.verified, None
    if seen and seen.gain is not None and seen.low is not None and seen.high is not None:
        verified = (-math.log1p(-seen.gain), -math.log1p(-seen.low), -math.log1p(-seen.high))
    samples = sum(isinstance(event, Sampled) for event in events)
    return Campaign(rule, tuple(effects), keeps, verified, samples, seconds)


@contextmanager
def workplace() -> Iterator[Path]:
    work = Path(tempfile.mkdtemp(prefix="autoloop-closed-"))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def claimed_over_true(played: list[Campaign]) -> float:
    keeps = [keep for one in played for keep in one.keeps]
    gained = sum(keep.effect for keep in keeps)
    return sum(keep.claimed for keep in keeps) / gained if gained > 0 else math.nan


def share(part: int, whole: int) -> str:
    return f"{part} of {whole}" + (f", {100 * part / whole:.1f} %" if whole else "")


def kept_of(played: list[Campaign], low: float, high: float) -> str:
    """Keeps among the changes whose effect lies from `low` to `high`."""
    proposed = sum(low <= effect <= high for one in played for effect in one.effects)
    return share(sum(low <= keep.effect <= high for one in played for keep in one.keeps), proposed)


def false_of(played: list[Campaign], confidence: Confidence | None) -> str:
    keeps = [keep for one in played for keep in one.keeps if keep.confidence is confidence]
    return share(sum(keep.effect <= 0 for keep in keeps), len(keeps))


def rows(played: list[Campaign]) -> Iterator[tuple[str, str]]:
    n, sessions = len(played), sum(len(one.effects) for one in played)
    checked = [(one.true_gain, one.verified) for one in played if one.verified]
    yield "changes without effect that were kept", kept_of(played, 0, 0)
    yield "harms that were kept", kept_of(played, -1, -1e-9)
    for low, high in ((0.0, 0.03), (0.03, 0.06), (0.06, 0.09)):
        yield (
            f"gains of {max(low, 0.01):.0%} to {min(high, 0.08):.0%} that were kept",
            kept_of(played, low + 1e-9, high),
        )
    yield "claimed / true gain of the keeps", f"{claimed_over_true(played):.2f}"
    yield "true gain at the end of a campaign", f"{-100 * math.expm1(-sum(one.true_gain for one in played) / n):.1f} %"
    for confidence in Confidence if checked else (None,):
        yield f"{confidence or 'keeps'}: of these false", false_of(played, confidence)
    if checked:
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
    columns: Iterable[dict[str, str]] = [dict(rows(of_rule)) for of_rule in played.values()]
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
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        plan = [(rule, options.seed + i, experiments) for rule, i in product(RULES, range(campaigns))]
        done = list(pool.map(campaign, *zip(*plan, strict=True)))
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
