"""The verb `run`: the program, the profile and the limits that a person chose, checked; then the loop begins."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from autoloop import process
from autoloop.agents.knobs import check
from autoloop.agents.make import make_agent
from autoloop.agents.probe import first_usable
from autoloop.agents.profiles import Profile, Settings, choose, fallback_of, load_settings, says_which
from autoloop.config.places import user_config
from autoloop.config.programs import find_program, load_program
from autoloop.core.run.program import Program, Rule
from autoloop.core.run.replay import replay
from autoloop.core.run.state import RunState
from autoloop.core.text import resume_command
from autoloop.errors import AutoloopError
from autoloop.git.repository import Repository, is_dirty, is_tracked, read_at_head
from autoloop.ports import OnProgress, Progress
from autoloop.runs.confine import sandbox_for
from autoloop.runs.context import RunContext
from autoloop.runs.control import check_limits
from autoloop.runs.create import RunOptions, create_run, discard_run, trees_of, unfinished_run
from autoloop.runs.directory import RunDirectory
from autoloop.runs.find import is_alive
from autoloop.runs.record import read_events, read_record
from autoloop.runs.resume import resume_run

if TYPE_CHECKING:
    from autoloop.host.signals import Signals
    from autoloop.ports import OnNews
    from autoloop.runs.resume import RunEnd


def create(context: RunContext, path: Path, slug: str, options: RunOptions) -> RunDirectory:
    """A new run, with its notices said: what it leaves out, and what was left unfinished."""
    repository, on_progress = context.repository, context.on_progress
    program, source = program_of(repository, path, slug)
    program = _with_options(program, options)
    settings = load_settings(context.root, context.environ, user_config(context.environ))
    profile = _profile(context, program, options, settings)
    fallback = fallback_of(settings, profile)
    unfinished = unfinished_run(repository.root, program.slug)
    if unfinished is not None:
        command = resume_command(program.slug, unfinished.run_id)
        on_progress(Progress("notice", text=f"run {unfinished.run_id} is unfinished; to go on with it: {command}"))
    if is_dirty(repository):
        text = f"the checkout has uncommitted edits; the run starts from HEAD ({repository.head[:10]}) without them"
        on_progress(Progress("notice", text=text))
    tier = sandbox_for(settings.sandbox, context, program).sandbox.tier
    return create_run(context, program, source, profile, fallback, seed=options.seed, sandbox=tier)


def program_of(repository: Repository, path: Path, slug: str) -> tuple[Program, Path]:
    """A program by its slug or path, and the directory that it was read from."""
    source = find_program(repository.root, slug, path.resolve())
    return load_program(repository.root, source, lambda name: is_tracked(repository, name)), source


def _with_options(program: Program, options: RunOptions) -> Program:
    limits = dict(options.limits or {})
    check_limits(limits, program.limits)
    criteria = program.criteria
    if options.rule is not None:
        criteria = criteria.model_copy(update={"rule": Rule(options.rule)})
    return program.model_copy(update={"limits": program.limits.model_copy(update=limits), "criteria": criteria})


def _profile(context: RunContext, program: Program, options: RunOptions, settings: Settings) -> Profile:
    """The profile in force; what is wrong with it, or with the knobs, is said before anything starts."""
    has_knobs = bool(program.tuning.knobs)
    if options.profile or says_which(settings):
        profile = choose(settings, options.profile)
    else:
        profile, said = first_usable(settings, context.root, context.environ, has_knobs=has_knobs)
        context.on_progress(Progress("notice", text=said))
    make_agent(profile, context.root, context.environ, fallback_of(settings, profile))
    if profile.agent == "tuner":
        # As the run will find them: edits that are not committed are not part of it.
        check(program.tuning.knobs, lambda file: read_at_head(context.repository, file))
    return profile


def discard_unless_begun(context: RunContext, directory: RunDirectory) -> None:
    """A run that could not measure its baseline is none, unless another process took it up meanwhile.

    What cannot be undone stays: why the run did not begin matters more.
    """
    with suppress(AutoloopError, OSError):
        criteria = read_record(directory).program.criteria
        begun = replay(read_events(directory.journal), RunState(criteria)).baseline is not None
        if not begun and not is_alive(directory):
            discard_run(directory, trees_of(context, read_record(directory)))


def run(
    path: Path,
    slug: str,
    options: RunOptions,
    *,
    signals: Signals,
    on_progress: OnProgress,
    on_news: OnNews = lambda rows, summary: None,
    environ: Mapping[str, str] = os.environ,
) -> RunEnd:
    """Start a run of a program and work on it to its end. What fails before the first experiment leaves nothing."""
    context = RunContext.at(path, environ, on_progress, signals)
    directory = create(context, path, slug, options)
    try:
        outcome = resume_run(context, directory, on_news=on_news)
    except BaseException:
        discard_unless_begun(context, directory)
        raise
    assert outcome is not None
    return outcome


def detach(
    path: Path,
    slug: str,
    options: RunOptions,
    *,
    signals: Signals,
    on_progress: OnProgress,
    environ: Mapping[str, str] = os.environ,
) -> str:
    """Start a run, prepare its trees, and leave it to a process that survives the terminal; the run's id."""
    context = RunContext.at(path, environ, on_progress, signals)
    directory = create(context, path, slug, options)
    try:
        resume_run(context, directory, until_prepared=True)
    except BaseException:
        discard_unless_begun(context, directory)
        raise
    resuming = ["run", directory.slug, "--resume", "--run", directory.run_id]
    with (directory.path / "run.log").open("ab") as log:
        command = [sys.executable, "-m", "autoloop", "-C", str(context.root), *resuming]
        process.start_detached(command, env=environ, output=log)
    return directory.run_id
