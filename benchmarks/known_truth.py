"""Runs whose truth is known: a repository with one number, a machine with seeded noise, an agent with a script.

Both arms of a pair meet noise of their own: it follows from a clock that every sample moves on, never from the
seed that the arms share.
"""

import math
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from autoloop import api
from autoloop.agents.profiles import Profile
from autoloop.agents.scripted import ScriptedAgent
from autoloop.core.run.events import Sampled
from autoloop.core.run.night import Confidence, labels
from autoloop.core.run.reasons import Status
from autoloop.core.run.replay import replay
from autoloop.core.run.state import RunState
from autoloop.host.signals import Signals
from autoloop.ports import Task
from autoloop.runs.find import find_run
from autoloop.runs.record import read_record

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
agent = "benchmarks.known_truth:Proposer"
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
    state = replay(events, RunState(read_record(find_run(root, None)).program.criteria))
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
    work = Path(tempfile.mkdtemp(prefix="autoloop-truth-"))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
