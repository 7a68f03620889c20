"""The whole product as functions. The edges parse, call one of these, and render what comes back.

Heavy parts are imported by the function that needs them: `status` must not pay for the loop.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoloop.errors import AutoloopError
from autoloop.stores.runs import all_runs, find_run, is_alive, last_result, trusted_state

if TYPE_CHECKING:
    from autoloop.arena import Compared, CompareOptions
    from autoloop.auditing import Audit, OnCommit
    from autoloop.carrying import Outcome
    from autoloop.core.events import Event
    from autoloop.core.program import Criteria
    from autoloop.core.results import Row
    from autoloop.core.run import RunState
    from autoloop.core.verdict import Verification
    from autoloop.demo import DemoOutcome
    from autoloop.ports import OnNews, OnProgress
    from autoloop.scaffold import Scaffold
    from autoloop.steering import Signals
    from autoloop.stores.directory import RunDirectory
    from autoloop.validation import Validation


@dataclass(frozen=True)
class RunOptions:
    """What a person chose for a run, beyond the program."""

    profile: str | None = None
    limits: Mapping[str, int | float] | None = None
    rule: str | None = None
    seed: int | None = None


@dataclass(frozen=True)
class Found:
    """What autoloop sees in a place."""

    root: Path
    programs: tuple[str, ...]
    runs: tuple[RunDirectory, ...]
    alive: tuple[str, ...]


def look(path: Path) -> Found:
    """What is here: programs and runs."""
    from autoloop.programs import list_programs

    root = root_of(path)
    runs = all_runs(root)
    alive = tuple(run.run_id for run in runs if is_alive(run))
    return Found(root, tuple(list_programs(root, path.resolve())), tuple(runs), alive)


def validate(
    path: Path, slug: str, *, runs: int = 10, on_progress: OnProgress, environ: Mapping[str, str] = os.environ
) -> Validation:
    """Measure in the checkout and in a tree of its own; what can be resolved, and what it costs."""
    from autoloop import validation
    from autoloop.repository import find
    from autoloop.starting import program_of

    repository = find(path)
    program, source = program_of(repository, path, slug)
    return validation.validate(repository, program, source, runs=runs, environ=environ, on_progress=on_progress)


def init(path: Path, slug: str | None = None) -> Scaffold:
    """Write a first program from what the repository holds."""
    from autoloop.repository import find
    from autoloop.scaffold import init as write

    return write(find(path).root, slug)


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


def demo(
    on_progress: OnProgress,
    signals: Signals,
    environ: Mapping[str, str] = os.environ,
    directory: Path | None = None,
    on_news: OnNews = lambda rows, summary: None,
) -> DemoOutcome:
    """A complete campaign on a shipped example, in a fresh directory that is kept."""
    from autoloop.demo import demonstrate

    return demonstrate(on_progress=on_progress, signals=signals, environ=environ, directory=directory, on_news=on_news)


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
    from autoloop.repository import find
    from autoloop.steering import ask, check_limits, read_control

    repository = find(path)
    directory = find_run(repository.root, run_id or slug)
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


def verify(
    path: Path,
    name: str | None = None,
    *,
    pairs: int | None = None,
    signals: Signals,
    on_progress: OnProgress,
    environ: Mapping[str, str] = os.environ,
) -> Verification:
    """Measure a run's original against its head afresh, in pairs: the headline gain, kept in the journal."""
    from autoloop.carrying import carry_on
    from autoloop.repository import find

    repository = find(path)
    directory = find_run(repository.root, name)
    record = directory.read_record()
    if not _replayed(directory).totals.kept:
        raise AutoloopError(f"run {directory.run_id} kept nothing, so there is nothing to verify")
    wanted = pairs or record.program.criteria.max_pairs
    carry_on(
        repository,
        directory,
        environ=environ,
        signals=signals,
        on_progress=on_progress,
        work=lambda loop: loop.verify(wanted),
    )
    verified = _replayed(directory).verified
    if verified is None:
        raise AutoloopError("the verification was cut short", f"Run it again: `autoloop verify {directory.run_id}`.")
    return verified


def compare(
    path: Path,
    a: str,
    b: str,
    command: Sequence[str],
    options: CompareOptions,
    *,
    signals: Signals,
    on_progress: OnProgress,
    environ: Mapping[str, str] = os.environ,
) -> Compared:
    """Whether revision `b` is better than `a`, worse, or noise. One word of `command` is a line for the shell."""
    from autoloop import comparing
    from autoloop.repository import find

    return comparing.compare(
        find(path),
        a,
        b,
        tuple(command),
        options,
        environ=environ,
        on_progress=on_progress,
        cancelled=lambda: signals.stop,
    )


def audit(
    path: Path,
    span: str,
    command: Sequence[str],
    options: CompareOptions,
    *,
    signals: Signals,
    on_progress: OnProgress,
    on_commit: OnCommit = lambda number, of, found: None,
    environ: Mapping[str, str] = os.environ,
) -> Audit:
    """Which commits of `BASE..BRANCH` are real, each against its parent, and what they are together."""
    from autoloop import auditing
    from autoloop.repository import find

    return auditing.audit(
        find(path),
        span,
        tuple(command),
        options,
        environ=environ,
        on_progress=on_progress,
        on_commit=on_commit,
        cancelled=lambda: signals.stop,
    )


def status(path: Path, name: str | None = None) -> dict[str, Any]:
    """A run in one look, with `alive`, `path` and the `last` result.

    `state.json` is trusted when it speaks of the whole journal.
    """
    directory = find_run(root_of(path), name)
    alive = is_alive(directory)
    found = trusted_state(directory)
    if found is None:
        found = _replayed_summary(directory)
    if not alive and found["phase"] != "stopped":
        found["phase"] = "killed"
    return {**found, "alive": alive, "path": str(directory.path), "last": last_result(directory)}


def results(path: Path, name: str | None = None) -> list[Row]:
    """Every row of a run, the baseline first."""
    from autoloop.core.night import labels
    from autoloop.core.run import RunState
    from autoloop.stores.journal import read_events
    from autoloop.stores.views import all_rows

    directory = find_run(root_of(path), name)
    record = directory.read_record()
    rows = list(all_rows(read_events(directory.journal), RunState(record.program.criteria)))
    said = {label.experiment: label.confidence.value for label in labels(_replayed(directory))}
    return [row.model_copy(update={"confidence": said.get(row.experiment, "")}) for row in rows]


@dataclass(frozen=True)
class Shown:
    """One experiment in full."""

    row: Row
    criteria: Criteria
    events: tuple[Event, ...]
    patch: str
    directory: Path


def show(path: Path, experiment: int, name: str | None = None) -> Shown:
    """One experiment: its row, its events, its diff."""
    from autoloop.stores.journal import read_events

    directory = find_run(root_of(path), name)
    rows = [row for row in results(path, directory.run_id) if row.experiment == experiment]
    if not rows:
        raise AutoloopError(
            f"run {directory.run_id} has no finished experiment {experiment}", "See `autoloop results`."
        )
    own = tuple(event for event in read_events(directory.journal) if _belongs(event, experiment))
    folder = directory.experiment(experiment)
    patch = folder / "diff.patch"
    criteria = directory.read_record().program.criteria
    return Shown(rows[0], criteria, own, patch.read_text(errors="replace") if patch.exists() else "", folder)


def ideas(path: Path, name: str | None = None) -> str:
    """The ideas backlog of a run, from its journal."""
    directory = find_run(root_of(path), name)
    return _replayed(directory).backlog.render()


def packet(path: Path, slug: str, *, environ: Mapping[str, str] = os.environ) -> str:
    """What an agent would be told next: by the program's latest run, or at the start of a first one."""
    import time

    from autoloop.core.packet import build_packet, recent_discards, render
    from autoloop.core.run import RunState, limits_in_force
    from autoloop.prompts import prompt
    from autoloop.repository import find
    from autoloop.starting import program_of
    from autoloop.stores.directory import ExperimentFiles

    repository = find(path)
    program, _ = program_of(repository, path, slug)
    runs = all_runs(repository.root, program.slug)
    state = _replayed(runs[-1]) if runs else RunState(program.criteria)
    patches = ExperimentFiles(runs[-1]).patches(recent_discards(state.recent)) if runs else []
    parts = build_packet(program, state, limits_in_force(state, program.limits), now=time.time(), patches=patches)
    return render(prompt("experiment").text, parts)


def guide(path: Path, text: str, name: str | None = None) -> str:
    """Steer the next experiments of a run; the run's id. An empty text withdraws the guidance."""
    from autoloop.stores.directory import write_atomically

    directory = find_run(root_of(path), name)
    write_atomically(directory.path / "guidance.md", text.strip() + "\n" if text.strip() else "")
    return directory.run_id


def stop(path: Path, name: str | None = None, *, now: bool = False) -> str:
    """Ask a run to stop, after its experiment or at once; the run's id."""
    from autoloop.steering import ask

    directory = find_run(root_of(path), name)
    if not is_alive(directory):
        raise AutoloopError(f"run {directory.run_id} is not going", "See `autoloop status`.")
    ask(directory, stop="now" if now else "after")
    return directory.run_id


def limit(path: Path, limits: Mapping[str, int | float], name: str | None = None) -> str:
    """Change the limits of a run from its next experiment on; the run's id."""
    from autoloop.steering import ask, check_limits, read_control

    directory = find_run(root_of(path), name)
    check_limits(dict(limits), directory.read_record().program.limits)
    kept = read_control(directory.path / "control.json").get("limits") or {}
    ask(directory, limits={**kept, **limits})
    return directory.run_id


def events(path: Path, name: str | None = None, after: int = 0) -> Iterator[Event]:
    """The events of a run after the first `after`, for every viewer."""
    from itertools import islice

    from autoloop.stores.journal import read_events

    return islice(read_events(find_run(root_of(path), name).journal), after, None)


def root_of(path: Path) -> Path:
    """The root of the work tree that a path lies in, without starting git where that can be told without."""
    start = path.resolve()
    for directory in (start, *start.parents):
        if (directory / ".git").exists():
            return directory
    from autoloop.repository import find

    return find(path).root


def _replayed(directory: RunDirectory) -> RunState:
    from autoloop.core.replay import replay
    from autoloop.core.run import RunState
    from autoloop.stores.journal import read_events

    return replay(read_events(directory.journal), RunState(directory.read_record().program.criteria))


def _replayed_summary(directory: RunDirectory) -> dict[str, Any]:
    from autoloop.core.summary import summarise

    record = directory.read_record()
    summary = summarise(_replayed(directory), record.program.limits, phase="unknown", sandbox=record.sandbox)
    return summary.model_dump(mode="json")


def _belongs(event: Event, experiment: int) -> bool:
    return getattr(event, "experiment", None) == experiment
