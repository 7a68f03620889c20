"""Reads what a report needs, hands it to those who make pages of it, and writes what they made.

A run is read from its journal and the files of its experiments, a bench from its journal, the episodes beside it, and
what failed trials left behind. Nothing of either is changed.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from autoloop.activity.find import is_bench, place_of
from autoloop.core.run.notes import one_line
from autoloop.core.run.state import RunState
from autoloop.core.run.summary import summarise
from autoloop.core.suite.episode import EpisodeRecord
from autoloop.core.suite.state import replay
from autoloop.errors import refused
from autoloop.journal.locks import is_held
from autoloop.report import bench_text, run_text
from autoloop.report.bench_material import SuiteMaterial, TrialTraces, worth_tracing
from autoloop.report.chronicle import Chronicle
from autoloop.report.excerpts import Excerpt, beginning, ending, room_for
from autoloop.report.plots import can_draw
from autoloop.report.run_material import RunMaterial
from autoloop.runs.directory import RunDirectory
from autoloop.runs.find import is_alive
from autoloop.runs.record import read_events, read_record
from autoloop.runs.views import finished_rows, states, unfinished_rows
from autoloop.suites.directory import BenchDirectory
from autoloop.suites.record import read_bench

if TYPE_CHECKING:
    from autoloop.agents.profiles import Profile
    from autoloop.core.run.state import RunState
    from autoloop.core.suite.episode import EpisodeRecord
    from autoloop.core.suite.state import BenchState
    from autoloop.core.suite.tasks import TrialKey
    from autoloop.report.bench_material import SuiteMaterial, TrialTraces
    from autoloop.report.chronicle import Chronicle
    from autoloop.report.excerpts import Excerpt, ExcerptBudget
    from autoloop.report.run_material import RunMaterial


PAGE = "report.html"
"""The page's name where none is given; it lies in the directory that it is about."""
PRINTED = Path("-")
"""The name that stands for standard output."""


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
    """The report that was made, and where it is."""

    about: str
    """The id of the run, or the directory of the bench."""
    claim: str
    """The headline."""
    written: tuple[Path, ...]
    printed: str = ""
    """The text for standard output."""
    without_plots: bool = False
    """Whether a page was made that matplotlib would have had plots for."""


def report(path: Path, name: str | None = None, options: ReportOptions = ReportOptions()) -> Reported:
    """Report on a run or a bench: named by id, by program or by its directory, or the newest here."""
    place = place_of(path, name)
    options = options if options.html or options.markdown else replace(options, html=place / PAGE)
    return _of_bench(place, options) if is_bench(place) else _of_run(place, options)


def _of_run(place: Path, options: ReportOptions) -> Reported:
    from autoloop.report.run import run_markdown, run_page

    material = run_material(RunDirectory(place), traces=options.traces, page=options.html)
    made = _made(options, lambda: run_page(material), lambda: run_markdown(material))
    return _delivered(
        f"{material.summary.program} {material.summary.run_id}", run_text.headline(material).claim, made, options
    )


def _of_bench(place: Path, options: ReportOptions) -> Reported:
    from autoloop.report.bench import suite_markdown, suite_page

    material = suite_material(BenchDirectory(place), traces=options.traces, files=link_to(place, options.html))
    made = _made(options, lambda: suite_page(material), lambda: suite_markdown(material))
    return _delivered(f"bench {material.started.bench_id}", bench_text.headline(material).claim, made, options)


def _made(options: ReportOptions, page: Callable[[], str], markdown: Callable[[], str]) -> dict[Path, str]:
    wanted = ((options.html, page), (options.markdown, markdown))
    return {target: make() for target, make in wanted if target is not None}


def _delivered(about: str, claim: str, made: Mapping[Path, str], options: ReportOptions) -> Reported:
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
    record = read_record(directory)
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
    told, state = Chronicle(), RunState(read_record(directory).program.criteria)
    for event, state in states(read_events(directory.journal), state):  # noqa: B020 - the fold's state is the result
        told.take(event, state, finished_rows(event, state))
    for row in unfinished_rows(state):
        told.finish(row, state)
    return told, state


def _room(told: Chronicle, traces: bool) -> ExcerptBudget:
    kinds = 2 if traces else 1
    return room_for(kinds * len(told.experiments), kinds * sum(one.kept for one in told.experiments))


def _agent(profile: Profile, fallback: Profile | None) -> str:
    named = [f"{one.agent} {one.model or ''}".strip() for one in (profile, fallback) if one]
    return ", then ".join(named)


def link_to(directory: Path, page: Path | None) -> str | None:
    """What stands before the name of a file of the directory where a page links it; None where it cannot."""
    if page is None or page == PRINTED:
        return None

    relative = os.path.relpath(directory.resolve(), page.resolve().parent)
    return "" if relative == "." else f"{quote(relative)}/"


@dataclass(frozen=True)
class _Texts:
    """The files of experiments, as much of each as there is room for."""

    directory: RunDirectory
    room: ExcerptBudget

    def beginning(self, experiment: int, name: str, kept: bool) -> Excerpt:
        """The beginning of a file of an experiment; nothing when it is not there."""
        file = self.directory.experiment(experiment) / name
        return beginning_of(file, self.directory.path, self.room.of(kept))


def beginning_of(file: Path, root: Path, most: int) -> Excerpt:
    """So many characters from the beginning of a file below `root`; nothing when it cannot be read."""
    try:
        with file.open("rb") as content:
            text = content.read(most + 1).decode(errors="replace")
            return beginning(text, most, os.fstat(content.fileno()).st_size, file.relative_to(root).as_posix())
    except OSError:
        return Excerpt()


TRACED = 400
"""Trials whose traces are read at most."""
_STEPS = 12
_LONGEST_STEP = 300
_LARGEST_TRAJECTORY = 20_000_000
_TEXTS = ("output", "verification", "error")


def suite_material(directory: BenchDirectory, *, traces: bool = True, files: str | None = None) -> SuiteMaterial:
    """The material of a bench's report, read from its files."""
    state = replay(read_bench(directory.journal))
    return SuiteMaterial(
        state=state,
        alive=is_held(directory.lock),
        made_at=time.time(),
        episodes=list(_episodes(directory.shared_episodes)),
        kept=_traces(directory, state) if traces else {},
        files=files,
    )


def _episodes(path: Path) -> Iterator[EpisodeRecord]:
    """The lines that can be read: other tools write there as well, and a kill may tear one."""
    if not path.is_file():
        return
    with path.open("rb") as lines:
        for line in lines:
            try:
                yield EpisodeRecord.model_validate_json(line)
            except ValueError:
                continue


def _traces(directory: BenchDirectory, state: BenchState) -> dict[TrialKey, TrialTraces]:
    chosen = worth_tracing(state, TRACED)
    most = room_for(len(_TEXTS) * len(chosen), 0).ordinary
    found = {}
    for key in chosen:
        place = directory.trial(key, state.started.plan)
        ends = {
            name: ending_of(place / f"{name}.txt", directory.path, most) for name in ("output", "verification", "error")
        }
        found[key] = TrialTraces(steps=_last_steps(place / "trajectory.json", directory.path), **ends)
    return found


def ending_of(file: Path, root: Path, most: int) -> Excerpt:
    """So many characters from the end of a file below `root`; nothing when it cannot be read or is empty."""
    try:
        with file.open("rb") as content:
            size = os.fstat(content.fileno()).st_size
            content.seek(max(0, size - most - 1))
            text = content.read(most + 1).decode(errors="replace")
    except OSError:
        return Excerpt()
    return ending(text, most, size, file.relative_to(root).as_posix()) if size else Excerpt()


def _last_steps(file: Path, root: Path) -> Excerpt:
    try:
        if file.stat().st_size > _LARGEST_TRAJECTORY:
            return Excerpt(path=file.relative_to(root).as_posix(), left_out=file.stat().st_size)
        steps = json.loads(file.read_bytes())["steps"]
        lines = [_step(step) for step in steps[-_STEPS:]]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return Excerpt()
    earlier = f"… {len(steps) - _STEPS} earlier ones\n" if len(steps) > _STEPS else ""
    return Excerpt(earlier + "".join(lines), path=file.relative_to(root).as_posix())


def _step(step: dict[str, Any]) -> str:
    """A step of a trajectory on one line: its source, its message and its tool calls."""
    calls = [f"{call['function_name']} {json.dumps(call['arguments'], ensure_ascii=False)}" for call in _calls(step)]
    said = step["message"] if isinstance(step["message"], str) else "[parts]"
    return one_line(" > ".join([f"{step['step_id']} {step['source']}: {said}", *calls]), _LONGEST_STEP) + "\n"


def _calls(step: dict[str, Any]) -> list[dict[str, Any]]:
    return list(step.get("tool_calls") or ())
