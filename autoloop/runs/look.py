"""Looking at a run: its results, one experiment, ideas, the next packet and events. Everything here only reads."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from autoloop.config.prompts import prompt
from autoloop.core.run.night import labels
from autoloop.core.run.packet import build_packet, recent_discards, render
from autoloop.core.run.state import RunState
from autoloop.core.run.stopping import limits_in_force
from autoloop.errors import AutoloopError
from autoloop.git.repository import find
from autoloop.git.root import root_of
from autoloop.runs.directory import ExperimentFiles
from autoloop.runs.find import all_runs, find_run
from autoloop.runs.record import read_events, read_record, replayed
from autoloop.runs.start import program_of
from autoloop.runs.views import all_rows

if TYPE_CHECKING:
    from autoloop.core.run.events import Event
    from autoloop.core.run.program import Criteria
    from autoloop.core.run.results import Row
    from autoloop.core.run.state import RunState


def results(path: Path, name: str | None = None) -> list[Row]:
    """Every row of a run, the baseline first."""
    directory = find_run(root_of(path), name)
    record = read_record(directory)
    rows = list(all_rows(read_events(directory.journal), RunState(record.program.criteria)))
    said = {label.experiment: label.confidence.value for label in labels(replayed(directory))}
    return [row.model_copy(update={"confidence": said.get(row.experiment, "")}) for row in rows]


def events(path: Path, name: str | None = None, after: int = 0) -> Iterator[Event]:
    """The events of a run after the first `after`, for every viewer."""

    return islice(read_events(find_run(root_of(path), name).journal), after, None)


@dataclass(frozen=True)
class Shown:
    """One experiment in full: its row, events, samples and diff."""

    row: Row
    criteria: Criteria
    events: tuple[Event, ...]
    patch: str
    directory: Path
    gains: tuple[float, ...]
    """The gain of each pair as a fraction, under `paired`."""


def show(path: Path, experiment: int, name: str | None = None) -> Shown:
    """One experiment: its row, its events, its diff."""
    directory = find_run(root_of(path), name)
    rows = [row for row in results(path, directory.run_id) if row.experiment == experiment]
    if not rows:
        raise AutoloopError(
            f"run {directory.run_id} has no finished experiment {experiment}", "See `autoloop results`."
        )
    own = tuple(event for event in read_events(directory.journal) if _belongs(event, experiment))
    folder = directory.experiment(experiment)
    patch = folder / "diff.patch"
    criteria = read_record(directory).program.criteria
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
    """The packet that an agent would be given next: by the program's latest run, or at the start of a first one."""

    repository = find(path)
    program, _ = program_of(repository, path, slug)
    runs = all_runs(repository.root, program.slug)
    state = replayed(runs[-1]) if runs else RunState(program.criteria)
    patches = ExperimentFiles(runs[-1]).patches(recent_discards(state.recent)) if runs else []
    parts = build_packet(program, state, limits_in_force(state, program.limits), now=time.time(), patches=patches)
    own = runs[-1].prompt if runs and runs[-1].prompt.exists() else None
    return render(prompt(str(own) if own else "experiment").text, parts)


def _belongs(event: Event, experiment: int) -> bool:
    return getattr(event, "experiment", None) == experiment
