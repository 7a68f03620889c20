"""Which trials a bench has, how many workers take them, and what ends it; what makes no plan is refused."""

import os
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from autoloop.core.suite.config import BenchConfig
from autoloop.core.suite.pacing import worker_count
from autoloop.core.suite.plan import ArmPlan, BenchPlan, TaskPlan
from autoloop.core.suite.reuse import minibatch
from autoloop.core.suite.stopping import BenchLimits
from autoloop.core.suite.task import SuiteTask
from autoloop.errors import AutoloopError
from autoloop.fields import did_you_mean
from autoloop.machine import free_memory_gb
from autoloop.ports import OnProgress, Progress, Suite
from autoloop.profiles import choose, load_settings, says_which, user_config
from autoloop.trying import first_usable

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
    """What ends the bench before its last trial."""
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
    """Unique enough for one machine, and sorted by time."""
    return time.strftime("%Y%m%d-%H%M%S-") + os.urandom(2).hex()


def default_arm(root: Path, environ: Mapping[str, str], on_progress: OnProgress) -> str:
    """The profile to take when nobody names one: the default one, else the first that can be used, which is said."""
    settings = load_settings(root, environ, user_config(environ))
    if says_which(settings):
        return choose(settings, None).name
    profile, said = first_usable(settings, root, environ, has_knobs=False)
    on_progress(Progress("notice", text=said))
    return profile.name
