"""Carrying a run on: its parts put together around a journal, whether that is empty or long."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from autoloop import process
from autoloop.bench import SlotBench
from autoloop.canary import check_canary, linked_environments
from autoloop.core.diagnosis import diagnose
from autoloop.core.run import RunState
from autoloop.core.summary import Summary, summarise
from autoloop.creation import cache_directory, home_of, trees_of
from autoloop.errors import AutoloopError
from autoloop.loop import Loop
from autoloop.machine import ThisMachine, awake
from autoloop.ports import OnNews, OnProgress, Parts, Progress
from autoloop.preparation import Services, prepare_trees, require_room
from autoloop.profiles import make_agent
from autoloop.prompts import prompt
from autoloop.repository import Repository
from autoloop.seal import SealedProgram
from autoloop.steering import FileSteering, Signals, ask
from autoloop.stores.directory import ExperimentFiles, RunDirectory
from autoloop.stores.journal import FileJournal
from autoloop.stores.record import RunRecord
from autoloop.stores.views import Views
from autoloop.trees import GitTrees


@dataclass(frozen=True)
class Outcome:
    """What a process made of a run."""

    summary: Summary
    why_nothing_kept: tuple[str, ...]
    """Why a run ended without a keep; empty when something was kept."""


def carry_on(
    repository: Repository,
    directory: RunDirectory,
    *,
    environ: Mapping[str, str],
    signals: Signals,
    on_progress: OnProgress,
    on_news: OnNews = lambda rows, summary: None,
    until_prepared: bool = False,
) -> Outcome | None:
    """Go on with a run from wherever its journal ends, until there is a reason to stop.

    With `until_prepared` only what happens once per tree is done: for a run that another process will carry.
    """
    record = directory.read_record()
    with held(directory):
        process.sweep_run(record.run_id)
        views = Views(directory, record.program.limits, record.sandbox, on_news)

        def progress(sign: Progress) -> None:
            views.on_progress(sign)
            on_progress(sign)

        journal = FileJournal(directory.journal, views.on_append)
        if journal.repaired:
            on_progress(Progress("repaired", text=f"{journal.repaired} bytes of a torn last line of the journal"))
        state = views.rebuild(journal.read(), RunState(record.program.criteria))
        ask(directory, stop=None)
        steering = FileSteering(directory, signals)
        trees = trees_of(repository, record, cache_directory(environ))
        sealed = SealedProgram(directory.sealed, record.seal)
        bench = _bench(record, trees, sealed, environ, steering.now)
        _make_ready(repository, record, state, trees, bench, environ, progress)
        if until_prepared:
            return None
        parts = Parts(
            agent=make_agent(record.profile, repository.root, environ),
            trees=trees,
            bench=bench,
            seal=sealed,
            journal=journal,
            steering=steering,
            machine=ThisMachine(directory.path),
            files=ExperimentFiles(directory),
            prompt=prompt("experiment").text,
            on_progress=progress,
        )
        with awake(), _services(record, directory, repository.root, bench):
            state = Loop(record.program, parts, state).run()
        journal.close()
    summary = summarise(state, record.program.limits, phase="stopped", sandbox=record.sandbox)
    return Outcome(summary, diagnose(state))


@contextmanager
def held(directory: RunDirectory) -> Iterator[None]:
    """Hold the run's lock, which dies with this process."""
    from filelock import FileLock, Timeout

    lock = FileLock(directory.lock, timeout=1)
    try:
        lock.acquire()
    except Timeout:
        raise AutoloopError(
            f"run {directory.run_id} is carried by another process", f"See `autoloop status {directory.run_id}`."
        ) from None
    try:
        yield
    finally:
        lock.release()


def _bench(
    record: RunRecord, trees: GitTrees, sealed: SealedProgram, environ: Mapping[str, str], cancelled: Callable[[], bool]
) -> SlotBench:
    scratch = home_of(record.run_id, cache_directory(environ)) / "scratch"
    return SlotBench(record.program, trees, sealed, scratch, record.run_id, environ, cancelled)


def _make_ready(
    repository: Repository,
    record: RunRecord,
    state: RunState,
    trees: GitTrees,
    bench: SlotBench,
    environ: Mapping[str, str],
    on_progress: OnProgress,
) -> None:
    """What comes before the loop: room, trees, `prepare.sh`, and before the first measurement the canary."""
    home, program = home_of(record.run_id, cache_directory(environ)), record.program
    opening = trees.open(record.start)
    for warning in opening.warnings:
        on_progress(Progress("warning", text=warning))
    if not trees.path("agent").exists():
        require_room(opening.bytes_needed, home)
        on_progress(Progress("opening", text=f"{opening.bytes_needed / 1e6:.0f} MB of disk for three trees in {home}"))
    scripts = bench.sealed.directory
    prepare_trees(program, trees, scripts, state.head, home, bench.environment(home), on_progress)
    if program.measuring.canary and state.baseline is None:
        on_progress(Progress("canary"))
        texts = "\n".join((scripts / name).read_text(errors="replace") for name in program.scripts)
        links = linked_environments(repository.root, program.scope.share_paths, environ)

        def measure(removed: Callable[[str], bool] | None):  # type: ignore[no-untyped-def]
            return bench.sample_without(record.start, removed, trees.strip)

        check_canary(program, measure, texts, links, repository.root)


@contextmanager
def _services(record: RunRecord, directory: RunDirectory, root: Path, bench: SlotBench) -> Iterator[None]:
    if not record.program.has("services.sh"):
        try:
            yield
        finally:
            bench.close()
        return
    services = Services(directory.sealed, root, bench.environment(root))
    services.start()
    try:
        yield
    finally:
        services.stop()
        bench.close()
