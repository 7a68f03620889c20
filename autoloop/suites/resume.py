"""Resuming a bench: its parts put together around a journal, whether that is empty or long."""

import sys
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from autoloop.core.suite.events import BenchEvent, BenchStarted
from autoloop.core.suite.plan import BenchConfig
from autoloop.core.suite.state import BenchState, after, begun, replay
from autoloop.core.suite.tasks import TrialKey
from autoloop.host.machine import ThisMachine, awake
from autoloop.host.standstill import Pulse
from autoloop.ports import Progress
from autoloop.suites.containers.engine import find_engine, swept
from autoloop.suites.create import BenchContext, ReadyBench, limits_of, order_of, workers_of
from autoloop.suites.loop import SuiteLoop
from autoloop.suites.pace import NAME as PACE
from autoloop.suites.pace import SharedPace
from autoloop.suites.pool import Pool
from autoloop.suites.record import BenchJournal
from autoloop.suites.regrade import RegradeLoop, regradable
from autoloop.suites.reuse import Reuse, SharedResults
from autoloop.suites.views import BenchViews


def run_bench(ready: ReadyBench, context: BenchContext, *, regrading: bool = False) -> BenchState:
    """Go on with a bench from wherever its journal ends, until it is done or there is a reason to stop.

    With `regrading` no trial is taken: the workspaces that were kept are verified once more.
    """
    with ExitStack() as stack:
        stack.enter_context(ready.directory.held())
        views = BenchViews(ready.directory, ready.plan)
        reuse = None if regrading else _reuse(ready.config, context)
        journal = stack.enter_context(closing(_journal(ready, context, views, reuse)))
        pulse = stack.enter_context(Pulse())
        machine = ThisMachine(ready.directory.path, still=pulse.still)
        state = _taken_up(ready, journal, views, reuse, machine.now())
        stack.enter_context(awake())
        count = workers_of(ready.config, left=len(state.results if regrading else state.to_take()))
        stack.enter_context(_without_containers(ready, context))
        pool = stack.enter_context(_pool(ready, context, count))
        loop = _loop(ready, context, _Parts(views, journal, machine, pool, count), state, regrading=regrading)
        return loop.run()


@dataclass(frozen=True)
class _Parts:
    """The parts that one process has for its bench."""

    views: BenchViews
    journal: BenchJournal
    machine: ThisMachine
    pool: Pool
    count: int
    """The number of workers."""


def _loop(ready: ReadyBench, context: BenchContext, parts: _Parts, state: BenchState, *, regrading: bool) -> SuiteLoop:
    pace = SharedPace(ready.directory.path / PACE, ready.config.max_rpm)
    pace.begin_anew()

    def on_worker(worker: int, key: TrialKey | None, phase: str, text: str) -> None:
        parts.views.on_worker(worker, key, phase, text)
        context.on_worker(worker, key, phase, text)

    loop = SuiteLoop(
        state=state,
        ledger=parts.journal,
        workers=parts.pool,
        machine=parts.machine,
        order=lambda key: order_of(ready, key, regrade=regrading),
        limits=limits_of(ready.config),
        count=parts.count,
        pace=pace,
        stop=lambda: context.signals.stop,
        stop_now=lambda: context.signals.stop_now,
        on_worker=on_worker,
        say=lambda text: context.on_progress(Progress("waiting", text=text)),
    )
    return RegradeLoop(**vars(loop), left=regradable(state.results.items())) if regrading else loop


def _journal(ready: ReadyBench, context: BenchContext, views: BenchViews, reuse: Reuse | None) -> BenchJournal:
    """The journal, with who is told of each event."""

    def followed(event: BenchEvent, state: BenchState, length: int) -> None:
        views.on_append(event, state, length)
        if reuse is not None:
            reuse.keep(event, partial(order_of, ready))
        context.on_state(state)

    journal = BenchJournal(ready.directory.journal, followed)
    journal.say_repaired(context.on_progress)
    return journal


def _pool(ready: ReadyBench, context: BenchContext, count: int) -> Pool:
    place = ready.directory.path
    command = [sys.executable, "-P", "-m", "autoloop.suites.worker", str(place), "--root", str(context.root)]
    return Pool(command, count, cwd=place, env=context.environ, run_id=ready.config.bench_id)


def _without_containers(ready: ReadyBench, context: BenchContext) -> AbstractContextManager[None]:
    """Containers of its trials are gone before and after, where some of them take one; which engine makes them."""
    tasks = [ready.tasks[task.id] for task in ready.plan.tasks]
    if ready.config.containers == "never" or not any(task.container for task in tasks):
        return nullcontext()
    if needing := sum(bool(task.contained and not task.unsupported) for task in tasks):
        found = find_engine(context.environ)
        here = f"made by {found.engine.name}" if found.engine else f"unsupported here, because {found.why}"
        text = f"{needing} of {len(tasks)} tasks need a container: {here}"
        context.on_progress(Progress("notice", text=text))
    return swept(context.environ, ready.directory.path.resolve())


def _taken_up(
    ready: ReadyBench, journal: BenchJournal, views: BenchViews, reuse: Reuse | None, now: float
) -> BenchState:
    """The state at the journal's end: begun where that is still to do, and with every result that is shared."""
    state = _new(ready, journal, now) if ready.is_new else replay(journal.read())
    views.rebuild(state)
    for event in reuse.over(state.to_take(), partial(order_of, ready), now) if reuse else ():
        reached = after(state, event)
        journal.append(event, reached)
        state = reached
    return state


def _new(ready: ReadyBench, journal: BenchJournal, now: float) -> BenchState:
    started = _started(ready, now)
    state = begun(started)
    journal.append(started, state)
    return state


def _reuse(config: BenchConfig, context: BenchContext) -> Reuse | None:
    """What shares results with other benches, where that was asked for."""
    if config.reuse is None:
        return None
    files = tuple(Path(path) for path in config.depends_on)
    return Reuse(SharedResults(Path(config.reuse)), context.root, context.environ, files)


def _started(ready: ReadyBench, at: float) -> BenchStarted:
    return BenchStarted(
        at=at,
        bench_id=ready.config.bench_id,
        suite=ready.suite.name,
        suite_path=str(ready.suite.root),
        suite_version=ready.suite.version,
        plan=ready.plan,
    )
