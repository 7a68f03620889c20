"""Making a program and carrying a run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autoloop.errors import AutoloopError
from autoloop.stores.runs import find_run

if TYPE_CHECKING:
    from autoloop.carrying import Outcome
    from autoloop.demo import DemoOutcome
    from autoloop.ports import OnNews, OnProgress
    from autoloop.scaffold import Scaffold
    from autoloop.steering import Signals
    from autoloop.validation import Validation


@dataclass(frozen=True)
class RunOptions:
    """What a person chose for a run, beyond the program."""

    profile: str | None = None
    limits: Mapping[str, int | float] | None = None
    rule: str | None = None
    seed: int | None = None


def init(path: Path, slug: str | None = None) -> Scaffold:
    """Write a first program from what the repository holds."""
    from autoloop.repository import find
    from autoloop.scaffold import init as write

    return write(find(path).root, slug)


def validate(
    path: Path, slug: str, *, runs: int = 10, on_progress: OnProgress, environ: Mapping[str, str] = os.environ
) -> Validation:
    """Measure in the checkout and in a tree of its own; what can be resolved, and what it costs."""
    from autoloop import validation
    from autoloop.profiles import load_settings, user_config
    from autoloop.repository import find
    from autoloop.starting import program_of

    repository = find(path)
    program, source = program_of(repository, path, slug)
    wanted = load_settings(repository.root, environ, user_config(environ)).sandbox
    return validation.validate(
        repository, program, source, runs=runs, sandbox=wanted, environ=environ, on_progress=on_progress
    )


def run(
    path: Path,
    slug: str,
    options: RunOptions,
    *,
    signals: Signals,
    on_progress: OnProgress,
    on_news: OnNews = lambda rows, summary: None,
    environ: Mapping[str, str] = os.environ,
) -> Outcome:
    """Start a run of a program and carry it to its end. What fails before the first experiment leaves nothing."""
    from autoloop.carrying import carry_on
    from autoloop.starting import create, discard_unless_begun

    repository, directory = create(path, slug, options, environ, on_progress)
    try:
        outcome = carry_on(
            repository, directory, environ=environ, signals=signals, on_progress=on_progress, on_news=on_news
        )
    except BaseException:
        discard_unless_begun(repository, directory, environ)
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
    from autoloop.carrying import carry_on
    from autoloop.starting import create, discard_unless_begun

    repository, directory = create(path, slug, options, environ, on_progress)
    try:
        carry_on(
            repository,
            directory,
            environ=environ,
            signals=signals,
            on_progress=on_progress,
            until_prepared=True,
        )
    except BaseException:
        discard_unless_begun(repository, directory, environ)
        raise
    resuming = ["run", directory.slug, "--resume", "--run", directory.run_id]
    with (directory.path / "run.log").open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-m", "autoloop", "-C", str(repository.root), *resuming],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=dict(environ),
        )
    return directory.run_id


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
) -> Outcome:
    """Go on with a run, also past a limit that is raised here."""
    from autoloop.carrying import carry_on
    from autoloop.creation import unfinished_run
    from autoloop.repository import find
    from autoloop.steering import ask, check_limits, read_control

    repository = find(path)
    # Without a run named and a limit raised, what was killed is meant rather than what has ended.
    killed = None if run_id or options.limits else unfinished_run(repository.root, slug)
    directory = killed or find_run(repository.root, run_id or slug)
    record = directory.read_record()
    if options.rule not in (None, record.program.criteria.rule.value):
        raise AutoloopError("the rule of a run cannot change", "Start a new run with the other rule.")
    limits = dict(options.limits or {})
    if limits:
        check_limits(limits, record.program.limits)
        kept = read_control(directory.path / "control.json").get("limits") or {}
        ask(directory, limits={**kept, **limits})
    outcome = carry_on(
        repository, directory, environ=environ, signals=signals, on_progress=on_progress, on_news=on_news
    )
    assert outcome is not None
    return outcome


def demo(
    on_progress: OnProgress,
    signals: Signals,
    environ: Mapping[str, str] = os.environ,
    directory: Path | None = None,
    on_line: Callable[[str], None] = lambda line: None,
) -> DemoOutcome:
    """What autoloop promises, tried on a shipped example in a fresh directory that is kept; told line by line."""
    from autoloop.demo import demonstrate

    return demonstrate(on_progress=on_progress, signals=signals, environ=environ, directory=directory, on_line=on_line)
