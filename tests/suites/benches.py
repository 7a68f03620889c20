"""Benches of values, for tests of what they add up to."""

from collections.abc import Iterable, Mapping, Sequence

from autoloop.core.suite.events import BenchEvent, BenchResumed, BenchStarted, TrialEnded
from autoloop.core.suite.plan import ArmPlan, BenchPlan, TaskPlan
from autoloop.core.suite.state import BenchState, replay
from autoloop.core.suite.tasks import Outcome, TrialKey, TrialResult

REWARDS = {Outcome.PASS: 1.0, Outcome.FAIL: 0.0, Outcome.TIMEOUT: 0.0}


def key(task: str, arm: str = "a", iteration: int = 1, attempt: int = 1) -> TrialKey:
    return TrialKey(arm=arm, iteration=iteration, task=task, attempt=attempt)


def result(outcome: Outcome | str, **fields: object) -> TrialResult:
    outcome = Outcome(outcome)
    usual = {"outcome": outcome, "reward": REWARDS.get(outcome), "started": 0.0, "seconds": 1.0}
    return TrialResult.model_validate(usual | fields)


def plan(tasks: Sequence[str] | Sequence[TaskPlan], arms: str = "a", **fields: object) -> BenchPlan:
    named = [TaskPlan(id=task) if isinstance(task, str) else task for task in tasks]
    return BenchPlan.model_validate({
        "arms": [ArmPlan(name=arm, profile=f"profile-{arm}") for arm in arms], "tasks": named, **fields,
    })  # fmt: skip


def bench(of: BenchPlan, ended: Iterable[tuple[TrialKey, TrialResult]], more: Iterable[BenchEvent] = ()) -> BenchState:
    """Trials that ended one a second, after two seconds of beginning."""
    began = BenchStarted(at=100.0, bench_id="20260101", suite="s", suite_path="/s", suite_version="7", plan=of)
    trials = [TrialEnded(at=103.0 + at, key=which, result=what) for at, (which, what) in enumerate(ended)]
    return replay([began, BenchResumed(at=102.0, workers=1), *trials, *more])


def trials(outcomes: Mapping[str, str], arm: str = "a", iteration: int = 1) -> dict[TrialKey, TrialResult]:
    """By task, a letter an attempt: `{"t1": "pptf"}`; p pass, f fail, t timeout, e error, u unsupported."""
    letters = {outcome.value[0]: outcome for outcome in Outcome}
    return {
        key(task, arm, iteration, attempt): result(letters[letter])
        for task, word in outcomes.items()
        for attempt, letter in enumerate(word, 1)
    }
