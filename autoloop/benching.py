"""A bench that can be carried on: begun, or taken up where it was left, and refused where it could not work."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from autoloop.agents import OWN_CALLS
from autoloop.bench_planning import plan_of, require_groups, with_hours
from autoloop.core.suite.config import RESUMABLE, BenchConfig
from autoloop.core.suite.order import TrialOrder
from autoloop.core.suite.plan import BUILT_IN, ArmPlan, BenchPlan
from autoloop.core.suite.state import BenchState, replay
from autoloop.core.suite.task import SuiteTask
from autoloop.core.suite.trial import TrialKey
from autoloop.errors import AutoloopError
from autoloop.fields import validated
from autoloop.ports import OnProgress, OnWorker, Suite
from autoloop.preflight import Preflight
from autoloop.sources import load_suite
from autoloop.steering import Signals
from autoloop.stores.bench_directory import BenchDirectory
from autoloop.stores.bench_journal import BenchJournal

OnState = Callable[[BenchState], None]


@dataclass(frozen=True)
class Around:
    """Where a bench is carried, and who follows it."""

    root: Path
    """The repository, or the directory that stands for one."""
    environ: Mapping[str, str]
    signals: Signals
    on_progress: OnProgress
    on_state: OnState = lambda state: None
    """Told after each event."""
    on_worker: OnWorker = lambda worker, key, phase, text: None
    asks: bool = True
    """Whether models are asked for a token before anything begins."""


@dataclass(frozen=True)
class Ready:
    """A bench that can be carried on."""

    directory: BenchDirectory
    config: BenchConfig
    suite: Suite
    plan: BenchPlan
    is_new: bool
    tasks: dict[str, SuiteTask] = field(repr=False, default_factory=dict)
    unpaid: frozenset[str] = frozenset()
    """The arms whose calls are not paid for when a trial is handed out: none are made, or each waits for its turn."""


def begin(directory: BenchDirectory, config: BenchConfig, around: Around) -> Ready:
    """A new bench, refused before anything is written when it could not work."""
    if directory.exists:
        said = f"there is a bench in {directory.path} already"
        raise AutoloopError(said, f"Go on with it: `autoloop bench --resume {directory.path}`, or name another output.")
    suite = load_suite(Path(config.suite))
    plan = plan_of(config, suite)
    config = with_hours(config, suite, plan)
    unpaid = _require_fit(config, plan.arms, directory, around, plan.arms)
    directory.path.mkdir(parents=True, exist_ok=True)
    directory.write_config(config.model_dump(mode="json"))
    tasks = {task.id: task for task in suite.tasks}
    return Ready(directory, config, suite, plan, is_new=True, tasks=tasks, unpaid=unpaid)


def take_up(directory: BenchDirectory, changes: Mapping[str, Any], around: Around, *, mended: bool = False) -> Ready:
    """A bench that was begun before, with the same suite; `mended` lets its tasks differ from what they were."""
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
        state = replay(journal.read()) if directory.has_begun else BenchState()
    started = state.started
    suite = load_suite(Path(config.suite))
    plan = started.plan if started else plan_of(config, suite)
    _refuse_another(suite, plan, mended=mended)
    require_groups(config, suite, plan)
    left = {key.arm for key in state.to_take()} if started else {arm.name for arm in plan.arms}
    asked = [arm for arm in plan.arms if arm.name in left and not mended]
    unpaid = _require_fit(config, plan.arms, directory, around, asked)
    tasks = {task.id: task for task in suite.tasks}
    return Ready(directory, config, suite, plan, is_new=started is None, tasks=tasks, unpaid=unpaid)


def _require_fit(
    config: BenchConfig, arms: Sequence[ArmPlan], directory: BenchDirectory, around: Around, asked: Sequence[ArmPlan]
) -> frozenset[str]:
    """Refuse what would fail at the first trial; `asked` are the arms that have trials left to take. Who is unpaid."""
    check = Preflight(config, arms, directory.path, around.root, around.environ, around.on_progress)
    profiles = check.require(asked if around.asks else ())
    return frozenset(arm.name for arm in arms if arm.profile in BUILT_IN or profiles[arm.name].agent in OWN_CALLS)


def order_of(ready: Ready, key: TrialKey, *, regrade: bool = False) -> TrialOrder:
    """What a worker is told of one trial."""
    order = ready.config.order(
        key,
        ready.tasks[key.task],
        suite=str(ready.suite.root),
        directory=str(ready.directory.trial(key, ready.plan)),
        seed=ready.plan.seed_of(key),
    )
    paid = 0 if regrade or key.arm in ready.unpaid else 1
    return order.model_copy(update={"regrade": regrade, "keep": "all" if regrade else order.keep, "paid_calls": paid})


def _refuse_another(suite: Suite, plan: BenchPlan, *, mended: bool) -> None:
    """A resume goes on with the very tasks that the bench began with."""
    now = {task.id: task.digest for task in suite.tasks}
    for task in plan.tasks:
        if task.id not in now or (now[task.id] != task.digest and not mended):
            how = "was changed" if task.id in now else "is gone"
            said = f"task {task.id} {how} since the bench began, so its results would not compare"
            raise AutoloopError(said, "Put it back as it was, or begin a new bench.")
