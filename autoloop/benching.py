"""`bench`: a suite, its arms and this machine put together around a journal, whether that is empty or long."""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from autoloop.agents import OWN_CALLS
from autoloop.bench_planning import limits_of, plan_of, require_groups, with_hours, workers_of
from autoloop.containers import find_engine, swept
from autoloop.core.suite.config import RESUMABLE, BenchConfig
from autoloop.core.suite.events import BenchEvent, BenchStarted
from autoloop.core.suite.order import TrialOrder
from autoloop.core.suite.plan import BUILT_IN, ArmPlan, BenchPlan
from autoloop.core.suite.state import BenchState, replay
from autoloop.core.suite.task import SuiteTask
from autoloop.core.suite.trial import TrialKey
from autoloop.errors import AutoloopError
from autoloop.fields import validated
from autoloop.machine import ThisMachine, awake
from autoloop.ports import OnProgress, OnWorker, Progress, Suite
from autoloop.preflight import Preflight
from autoloop.pulse import Pulse
from autoloop.reusing import Reuse
from autoloop.sources import load_suite
from autoloop.steering import Signals
from autoloop.stores.bench_directory import BenchDirectory
from autoloop.stores.bench_journal import BenchJournal
from autoloop.stores.bench_views import BenchViews
from autoloop.stores.pace_file import NAME as PACE
from autoloop.stores.pace_file import SharedPace
from autoloop.stores.shared_results import SharedResults
from autoloop.suites.loop import SuiteLoop
from autoloop.suites.regrading import Regrading, regradable
from autoloop.workers import Pool

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


def carry_on(ready: Ready, around: Around, *, regrading: bool = False) -> BenchState:
    """Go on with a bench from wherever its journal ends, until it is done or there is a reason to stop.

    With `regrading` no trial is taken: the workspaces that were kept are verified once more.
    """
    directory, config = ready.directory, ready.config
    with ExitStack() as stack:
        stack.enter_context(directory.held())
        views = BenchViews(directory, ready.plan)
        reuse = None if regrading else _reuse(config, around)

        def followed(event: BenchEvent, state: BenchState, length: int) -> None:
            views.on_append(event, state, length)
            if reuse is not None:
                reuse.keep(event, partial(order_of, ready))
            around.on_state(state)

        journal = stack.enter_context(closing(BenchJournal(directory.journal, followed)))
        if journal.repaired:
            around.on_progress(
                Progress("repaired", text=f"{journal.repaired} bytes of a torn last line of the journal")
            )
        pulse = stack.enter_context(Pulse())
        machine = ThisMachine(directory.path, still=pulse.still)
        pace = SharedPace(directory.path / PACE, config.max_rpm)
        pace.begin_anew()
        state = _taken_up(ready, journal, views, reuse, machine.now())
        stack.enter_context(awake())
        count = workers_of(config, left=len(state.results if regrading else state.to_take()))
        stack.enter_context(_without_containers(ready, around))
        command = [sys.executable, "-P", "-m", "autoloop.worker", str(directory.path), "--root", str(around.root)]
        pool = stack.enter_context(Pool(command, count, cwd=directory.path, env=around.environ, run_id=config.bench_id))

        def on_worker(worker: int, key: TrialKey | None, phase: str, text: str) -> None:
            views.on_worker(worker, key, phase, text)
            around.on_worker(worker, key, phase, text)

        loop = SuiteLoop(
            state=state,
            ledger=journal,
            workers=pool,
            machine=machine,
            order=lambda key: order_of(ready, key, regrade=regrading),
            limits=limits_of(config),
            count=count,
            pace=pace,
            stop=lambda: around.signals.stop,
            stop_now=lambda: around.signals.stop_now,
            on_worker=on_worker,
            say=lambda text: around.on_progress(Progress("waiting", text=text)),
        )
        if regrading:
            loop = Regrading(**vars(loop), left=regradable(state.results.items()))
        return loop.run()


def _without_containers(ready: Ready, around: Around) -> AbstractContextManager[None]:
    """Containers of its trials are gone before and after, where some of them take one; which engine makes them."""
    tasks = [ready.tasks[task.id] for task in ready.plan.tasks]
    if ready.config.containers == "never" or not any(task.container for task in tasks):
        return nullcontext()
    if needing := sum(bool(task.contained and not task.unsupported) for task in tasks):
        found = find_engine(around.environ)
        here = f"made by {found.engine.name}" if found.engine else f"unsupported here, because {found.why}"
        text = f"{needing} of {len(tasks)} tasks need a container: {here}"
        around.on_progress(Progress("notice", text=text))
    return swept(around.environ, ready.directory.path.resolve())


def _taken_up(ready: Ready, journal: BenchJournal, views: BenchViews, reuse: Reuse | None, now: float) -> BenchState:
    """The state at the journal's end: begun where that is still to do, and with every result that is shared."""
    state = BenchState() if ready.is_new else replay(journal.read())
    views.rebuild(state)
    if state.started is None:
        started = _started(ready, now)
        state.fold(started)
        journal.append(started, state)
    for event in reuse.over(state.to_take(), partial(order_of, ready), now) if reuse else ():
        state.fold(event)
        journal.append(event, state)
    return state


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


def _reuse(config: BenchConfig, around: Around) -> Reuse | None:
    """What shares results with other benches, where that was asked for."""
    if config.reuse is None:
        return None
    files = tuple(Path(path) for path in config.depends_on)
    return Reuse(SharedResults(Path(config.reuse)), around.root, around.environ, files)


def _started(ready: Ready, at: float) -> BenchStarted:
    return BenchStarted(
        at=at,
        bench_id=ready.config.bench_id,
        suite=ready.suite.name,
        suite_path=str(ready.suite.root),
        suite_version=ready.suite.version,
        plan=ready.plan,
    )


def _refuse_another(suite: Suite, plan: BenchPlan, *, mended: bool) -> None:
    """A resume goes on with the very tasks that the bench began with."""
    now = {task.id: task.digest for task in suite.tasks}
    for task in plan.tasks:
        if task.id not in now or (now[task.id] != task.digest and not mended):
            how = "was changed" if task.id in now else "is gone"
            said = f"task {task.id} {how} since the bench began, so its results would not compare"
            raise AutoloopError(said, "Put it back as it was, or begin a new bench.")
