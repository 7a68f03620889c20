"""Benches that were never run: directories as a bench leaves them, for reports."""

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from autoloop.core.suite.episode import episode
from autoloop.core.suite.events import (
    BenchEvent,
    BenchResumed,
    BenchStarted,
    BenchStop,
    BenchStopped,
    TrialEnded,
    to_line,
)
from autoloop.core.suite.plan import BenchPlan, TaskPlan
from autoloop.core.suite.state import replay
from autoloop.core.suite.tasks import Outcome, TrialKey, TrialResult
from autoloop.suites.directory import BenchDirectory
from tests.suites.benches import plan, result

BEGAN = 1_767_304_800.0


class Shown:
    """A bench in a directory."""

    def __init__(self, path: Path, of: BenchPlan, *, began: float = BEGAN) -> None:
        self.directory, self.plan, self.at = BenchDirectory(path), of, began
        path.mkdir(parents=True)
        self.events: list[BenchEvent] = []
        self.add(
            BenchStarted(at=began, bench_id=path.name, suite="s", suite_path="/s", suite_version="7", plan=of),
            BenchResumed(at=began, workers=2),
        )

    def add(self, *events: BenchEvent) -> "Shown":
        self.events += events
        with self.directory.journal.open("ab") as journal:
            journal.write(b"".join(map(to_line, events)))
        return self

    def tried(self, results: Mapping[TrialKey, TrialResult]) -> "Shown":
        ended = []
        for key, found in results.items():
            self.at += found.seconds / 2
            started = self.at - found.seconds
            ended.append(TrialEnded(at=self.at, key=key, result=found.model_copy(update={"started": started})))
        return self.add(*ended)

    def left(self, key: TrialKey, **texts: str) -> "Shown":
        """The records of a trial: `output`, `verification`, `error`."""
        place = self.directory.trial(key, self.plan)
        place.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (place / f"{name}.txt").write_text(text)
        steps = [
            {"step_id": number, "source": "agent", "message": f"step {number}",
             "tool_calls": [{"tool_call_id": "1", "function_name": "shell", "arguments": {"command": "ls"}}]}
            for number in range(1, 21)
        ]  # fmt: skip
        (place / "trajectory.json").write_text(json.dumps({"steps": steps}))
        return self

    def ended(self) -> "Shown":
        self.add(BenchStopped(at=self.at, reason=BenchStop.DONE))
        state = replay(self.events)
        with self.directory.shared_episodes.open("ab") as file:
            for arm in self.plan.arms:
                for iteration in range(1, self.plan.iterations + 1):
                    file.write(episode(state, arm.name, iteration).to_line())
        return self


def drawn(of: BenchPlan, skill: Mapping[str, float], seed: int = 3) -> dict[TrialKey, TrialResult]:
    """A result of every trial: arms of different skill, tasks of different difficulty."""
    chance = random.Random(seed)
    hard = {task.id: random.Random(task.id).uniform(-0.45, 0.45) for task in of.tasks}
    found = {}
    for key in of.trials():
        turns = chance.randint(3, 60)
        passed = chance.random() < skill[key.arm] - hard[key.task] - turns / 200
        roll = chance.random()
        outcome = (
            Outcome.PASS
            if passed
            else Outcome.TIMEOUT
            if roll < 0.15
            else Outcome.ERROR
            if roll < 0.2
            else Outcome.FAIL
        )
        mode = {Outcome.FAIL: chance.choice(["wrong_result", "wrong_result", "no_change", "turns"])}.get(outcome, "")
        found[key] = result(
            outcome, seconds=round(chance.lognormvariate(4.5, 0.6), 1), turns=turns, actions=2 * turns,
            tokens=900 * turns, cost_usd=0.01 * turns, failure_mode=mode,
            detail="" if passed else f"{mode or outcome}: 3 of 7 checks hold",
            model="sonnet", sandbox="bwrap", agent_seconds=60.0, verifier_seconds=4.0,
        )  # fmt: skip
    return found


def tasks(count: int, groups: Sequence[str] = ("L1", "L2", "L3")) -> list[TaskPlan]:
    return [TaskPlan(id=f"task-{number:03d}", group=groups[number % len(groups)]) for number in range(count)]


def large_bench(path: Path, count: int, arms: str = "ab", iterations: int = 3, **fields: int) -> Shown:
    of = plan(tasks(count), arms, iterations=iterations, **fields)
    shown = Shown(path, of)
    results = drawn(of, {arm: 0.85 - 0.15 * number for number, arm in enumerate(arms)})
    shown.tried(results)
    for key, found in results.items():
        if not found.passed and len(results) < 1000:
            shown.left(key, output='I looked at it.\n> shell {"command": "ls"}\n' * 6, verification="FAILED test_x\n")
    return shown.ended()
