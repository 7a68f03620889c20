"""Creating a bench, or taking one up where it was left: its plan, workers and limits; refused if it could not work."""

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from autoloop.agents.probe import first_usable
from autoloop.agents.profiles import choose, load_settings, says_which
from autoloop.agents.registry import OWN_CALLS
from autoloop.config.fields import did_you_mean, validated
from autoloop.config.places import user_config
from autoloop.core.suite.pausing import worker_count
from autoloop.core.suite.plan import BUILT_IN, RESUMABLE, ArmPlan, BenchConfig, BenchPlan, TaskPlan
from autoloop.core.suite.reuse import minibatch
from autoloop.core.suite.state import BenchState, replay
from autoloop.core.suite.stopping import BenchLimits
from autoloop.core.suite.tasks import SuiteTask, TrialKey, TrialOrder
from autoloop.errors import AutoloopError
from autoloop.host.context import Context
from autoloop.host.machine import free_memory_gb
from autoloop.ports import OnWorker, Progress, Suite
from autoloop.suites.directory import BenchDirectory
from autoloop.suites.preflight import Preflight
from autoloop.suites.record import BenchJournal
from autoloop.suites.sources.registry import load_suite

OnState = Callable[[BenchState], None]


@dataclass(frozen=True)
class BenchContext(Context):
    """The context of a bench: beside the common part, who follows its trials."""

    on_state: OnState = lambda state: None
    """Told after each event."""
    on_worker: OnWorker = lambda worker, key, phase, text: None
    asks: bool = True
    """Whether models are asked for a token before anything begins."""


@dataclass(frozen=True)
class ReadyBench:
    """A bench that is ready to be run."""

    directory: BenchDirectory
    config: BenchConfig
    suite: Suite
    plan: BenchPlan
    is_new: bool
    tasks: dict[str, SuiteTask] = field(repr=False, default_factory=dict)
    unpaid: frozenset[str] = frozenset()
    """The arms whose calls are not paid for when a trial is handed out: none are made, or each waits for its turn."""


def begin(directory: BenchDirectory, config: BenchConfig, context: BenchContext) -> ReadyBench:
    """A new bench, refused before anything is written when it could not work."""
    if directory.exists:
        said = f"there is a bench in {directory.path} already"
        raise AutoloopError(said, f"Go on with it: `autoloop bench --resume {directory.path}`, or name another output.")
    suite = load_suite(Path(config.suite))
    plan = plan_of(config, suite)
    config = with_hours(config, suite, plan)
    unpaid = _require_fit(config, plan.arms, directory, context, plan.arms)
    directory.path.mkdir(parents=True, exist_ok=True)
    directory.write_config(config.model_dump(mode="json"))
    tasks = {task.id: task for task in suite.tasks}
    return ReadyBench(directory, config, suite, plan, is_new=True, tasks=tasks, unpaid=unpaid)


def take_up(
    directory: BenchDirectory, changes: Mapping[str, Any], context: BenchContext, *, tasks_may_differ: bool = False
) -> ReadyBench:
    """A bench that was begun before, with the same suite; `tasks_may_differ` lets these differ from what they were."""
    stored = directory.read_config()
    try:
        BenchConfig.model_validate(stored)
    except ValidationError as error:
        said = f"{directory.config} does not fit: {error.errors()[0]['msg']}"
        raise AutoloopError(said, "Restore it, or begin a new bench.") from None
    wanted = {name: value for name, value in changes.items() if name in RESUMABLE}
    hours = {"group_hours": {**stored.get("group_hours", {}), **wanted.pop("group_hours", {})}}
    config = validated(BenchConfig, {**stored, **wanted, **hours}, "bench")
    with closing(BenchJournal(directory.journal)) as journal:
        state = replay(journal.read()) if directory.has_begun else None
    suite = load_suite(Path(config.suite))
    plan = state.started.plan if state else plan_of(config, suite)
    _refuse_another(suite, plan, tasks_may_differ=tasks_may_differ)
    require_groups(config, suite, plan)
    left = {key.arm for key in state.to_take()} if state else {arm.name for arm in plan.arms}
    asked = [arm for arm in plan.arms if arm.name in left and not tasks_may_differ]
    unpaid = _require_fit(config, plan.arms, directory, context, asked)
    tasks = {task.id: task for task in suite.tasks}
    return ReadyBench(directory, config, suite, plan, is_new=state is None, tasks=tasks, unpaid=unpaid)


def _require_fit(
    config: BenchConfig,
    arms: Sequence[ArmPlan],
    directory: BenchDirectory,
    context: BenchContext,
    asked: Sequence[ArmPlan],
) -> frozenset[str]:
    """Refuse what would fail at the first trial; `asked` are the arms that have trials left to take. Who is unpaid."""
    check = Preflight(config, arms, directory.path, context)
    profiles = check.require(asked if context.asks else ())
    return frozenset(arm.name for arm in arms if arm.profile in BUILT_IN or profiles[arm.name].agent in OWN_CALLS)


def order_of(ready: ReadyBench, key: TrialKey, *, regrade: bool = False) -> TrialOrder:
    """The order that a worker is given for one trial."""
    order = ready.config.order(
        key,
        ready.tasks[key.task],
        suite=str(ready.suite.root),
        directory=str(ready.directory.trial(key, ready.plan)),
        seed=ready.plan.seed_of(key),
    )
    paid = 0 if regrade or key.arm in ready.unpaid else 1
    return order.model_copy(update={"regrade": regrade, "keep": "all" if regrade else order.keep, "paid_calls": paid})


def _refuse_another(suite: Suite, plan: BenchPlan, *, tasks_may_differ: bool) -> None:
    """Refuse a resume with other tasks than those that the bench began with."""
    now = {task.id: task.digest for task in suite.tasks}
    for task in plan.tasks:
        if task.id not in now or (now[task.id] != task.digest and not tasks_may_differ):
            how = "was changed" if task.id in now else "is gone"
            said = f"task {task.id} {how} since the bench began, so its results would not compare"
            raise AutoloopError(said, "Put it back as it was, or begin a new bench.")


_LISTING = "See `autoloop bench SUITE --list`."


def plan_of(config: BenchConfig, suite: Suite) -> BenchPlan:
    """The trials of the tasks that were asked for, which are what a rate is a part of."""
    chosen = _in_order(tasks_of(suite, config.tasks, config.groups), config)
    return BenchPlan(
        arms=config.arms,
        tasks=tuple(
            TaskPlan(
                id=task.id,
                group=task.group,
                repetitions=task.repetitions,
                unsupported=task.unsupported,
                digest=task.digest,
            )
            for task in chosen
        ),
        iterations=config.iterations,
        attempts=config.attempts,
        seed=config.seed,
    )


def tasks_of(suite: Suite, tasks: Collection[str], groups: Collection[str]) -> list[SuiteTask]:
    """The tasks of a suite that are meant by names and by groups; all of them where nothing is named."""
    _refuse_unknown(suite, "task", tasks, {task.id for task in suite.tasks})
    _refuse_unknown(suite, "group", groups, {task.group for task in suite.tasks})
    chosen = [task for task in suite.tasks if (not tasks or task.id in tasks) and (not groups or task.group in groups)]
    if not chosen:
        raise AutoloopError("no task is both among those named and in the groups named", _LISTING)
    return chosen


def with_hours(config: BenchConfig, suite: Suite, plan: BenchPlan) -> BenchConfig:
    """The hours of groups that the suite names, where no others were asked for."""
    require_groups(config, suite, plan)
    chosen = {task.group for task in plan.tasks}
    hours = {group: hours for group, hours in suite.hours.items() if group in chosen}
    return config.model_copy(update={"group_hours": {**hours, **config.group_hours}})


def require_groups(config: BenchConfig, suite: Suite, plan: BenchPlan) -> None:
    """Refuse hours for a group that is not tried: whoever gives them means another one."""
    _refuse_unknown(suite, "group", config.group_hours, {task.group for task in suite.tasks})
    idle = config.group_hours.keys() - {task.group for task in plan.tasks}
    if idle:
        raise AutoloopError(f"hours are given for {sorted(idle)[0]!r}, of which no task is chosen", _LISTING)


def _refuse_unknown(suite: Suite, what: str, names: Collection[str], known: set[str]) -> None:
    for name in names:
        if name not in known:
            raise AutoloopError(f"{suite.name} has no {what} {name!r}{did_you_mean(name, sorted(known))}", _LISTING)


def _in_order(tasks: list[SuiteTask], config: BenchConfig) -> list[SuiteTask]:
    """Those that failed before come first, and `limit` of them are enough."""
    known = {task.id: task for task in tasks}
    first = [name for name in config.failing if name in known]
    if config.limit is None:
        return [*(known[name] for name in first), *(task for task in tasks if task.id not in set(first))]
    return [known[name] for name in minibatch(list(known), first, config.limit, config.seed)]


def workers_of(config: BenchConfig, *, left: int) -> int:
    """How many workers there will be: none where every result is there already."""
    if not left:
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    free = free_memory_gb()
    return worker_count(config.workers, trials=max(left, 1), cores=cores, free_gb=free)


def limits_of(config: BenchConfig) -> BenchLimits:
    """The limits that end the bench before its last trial."""
    return BenchLimits(
        max_hours=config.max_hours,
        group_hours=config.group_hours,
        max_cost_usd=config.max_cost_usd,
        max_tokens=config.max_tokens,
        min_free_gb=config.min_free_gb,
    )


def arms_of(names: Sequence[str], validation_rate: float, validation: str = "claude-code") -> tuple[ArmPlan, ...]:
    """The arms of profiles, and one that tries a share of the tasks with a stronger model."""
    arms = [ArmPlan(name=_arm_name(name), profile=name) for name in names]
    if validation_rate > 0:
        arms.append(ArmPlan(name="validation", profile=validation, share=validation_rate))
    twice = {arm.name for arm in arms if sum(other.name == arm.name for other in arms) > 1}
    if twice:
        raise AutoloopError(f"two arms are called {sorted(twice)[0]!r}", "Name each profile once.")
    return tuple(arms)


def _arm_name(profile: str) -> str:
    """A name that can be a directory's."""
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in profile).strip(".-") or "arm"


def new_bench_id() -> str:
    """A name for a bench that is unique on one machine, and sorts by time."""
    return time.strftime("%Y%m%d-%H%M%S-") + os.urandom(2).hex()


def default_arm(context: Context) -> str:
    """The profile to take when nobody names one: the default one, else the first that can be used, which is said."""
    settings = load_settings(context.root, context.environ, user_config(context.environ))
    if says_which(settings):
        return choose(settings, None).name
    profile, said = first_usable(settings, context.root, context.environ, has_knobs=False)
    context.on_progress(Progress("notice", text=said))
    return profile.name
