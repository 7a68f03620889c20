"""What a bench brings and costs: workers side by side, its own share of a trial, and the summary of a long one.

    python -m benchmarks.suites [--trials 200] [--wait 0.5]

The trials do nothing but wait, so what is beyond the waiting is the harness. The run with one worker takes as long as
all waits together; give fewer trials to try it out.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from autoloop.core.suite.events import BenchEvent, BenchStarted, TrialEnded
from autoloop.core.suite.plan import ArmPlan, BenchPlan, TaskPlan
from autoloop.core.suite.state import replay
from autoloop.core.suite.summary import summarise
from autoloop.core.suite.tasks import Outcome, TrialResult

SPEEDUP, CPU_MS, SUMMARY_SECONDS = 3.6, 60.0, 2.0
"""What four workers must bring, what a trial may cost beside its agent and verifier, what a summary may take."""


@dataclass(frozen=True)
class Took:
    """One bench, as a whole process and its children."""

    seconds: float
    worked: float
    """Seconds from its first event to its last."""
    cpu: float
    """Seconds of processor, everything that was started included."""


def main() -> int:
    """Measure, print, and say what missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--wait", type=float, default=0.5)
    given = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    misses = [*workers(given.trials, given.wait), *summary(5000)]
    print(f"{len(misses)} missed" + "".join(f"\n  {miss}" for miss in misses))
    return bool(misses)


def workers(trials: int, wait: float) -> list[str]:
    """One worker beside four, and what a trial costs."""
    with tempfile.TemporaryDirectory(prefix="autoloop-bench-") as folder:
        place = Path(folder)
        (place / "suite.json").write_text(json.dumps(suite(trials)))
        (place / "autoloop.toml").write_text(
            f'[profiles.waits]\nagent = "command"\ncommand = "sleep {wait}"\n'
            '[profiles.nothing]\nagent = "command"\ncommand = "true"\n'
        )
        bench(place, "waits", "warm", 1, few=4)
        four, one = bench(place, "waits", "four", 4), bench(place, "waits", "one", 1)
        tier = json.loads(next((place / "one/runs").glob("*.json")).read_text())["sandbox"]
        free = bench(place, "nothing", "free", 1)
        floor = trials * commands_cpu()
    speedup = one.worked / four.worked
    own = 1000 * (free.cpu - floor) / trials
    print(f"{trials} trials that wait {wait:g} s, sandbox {tier}, {len(os.sched_getaffinity(0))} cores")
    print(f"  one worker    {one.worked:7.1f} s")
    print(f"  four workers  {four.worked:7.1f} s   {speedup:.2f} x   (at least {SPEEDUP})")
    print(f"  processor     {own:7.1f} ms a trial   beside the two commands alone   (at most {CPU_MS:g})")
    return [
        *([f"four workers bring {speedup:.2f} x"] if speedup < SPEEDUP else []),
        *([f"a trial costs {own:.1f} ms"] if own > CPU_MS else []),
    ]


def suite(trials: int) -> dict[str, object]:
    """Tasks that everybody passes."""
    verification = {"type": "command", "command": "true"}
    task = {"description": "Wait.", "verification": verification, "category": "waiting"}
    return {"name": "waiting", "version": "1", "tasks": [{"id": f"wait-{n:04d}", **task} for n in range(trials)]}


def bench(place: Path, profile: str, output: str, count: int, few: int | None = None) -> Took:
    """Carry one bench to its end."""
    chosen = ["-t", ",".join(f"wait-{n:04d}" for n in range(few))] if few else []
    words = ["suite.json", "-m", profile, "-i", "1", "-o", output, "--workers", str(count), "--min-free-gb", "0"]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "autoloop", "bench", *words, *chosen], cwd=place, check=True, capture_output=True
    )
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    found = json.loads((place / output / "summary.json").read_text())
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Took(seconds, found["worked_seconds"], cpu)


def commands_cpu(times: int = 50) -> float:
    """Seconds of processor that an agent and a verifier that do nothing take by themselves."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(times):
        for command in (["sh", "-c", "true"], ["bash", "-c", "true"]):
            subprocess.run(command, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / times


def summary(trials: int) -> list[str]:
    """The summary of a long bench, from its events."""
    tasks = tuple(TaskPlan(id=f"t{number}", group=f"level {number % 5}") for number in range(trials // 10))
    arms = (ArmPlan(name="a", profile="a"), ArmPlan(name="b", profile="b"))
    plan = BenchPlan(arms=arms, tasks=tasks, iterations=5)
    events: list[BenchEvent] = [
        BenchStarted(at=1.0, bench_id="b", suite="s", suite_path="/s", suite_version="1", plan=plan)
    ]
    for number, key in enumerate(plan.trials()):
        outcome = Outcome.PASS if number % 3 else Outcome.FAIL
        result = TrialResult(outcome=outcome, reward=float(outcome is Outcome.PASS), started=1.0, seconds=2.0, turns=3)
        events.append(TrialEnded(at=2.0 + number, key=key, result=result))
    began = time.perf_counter()
    state = replay(events)
    folded, found = time.perf_counter() - began, summarise(state)
    took = time.perf_counter() - began
    parts = f"{took:.2f} s for replay ({folded:.2f} s) and summary"
    print(f"{found.totals.done} trials   {parts}   (at most {SUMMARY_SECONDS:g})")
    return [f"the summary of {trials} trials takes {took:.2f} s"] if took > SUMMARY_SECONDS else []


if __name__ == "__main__":
    sys.exit(main())
