"""The summary of a bench, as `summary.json` and every view of it have it, and the line of metrics that a loop reads."""

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

from autoloop.core.evidence.trials import Rate
from autoloop.core.model import Frozen
from autoloop.core.suite.plan import ArmPlan
from autoloop.core.suite.state import BenchState, CutShort
from autoloop.core.suite.tally import Planned, Tally, score, tally, total_cost
from autoloop.core.suite.tasks import Outcome


class ArmSummary(Tally):
    """The summary of one arm. `planned` is the arm's own total."""

    arm: str
    profile: str
    groups: dict[str, Tally]
    """By level or category, in the order of the suite; tasks without one are under the empty name."""


class BenchSummary(Frozen):
    """The summary of a whole bench, over all arms."""

    bench_id: str
    suite: str
    suite_version: str
    started: float
    """Unix seconds."""
    finished: float | None
    """Unix seconds; None while a process works on it."""
    worked_seconds: float
    """Seconds in which a process worked on the bench."""
    waited_seconds: float
    """Seconds of the worked ones in which it waited for something outside."""
    eta_seconds: float | None
    """What the outstanding trials will take; None while nothing is known of trials, 0 when there is nothing to do."""
    stop_reason: str | None
    stop_detail: str
    cut: tuple[CutShort, ...] = ()
    """The groups whose hours were used up."""
    replaced_workers: int
    arms: tuple[ArmSummary, ...]
    totals: Tally
    """The tally over all arms; its rate mixes them."""
    cost_usd: float | None
    """The cost of every try, errors included; None when nothing is known."""
    tokens: int | None


def summarise(state: BenchState) -> BenchSummary:
    """The summary of a bench's state."""
    started, stopped = state.started, state.stopped
    trials = planned_trials(state)
    return BenchSummary(
        bench_id=started.bench_id,
        suite=started.suite,
        suite_version=started.suite_version,
        started=started.at,
        finished=stopped.at if stopped else None,
        worked_seconds=state.worked,
        waited_seconds=state.waited,
        eta_seconds=_eta(_to_expect(trials, state), state.worked - state.waited),
        stop_reason=stopped.reason.value if stopped else None,
        stop_detail=stopped.detail if stopped else "",
        cut=cut_short(state, trials),
        replaced_workers=state.replaced,
        arms=tuple(_arm(arm, [one for one in trials if one.key.arm == arm.name]) for arm in started.plan.arms),
        totals=tally(trials),
        cost_usd=state.cost_usd,
        tokens=state.tokens,
    )


def metrics_line(state: BenchState, arm: str) -> dict[str, Any]:
    """What `bench --json` ends with: the metrics of one arm, and the mean reward of each task that has a trial that
    counts. `pass_rate` is None when nothing counts, which is an error for who asked for a number.
    """
    results = state.of(arm=arm)
    outcomes = [result.outcome for result in results.values()]
    rewards: dict[str, list[float]] = {}
    for key, result in results.items():
        if result.outcome.counts:
            rewards.setdefault(key.task, []).append(score(result))
    counted = sum(outcome.counts for outcome in outcomes)
    taken = [result for key, result in results.items() if key not in state.reused]
    return {
        "pass_rate": Rate.of_counts(outcomes.count(Outcome.PASS), counted).value,
        "passed": outcomes.count(Outcome.PASS),
        "failed": outcomes.count(Outcome.FAIL),
        "timeout": outcomes.count(Outcome.TIMEOUT),
        "error": outcomes.count(Outcome.ERROR),
        "unsupported": outcomes.count(Outcome.UNSUPPORTED),
        "cost_usd": total_cost(taken),
        "model_calls": state.calls.get(arm, 0),
        "reused": sum(key in state.reused for key in results),
        "cases": {task: fmean(rewards[task]) for task in sorted(rewards)},
    }


def cut_short(state: BenchState, trials: Iterable[Planned]) -> tuple[CutShort, ...]:
    """The groups of which some of these trials will not be taken, because their hours are used up."""
    of_group: dict[str, list[bool]] = {}
    for trial in trials:
        if trial.group in state.cut:
            of_group.setdefault(trial.group, []).append(trial.settled)
    return tuple(
        CutShort(group=group, hours=state.cut[group], taken=sum(settled), planned=len(settled))
        for group, settled in of_group.items()
        if not all(settled)
    )


def cut_in(state: BenchState, arm: str, iteration: int) -> tuple[CutShort, ...]:
    """The groups that were cut short in one arm's iteration."""
    trials = planned_trials(state) if state.cut else []
    return cut_short(state, (one for one in trials if (one.key.arm, one.key.iteration) == (arm, iteration)))


def planned_trials(state: BenchState) -> list[Planned]:
    """Every trial of the plan, with what came of it so far."""
    plan = state.started.plan
    groups = {task.id: task.group for task in plan.tasks}
    # A key that is itself in the dictionaries is found without comparing fields: that halves the time.
    known = {(key.arm, key.iteration, key.task, key.attempt): key for key in state.results}
    keys = (known.get((key.arm, key.iteration, key.task, key.attempt), key) for key in plan.trials())
    return [
        Planned(key, groups[key.task], state.is_settled(key), state.all_errors.get(key, 0), state.results.get(key))
        for key in keys
    ]


def _arm(arm: ArmPlan, trials: Sequence[Planned]) -> ArmSummary:
    groups: dict[str, list[Planned]] = {}
    for trial in trials:
        groups.setdefault(trial.group, []).append(trial)
    return ArmSummary(
        arm=arm.name,
        profile=arm.profile,
        groups={name: tally(of_group) for name, of_group in groups.items()},
        **dict(tally(trials)),
    )


def _to_expect(trials: Iterable[Planned], state: BenchState) -> list[Planned]:
    """The trials that tell how long the others take, and those others: what is reused or cut short takes no time."""
    return [one for one in trials if one.key not in state.reused and (one.settled or one.group not in state.cut)]


def _eta(trials: Sequence[Planned], worked: float) -> float | None:
    """The time that went into what is done, by the share of the work that is left.

    A trial to come is expected to take what the same task took in the same arm, or else what the others take.
    """
    left = [trial for trial in trials if not trial.settled]
    if not left:
        return 0.0
    taken: dict[tuple[str, str], list[float]] = {}
    for trial in trials:
        if trial.settled and trial.result is not None and trial.result.outcome.counts:
            taken.setdefault((trial.key.arm, trial.key.task), []).append(trial.result.seconds)
    spent = _total(taken.values())
    if not spent or worked <= 0:
        return None
    usual = spent / sum(map(len, taken.values()))
    means = {which: fmean(seconds) for which, seconds in taken.items()}
    to_come = sum(means.get((trial.key.arm, trial.key.task), usual) for trial in left)
    return worked * to_come / spent


def _total(many: Iterable[Iterable[float]]) -> float:
    return sum(map(sum, many))
