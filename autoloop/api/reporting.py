"""`report`: reads a run or a bench, hands what it found to those who make pages of it, and writes what they made."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from autoloop.api.watching import is_bench, place_of
from autoloop.errors import refused
from autoloop.stores.directory import RunDirectory
from autoloop.stores.runs import is_alive

if TYPE_CHECKING:
    from autoloop.core.run import RunState
    from autoloop.profiles import Profile
    from autoloop.report.bounds import Excerpt, Room
    from autoloop.report.chronicle import Chronicle
    from autoloop.report.material import RunMaterial

PAGE = "report.html"
"""The page's name where none is given; it lies in the directory that it is about."""
PRINTED = Path("-")
"""Stands for standard output."""


@dataclass(frozen=True)
class ReportOptions:
    """Where a report goes, and how much is in it."""

    html: Path | None = None
    """The page. Without it and without `markdown` it goes into the directory that it is about."""
    markdown: Path | None = None
    traces: bool = True
    """Whether packets, and what sessions and trials said, are in it."""


@dataclass(frozen=True)
class Reported:
    """What was made."""

    about: str
    """Which run or bench."""
    claim: str
    """The headline."""
    written: tuple[Path, ...]
    printed: str = ""
    """What is for standard output."""
    without_plots: bool = False
    """Whether a page was made that matplotlib would have had plots for."""


def report(path: Path, name: str | None = None, options: ReportOptions = ReportOptions()) -> Reported:
    """Report on a run or a bench: named by id, by program or by its directory, or the newest here."""
    place = place_of(path, name)
    options = options if options.html or options.markdown else replace(options, html=place / PAGE)
    return _of_bench(place, options) if is_bench(place) else _of_run(place, options)


def _of_run(place: Path, options: ReportOptions) -> Reported:
    from autoloop.report.runs import run_markdown, run_page
    from autoloop.report.telling import headline

    material = run_material(RunDirectory(place), traces=options.traces, page=options.html)
    made = _made(options, lambda: run_page(material), lambda: run_markdown(material))
    return _delivered(f"{material.summary.program} {material.summary.run_id}", headline(material).claim, made, options)


def _of_bench(place: Path, options: ReportOptions) -> Reported:
    from autoloop.api.suite_reporting import suite_material
    from autoloop.report.suite_telling import headline
    from autoloop.report.suites import suite_markdown, suite_page
    from autoloop.stores.bench_directory import BenchDirectory

    material = suite_material(BenchDirectory(place), traces=options.traces, files=link_to(place, options.html))
    made = _made(options, lambda: suite_page(material), lambda: suite_markdown(material))
    return _delivered(f"bench {material.started.bench_id}", headline(material).claim, made, options)


def _made(options: ReportOptions, page: Callable[[], str], markdown: Callable[[], str]) -> dict[Path, str]:
    wanted = ((options.html, page), (options.markdown, markdown))
    return {target: make() for target, make in wanted if target is not None}


def _delivered(about: str, claim: str, made: Mapping[Path, str], options: ReportOptions) -> Reported:
    from autoloop.report.plots import can_draw

    written = tuple(target for target in made if target != PRINTED)
    for target in written:
        _write(target, made[target])
    bare = options.html is not None and not can_draw()
    return Reported(about, claim, written, made.get(PRINTED, ""), without_plots=bare)


def _write(target: Path, text: str) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise refused(error, f"{target} cannot be written: {error.strerror}", "Name another file.") from error


def run_material(directory: RunDirectory, *, traces: bool = True, page: Path | None = None) -> RunMaterial:
    """Everything that the report of a run is made of, from one pass over its journal."""
    from autoloop.core.summary import summarise
    from autoloop.report.material import RunMaterial

    record = directory.read_record()
    told, state = _read(directory)
    texts = _Texts(directory, _room(told, traces))
    summary = summarise(state, record.program.limits, phase="unknown", sandbox=record.sandbox)
    return RunMaterial(
        program=record.program,
        summary=summary,
        state=state,
        alive=is_alive(directory),
        agent=_agent(record.profile, record.fallback),
        versions=record.versions,
        experiments=told.experiments,
        made_at=time.time(),
        baseline=told.baseline,
        current=told.current,
        diffs={one.number: texts.beginning(one.number, "diff.patch", one.kept) for one in told.experiments},
        packets={one.number: texts.beginning(one.number, "packet.md", one.kept) for one in told.experiments}
        if traces
        else {},
        traces=traces,
        files=link_to(directory.path, page),
    )


def _read(directory: RunDirectory) -> tuple[Chronicle, RunState]:
    from autoloop.core.run import RunState
    from autoloop.report.chronicle import Chronicle
    from autoloop.stores.journal import read_events
    from autoloop.stores.views import finished_rows, states, unfinished_rows

    told, state = Chronicle(), RunState(directory.read_record().program.criteria)
    for event, state in states(read_events(directory.journal), state):  # noqa: B020 - the fold's state is the result
        told.take(event, state, finished_rows(event, state))
    for row in unfinished_rows(state):
        told.finish(row, state)
    return told, state


def _room(told: Chronicle, traces: bool) -> Room:
    from autoloop.report.bounds import room_for

    kinds = 2 if traces else 1
    return room_for(kinds * len(told.experiments), kinds * sum(one.kept for one in told.experiments))


def _agent(profile: Profile, fallback: Profile | None) -> str:
    named = [f"{one.agent} {one.model or ''}".strip() for one in (profile, fallback) if one]
    return ", then ".join(named)


def link_to(directory: Path, page: Path | None) -> str | None:
    """What stands before the name of a file of the directory where a page links it; None where it cannot."""
    if page is None or page == PRINTED:
        return None
    from urllib.parse import quote

    relative = os.path.relpath(directory.resolve(), page.resolve().parent)
    return "" if relative == "." else f"{quote(relative)}/"


@dataclass(frozen=True)
class _Texts:
    """The files of experiments, as much of each as there is room for."""

    directory: RunDirectory
    room: Room

    def beginning(self, experiment: int, name: str, kept: bool) -> Excerpt:
        """The beginning of a file of an experiment; nothing when it is not there."""
        file = self.directory.experiment(experiment) / name
        return beginning_of(file, self.directory.path, self.room.of(kept))


def beginning_of(file: Path, root: Path, most: int) -> Excerpt:
    """So many characters from the beginning of a file below `root`; nothing when it cannot be read."""
    from autoloop.report.bounds import Excerpt, beginning

    try:
        with file.open("rb") as content:
            text = content.read(most + 1).decode(errors="replace")
            return beginning(text, most, os.fstat(content.fileno()).st_size, file.relative_to(root).as_posix())
    except OSError:
        return Excerpt()
