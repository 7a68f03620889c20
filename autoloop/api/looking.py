"""What is here, and what became of it: everything that only reads."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoloop.errors import AutoloopError
from autoloop.stores.runs import all_runs, find_run, is_alive, last_result, trusted_state

if TYPE_CHECKING:
    from autoloop.core.events import Event
    from autoloop.core.program import Criteria
    from autoloop.core.results import Row
    from autoloop.core.run import RunState
    from autoloop.stores.directory import RunDirectory


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


def benches(path: Path, name: str | None = None) -> list[dict[str, Any]]:
    """The benches among the results here that go now, else the latest one; or the one whose directory `name` is.

    Each in one look, from its `state.json`. None for the name of anything else.
    """
    from autoloop.stores.benches import bench_at, looked_at, to_tell

    named = None if name is None else bench_at(path / name)
    found = to_tell(path, *_roots(path)) if name is None else [named] if named else []
    return [facts for facts in map(looked_at, found) if facts is not None]


def _roots(path: Path) -> list[Path]:
    """The root of the work tree; none outside of one."""
    with suppress(AutoloopError):
        return [root_of(path)]
    return []


def results(path: Path, name: str | None = None) -> list[Row]:
    """Every row of a run, the baseline first."""
    from autoloop.core.night import labels
    from autoloop.core.run import RunState
    from autoloop.stores.journal import read_events
    from autoloop.stores.views import all_rows

    directory = find_run(root_of(path), name)
    record = directory.read_record()
    rows = list(all_rows(read_events(directory.journal), RunState(record.program.criteria)))
    said = {label.experiment: label.confidence.value for label in labels(replayed(directory))}
    return [row.model_copy(update={"confidence": said.get(row.experiment, "")}) for row in rows]


@dataclass(frozen=True)
class Shown:
    """One experiment in full."""

    row: Row
    criteria: Criteria
    events: tuple[Event, ...]
    patch: str
    directory: Path
    gains: tuple[float, ...]
    """The gain of each pair as a fraction, under `paired`."""


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
    text = patch.read_text(errors="replace") if patch.exists() else ""
    return Shown(rows[0], criteria, own, text, folder, _fractions(replayed(directory), own))


def _fractions(state: RunState, own: tuple[Event, ...]) -> tuple[float, ...]:
    pairs = next((event.decision.pairs for event in own if event.kind == "decided"), ())
    return tuple(state.noise.fraction(gain, state.criteria) for gain in pairs) if state.noise else ()


def ideas(path: Path, name: str | None = None) -> str:
    """The ideas backlog of a run, from its journal."""
    directory = find_run(root_of(path), name)
    return replayed(directory).backlog.render()


def packet(path: Path, slug: str, *, environ: Mapping[str, str] = os.environ) -> str:
    """What an agent would be told next: by the program's latest run, or at the start of a first one."""
    import time

    from autoloop.core.packet import build_packet, recent_discards, render
    from autoloop.core.run import RunState
    from autoloop.core.stopping import limits_in_force
    from autoloop.prompts import prompt
    from autoloop.repository import find
    from autoloop.starting import program_of
    from autoloop.stores.directory import ExperimentFiles

    repository = find(path)
    program, _ = program_of(repository, path, slug)
    runs = all_runs(repository.root, program.slug)
    state = replayed(runs[-1]) if runs else RunState(program.criteria)
    patches = ExperimentFiles(runs[-1]).patches(recent_discards(state.recent)) if runs else []
    parts = build_packet(program, state, limits_in_force(state, program.limits), now=time.time(), patches=patches)
    own = runs[-1].prompt if runs and runs[-1].prompt.exists() else None
    return render(prompt(str(own) if own else "experiment").text, parts)


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


def replayed(directory: RunDirectory) -> RunState:
    """The state of a run, from its whole journal."""
    from autoloop.core.replay import replay
    from autoloop.core.run import RunState
    from autoloop.stores.journal import read_events

    return replay(read_events(directory.journal), RunState(directory.read_record().program.criteria))


def _replayed_summary(directory: RunDirectory) -> dict[str, Any]:
    from autoloop.core.summary import summarise

    record = directory.read_record()
    summary = summarise(replayed(directory), record.program.limits, phase="unknown", sandbox=record.sandbox)
    return summary.model_dump(mode="json")


def _belongs(event: Event, experiment: int) -> bool:
    return getattr(event, "experiment", None) == experiment
