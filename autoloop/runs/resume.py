"""Resuming a run: its parts put together around a journal, whether that is empty or long."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from autoloop import process
from autoloop.agents.make import make_agent
from autoloop.config.prompts import prompt
from autoloop.core.run.events import Sampled
from autoloop.core.run.measurement import MeasurementFailure, Sample
from autoloop.core.run.replay import after
from autoloop.core.run.state import CALIBRATION, RunState
from autoloop.core.run.summary import Summary, diagnose, summarise
from autoloop.errors import AutoloopError
from autoloop.git.git_trees import GitTrees
from autoloop.git.homes import occupied
from autoloop.git.repository import tree_of
from autoloop.host.machine import ThisMachine, awake
from autoloop.host.signals import Signals
from autoloop.host.standstill import Pulse
from autoloop.measure.canary import check_canary, linked_environments, spoiler
from autoloop.measure.guarded import GuardedAgent, GuardedSampler
from autoloop.measure.prepare import build_trees, prepare_trees, require_room, services, vacant_slots
from autoloop.measure.sampler import SlotSampler
from autoloop.measure.seal import SealedProgram
from autoloop.ports import Agent, Cell, OnNews, OnProgress, Parts, Progress
from autoloop.runs.calibrations import Calibrations
from autoloop.runs.confine import HOMES, agents_cell, sandbox_of_run, withheld
from autoloop.runs.context import RunContext
from autoloop.runs.control import FileSteering, ask, check_limits, read_control
from autoloop.runs.create import RunOptions, home_of, trees_of, unfinished_run
from autoloop.runs.directory import ExperimentFiles, RunDirectory, held
from autoloop.runs.find import find_run
from autoloop.runs.loop import Loop
from autoloop.runs.record import FileJournal, RunRecord, read_record
from autoloop.runs.views import Views


@dataclass(frozen=True)
class RunEnd:
    """The end of a run in one process: its state, and why nothing was kept."""

    summary: Summary
    why_nothing_kept: tuple[str, ...]
    """Why a run ended without a keep; empty when something was kept."""


def resume_run(
    context: RunContext,
    directory: RunDirectory,
    *,
    on_news: OnNews = lambda rows, summary: None,
    until_prepared: bool = False,
    work: Callable[[Loop], RunState] = Loop.run,
) -> RunEnd | None:
    """Go on with a run from wherever its journal ends, until there is a reason to stop.

    With `until_prepared` only what happens once per tree is done: for a run that another process will carry.
    """
    record, repository = read_record(directory), context.repository
    home = home_of(record.run_id, context.cache)
    with held(directory), occupied(home, context.root):
        process.sweep_run(record.run_id)
        views = Views(directory, record.program.limits, record.sandbox, on_news)

        def progress(sign: Progress) -> None:
            views.on_progress(sign)
            context.on_progress(sign)

        seen = replace(context, on_progress=progress)

        with closing(FileJournal(directory.journal, views.on_append)) as journal:
            journal.say_repaired(context.on_progress)
            state = views.rebuild(journal.read(), RunState(record.program.criteria))
            ask(directory, stop=None)
            steering = FileSteering(directory, context.signals)
            trees, sampler = _opened(seen, directory, record, steering.now)
            _make_ready(seen, record, state, trees, sampler)
            with awake(), Pulse() as pulse, services(sampler, context.root):
                _ask_canary(seen, record, state, trees, sampler)
                if until_prepared:
                    return None
                build_trees(sampler, state.head, home, progress, vacant_slots(state))
                known = Calibrations(context.cache, record.program, record.seal, tree_of(repository, record.start))
                state = _recalled(state, known, record, journal, progress)
                agent = make_agent(record.profile, context.root, context.environ, record.fallback)
                machine = ThisMachine(directory.path, home, repository.common_dir / "objects", still=pulse.still)
                cell = agents_cell(trees, home, record.program)
                parts = _parts(directory, agent, trees, sampler, journal, steering, progress, cell, machine)
                state = work(Loop(record.program, parts, state))
                _leave(known, journal, views, record, progress)
    summary = summarise(state, record.program.limits, phase="stopped", sandbox=record.sandbox)
    return RunEnd(summary, diagnose(state))


def _leave(known: Calibrations, journal: FileJournal, views: Views, record: RunRecord, progress: OnProgress) -> None:
    """What is left to do once the loop has ended: a dear calibration is remembered, and what lags behind is said."""
    with suppress(AutoloopError, OSError):
        known.remember(journal.read(), record.seed)
    if views.behind:
        text = "no space left: results.tsv and ideas.md lack what is newest until the run is resumed"
        progress(Progress("warning", text=text))


def _parts(
    directory: RunDirectory,
    agent: Agent,
    trees: GitTrees,
    sampler: SlotSampler,
    journal: FileJournal,
    steering: FileSteering,
    progress: OnProgress,
    cell: Cell,
    machine: ThisMachine,
) -> Parts:
    return Parts(
        agent=GuardedAgent(agent),
        trees=trees,
        sampler=GuardedSampler(sampler, trees.intact),
        seal=sampler.sealed,
        journal=journal,
        steering=steering,
        machine=machine,
        files=ExperimentFiles(directory),
        sandbox=sampler.sandbox,
        cell=cell,
        prompt=prompt(str(directory.prompt) if directory.prompt.exists() else "experiment").text,
        on_progress=progress,
    )


def _recalled(
    state: RunState, calibrations: Calibrations, record: RunRecord, journal: FileJournal, say: OnProgress
) -> RunState:
    """The state with a remembered calibration in it, when this run begins from the same thing with the same seed."""
    now = time.time()
    known = calibrations.recall(now) if state.baseline is None and not state.series.taken else None
    if known is None or known.seed != record.seed:
        return state
    say(Progress("notice", text="calibrated from samples that were taken of this very code within the last day"))
    for taken in known.taken:
        event = Sampled(at=now, experiment=CALIBRATION, commit=record.start, taken=taken)
        journal.append(event, state := after(state, event))
    return state


def _opened(
    context: RunContext, directory: RunDirectory, record: RunRecord, cancelled: Callable[[], bool]
) -> tuple[GitTrees, SlotSampler]:
    """The trees of a run, and its sampler in them."""
    trees, home = trees_of(context, record), home_of(record.run_id, context.cache)
    sealed = SealedProgram(directory.sealed, record.seal)
    sandbox = sandbox_of_run(record, context)
    sampler = SlotSampler(
        record.program,
        trees,
        sealed,
        home / "scratch",
        record.run_id,
        context.environ,
        cancelled,
        homes=home / HOMES,
        sandbox=sandbox,
        holdout_paths=withheld(context, record.program),
    )
    return trees, sampler


def _make_ready(context: RunContext, record: RunRecord, state: RunState, trees: GitTrees, sampler: SlotSampler) -> None:
    """What comes before any measurement: room, trees, `prepare.sh`."""
    home, on_progress = home_of(record.run_id, context.cache), context.on_progress
    opening = trees.open(record.start)
    for warning in opening.warnings:
        on_progress(Progress("warning", text=warning))
    if not trees.path("agent").exists():
        require_room(opening.bytes_needed, home)
        on_progress(Progress("opening", text=f"{opening.bytes_needed / 1e6:.0f} MB of disk for three trees in {home}"))
    prepare_trees(sampler, state.head, home, on_progress, vacant_slots(state))


def _ask_canary(context: RunContext, record: RunRecord, state: RunState, trees: GitTrees, sampler: SlotSampler) -> None:
    """Before the first measurement; where the program wants it."""
    program, scripts = record.program, sampler.sealed.directory
    if state.baseline is not None or not program.measuring.canary:
        return
    context.on_progress(Progress("canary"))
    texts = "\n".join((scripts / name).read_text(errors="replace") for name in program.scripts)
    links = linked_environments(context.root, program.scope.share_paths, context.environ)

    def measure(removed: Callable[[str], bool] | None) -> Sample | MeasurementFailure:
        return sampler.sample_without(record.start, removed, spoiler(trees))

    check_canary(program, measure, texts, links, context.root)


def resume(
    path: Path,
    slug: str,
    run_id: str | None,
    options: RunOptions,
    *,
    signals: Signals,
    on_progress: OnProgress,
    on_news: OnNews = lambda rows, summary: None,
    environ: Mapping[str, str] = os.environ,
) -> RunEnd:
    """Resume a run, also past a limit that is raised here."""
    context = RunContext.at(path, environ, on_progress, signals)
    # Without a run named and a limit raised, what was killed is meant rather than what has ended.
    killed = None if run_id or options.limits else unfinished_run(context.root, slug)
    directory = killed or find_run(context.root, run_id or slug)
    record = read_record(directory)
    if options.rule not in (None, record.program.criteria.rule.value):
        raise AutoloopError("the rule of a run cannot change", "Start a new run with the other rule.")
    limits = dict(options.limits or {})
    if limits:
        check_limits(limits, record.program.limits)
        kept = read_control(directory.path / "control.json").get("limits") or {}
        ask(directory, limits={**kept, **limits})
    outcome = resume_run(context, directory, on_news=on_news)
    assert outcome is not None
    return outcome
