"""What runs, benches and leftovers hold on the disk, how large it is and whose it is. Changes nothing.

Looked at are this repository's runs and benches, homes in the cache directory of this and other repositories, and what
processes that are dead left over.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autoloop.config.places import cache_directory
from autoloop.core.holdings import CleanOptions, Holding, Part, State
from autoloop.core.run.events import Decided
from autoloop.core.run.reasons import Status
from autoloop.core.suite.events import BenchStop
from autoloop.core.suite.state import BenchState, replay
from autoloop.errors import AutoloopError
from autoloop.git.disk import BLOCK, disk_use
from autoloop.git.git_trees import SLOTS
from autoloop.git.homes import DEMO, REMOVED, WORKSHOP, Home, homes_in, trials_in
from autoloop.git.refs import Pinned, pinned, worktrees
from autoloop.git.repository import Repository, find
from autoloop.git.walk import entries, is_real_folder
from autoloop.journal.files import half_written
from autoloop.runs.calibrations import outdated
from autoloop.runs.create import has_ended
from autoloop.runs.directory import RunDirectory
from autoloop.runs.find import RUNS, all_runs, is_alive
from autoloop.runs.record import read_events, read_record
from autoloop.suites.directory import BenchDirectory
from autoloop.suites.find import bench_at, benches_in, is_bench_alive
from autoloop.suites.record import read_bench
from autoloop.suites.workspace.workspace import PLACES

REMOVED_RUNS = ".removed"
"""The directory beside the runs in which parts of them wait to be removed."""
_LONG_DEAD = 3600.0
"""Seconds after which what has no owner that could be asked is taken for dead."""
_WHAT = {"validate": "validation", "compare": "comparison"}


@dataclass(frozen=True)
class Holdings:
    """Everything found on the disk, and what of it may go."""

    root: Path
    repository: Repository | None
    """None outside of one, where there may be benches."""
    cache: Path
    options: CleanOptions
    entries: tuple[Holding, ...]
    elsewhere: int = 0
    """Homes of other repositories, which were not looked into."""

    @property
    def frees(self) -> int:
        """Bytes that would be free afterwards."""
        return sum(entry.frees(self.options) for entry in self.entries)

    @property
    def to_go(self) -> tuple[Holding, ...]:
        """The holdings of which something may go."""
        return tuple(entry for entry in self.entries if entry.has_something_to_go(self.options))


def survey(place: Path, cache: Path, name: str | None, options: CleanOptions) -> Holdings:
    """Look at everything, or at what `name` names: a run by its id, all of a program, a bench by its directory."""
    try:
        repository = find(place)
    except AutoloopError:
        here = place.resolve()
        if not (benches := held_by_benches(place, here, name)):
            raise
        return Holdings(here, None, cache, options, benches)
    benches = held_by_benches(place, repository.root, name)
    if benches and name is not None:
        return Holdings(repository.root, repository, cache, options, benches)
    return _with_runs(repository, cache, name, options, benches)


def _with_runs(
    repository: Repository, cache: Path, name: str | None, options: CleanOptions, benches: tuple[Holding, ...]
) -> Holdings:
    runs = {run.run_id: run for run in all_runs(repository.root)}
    homes = {home.name: home for home in homes_in(cache) if home.name not in runs}
    refs = pinned(repository)
    here = _Here(repository, cache, options, refs, frozenset(runs), _orphans(repository, refs))
    found = (
        *map(here.run, runs.values()),
        *(here.home(home) for home in homes.values() if here.is_looked_into(home)),
        *map(here.in_git_alone, sorted(here.orphans - {*homes})),
    )
    if name is None:
        elsewhere = sum(not here.is_looked_into(home) for home in homes.values())
        entries = (*found, *benches, *_left_over(repository.root, cache))
        return Holdings(repository.root, repository, cache, options, entries, elsewhere)
    chosen = tuple(entry for entry in found if name in (entry.name, entry.program))
    if not chosen:
        raise AutoloopError(f"there is no run {name!r}", "`autoloop clean` without a name shows what there is.")
    return Holdings(repository.root, repository, cache, options, chosen)


def run_state(run: RunDirectory, home: Home) -> State:
    """How the run that holds something ended."""
    if is_alive(run) or home.is_occupied:
        return State.ALIVE
    try:
        run.refuse_newer()
    except AutoloopError:
        return State.NEWER
    return State.FINISHED if has_ended(run) else State.KILLED


@dataclass(frozen=True)
class _Here:
    """This repository, and the refs that are pinned in it."""

    repository: Repository
    cache: Path
    options: CleanOptions
    pinned: Pinned
    runs: frozenset[str]
    orphans: frozenset[str]
    """Names of runs and of other things that are pinned here, and are nowhere else."""

    def run(self, run: RunDirectory) -> Holding:
        """The holding of a run of this repository."""
        home = Home(self.cache / run.run_id)
        sizes = home_sizes(home, cache_paths_of(run)) + run_sizes(run, self.options)
        return self._holding(run.run_id, run_state(run, home), sizes, self.repository.root, run.slug)

    def is_looked_into(self, home: Home) -> bool:
        """Whether a home that belongs to no run here is to be looked at."""
        return self._is_ours(home) or (self.options.everywhere and (home.owner is not None or home.age > _LONG_DEAD))

    def home(self, home: Home) -> Holding:
        """The holding of a home that belongs to no run here."""
        run = run_of(home)
        if run is not None:
            state = run_state(run, home)
        elif home.is_occupied:
            state = State.ALIVE
        else:
            state = State.LEFT_OVER if WORKSHOP.fullmatch(home.name) else State.GONE
        return self._holding(home.name, state, home_sizes(home), home.owner, run.slug if run else "")

    def in_git_alone(self, name: str) -> Holding:
        """The holding of a run of which only refs are left."""
        state = State.LEFT_OVER if WORKSHOP.fullmatch(name) else State.GONE
        return self._holding(name, state, Counter(), self.repository.root)

    def _holding(self, name: str, state: State, sizes: Sizes, owner: Path | None, program: str = "") -> Holding:
        is_pinned = name in self.runs | self.orphans
        branch = self.pinned.branches.get(name, "") if is_pinned else ""
        return Holding(
            name=name,
            state=state,
            what=_WHAT.get(name.partition("-")[0], "run"),
            program=program or (branch.split("/")[1] if branch else ""),
            repository=str(owner or ""),
            here=owner is not None and self._is_near(owner),
            own=owner == self.repository.root,
            sizes=sizes,
            refs=self.pinned.pins[name] if is_pinned else 0,
            branch=branch,
            tip=self.pinned.commits[name] if branch else "",
        )

    def _is_ours(self, home: Home) -> bool:
        return home.owner is not None and self._is_near(home.owner)

    def _is_near(self, owner: Path) -> bool:
        """Whether an owner is this repository, one of a demo, or one that is gone."""
        return owner == self.repository.root or owner.name.startswith(DEMO) or not owner.is_dir()


def _orphans(repository: Repository, refs: Pinned) -> frozenset[str]:
    """What is pinned and is no run. A run in another worktree is one, and a worktree out of reach may have any."""
    places = worktrees(repository)
    known = {run.run_id for place in places for run in all_runs(place)}
    names = refs.without(known)
    reachable = all(place.is_dir() for place in places)
    return frozenset(name for name in names if reachable or WORKSHOP.fullmatch(name))


def run_of(home: Home) -> RunDirectory | None:
    """The run of a home, when its directory exists."""
    found = list((home.owner / RUNS).glob(f"*/{home.name}/run.json")) if home.owner else []
    return RunDirectory(found[0].parent) if found else None


def left_over(root: Path, cache: Path) -> dict[str, list[Path]]:
    """What processes that are dead left, and what serves nobody any more, beside homes and runs."""
    asides = (cache / REMOVED, root / RUNS / REMOVED_RUNS)
    return {
        "removed": [path for path in asides if is_real_folder(bytes(path))],
        "sandbox trials": [path for path in trials_in(cache) if time.time() - path.lstat().st_mtime > _LONG_DEAD],
        "old calibrations": outdated(cache, time.time()),
    }


def _left_over(root: Path, cache: Path) -> Iterator[Holding]:
    for name, paths in left_over(root, cache).items():
        if paths:
            size = sum(disk_use(bytes(path)).total for path in paths)
            yield Holding(name, State.LEFT_OVER, "files", sizes={Part.SCRATCH: size})


REMOVED_TRIALS = ".removed"
"""The directory in a bench in which its workspaces wait to be removed."""


def held_by_benches(place: Path, root: Path, name: str | None) -> tuple[Holding, ...]:
    """The benches among the results here, or the one that `name` names by its directory."""
    if name is not None:
        named = bench_at(place / name)
        return (_holding(named, bench_state(named), root),) if named else ()
    states = {bench: bench_state(bench) for bench in benches_in(place, root)}
    latest = [bench for bench, state in states.items() if state is State.FINISHED][-1:]
    return tuple(_holding(bench, state, root, is_latest=bench in latest) for bench, state in states.items())


def bench_state(bench: BenchDirectory, *, held: bool = False) -> State:
    """How a bench that holds something ended; one whose journal cannot be read, as a newer version's, is unfinished.

    `held` is whether it is this process that has its lock.
    """
    if not held and is_bench_alive(bench):
        return State.ALIVE
    try:
        state = replay(read_bench(bench.journal))
    except AutoloopError:
        return State.UNFINISHED
    return State.FINISHED if _is_done(state) else State.UNFINISHED


def _is_done(state: BenchState) -> bool:
    return state.stopped is not None and state.stopped.reason is BenchStop.DONE and not state.open


def kept_workspaces(bench: BenchDirectory) -> Iterator[Path]:
    """What trials left, where the journal says that it was kept; nothing where links lead elsewhere."""
    for result in replay(read_bench(bench.journal)).results.values():
        trial = bench.path / Path(result.workspace).parent
        if result.workspace and trial.resolve() == trial and trial.is_relative_to(bench.path):
            yield from (trial / part for part in PLACES if is_real_folder(os.fsencode(trial / part)))


def _holding(bench: BenchDirectory, state: State, root: Path, *, is_latest: bool = False) -> Holding:
    apart = frozenset(map(os.fsencode, kept_workspaces(bench))) if state is State.FINISHED else frozenset()
    use = disk_use(os.fsencode(bench.path), apart)
    removed = disk_use(os.fsencode(bench.path / REMOVED_TRIALS)).total
    sizes = {Part.WORKSPACES: use.apart, Part.LITTER: removed, Part.RECORDS: use.total - use.apart - removed}
    place = bench.path.relative_to(root) if bench.path.is_relative_to(root) else bench.path
    return Holding(name=str(place), state=state, what="bench", own=True, sizes=sizes, is_latest=is_latest)


PATCH = "diff.patch"
_PARTS = {b"homes": Part.CACHES, b"caches": Part.CACHES, b"scratch": Part.SCRATCH}
Sizes = Counter[Part]


def not_kept(run: RunDirectory) -> set[str]:
    """The names of the directories of experiments that were decided and not kept."""
    decided = (event for event in read_events(run.journal) if isinstance(event, Decided))
    dropped = (event.experiment for event in decided if event.decision.reason.status is not Status.KEEP)
    return {run.experiment(number).name for number in dropped}


def said_in(run: RunDirectory, names: set[str]) -> Iterator[Path]:
    """Packets and transcripts of some experiments: whatever lies in their directories beside the diff."""
    folder = run.path / "experiments"
    for path in (folder / name for name in sorted(names)):
        if is_real_folder(bytes(folder)) and is_real_folder(bytes(path)):
            yield from (inner for inner in path.iterdir() if inner.name != PATCH)


def home_sizes(home: Home, cache_paths: tuple[str, ...] = ()) -> Sizes:
    """Bytes of a run's trees and of what is beside them, part by part."""
    found: Sizes = Counter()
    apart = {os.fsencode(f"/{slot}/{path}") for slot in SLOTS.values() for path in cache_paths}
    for path in home.paths:
        found[Part.TREES] += BLOCK * path.lstat().st_blocks
        for entry in _listed(path):
            use = disk_use(entry, frozenset(entry + below for below in apart))
            found[_PARTS.get(os.path.basename(entry), Part.TREES)] += use.total - use.apart
            found[Part.CACHES] += use.apart
    return found


def run_sizes(run: RunDirectory, options: CleanOptions) -> Sizes:
    """Bytes of a run's directory, part by part; transcripts are told apart where that is asked for."""
    found: Sizes = Counter()
    parts = {b"sealed": Part.SEALED, b"experiments": Part.SESSIONS}
    with suppress(OSError):
        found[Part.LITTER] = sum(disk_use(bytes(path)).total for path in half_written(run.path))
    for path in _listed(run.path):
        found[parts.get(os.path.basename(path), Part.JOURNAL)] += disk_use(path).total
    found[Part.JOURNAL] -= found[Part.LITTER]
    if options.transcripts:
        with suppress(AutoloopError, OSError):
            found[Part.TRANSCRIPTS] = sum(disk_use(bytes(path)).total for path in said_in(run, not_kept(run)))
            found[Part.SESSIONS] -= found[Part.TRANSCRIPTS]
    return found


def cache_paths_of(run: RunDirectory) -> tuple[str, ...]:
    """The paths of a run's trees that are caches; none where its record cannot be read."""
    with suppress(AutoloopError):
        return read_record(run).program.scope.cache_paths
    return ()


def _listed(folder: Path) -> list[bytes]:
    """The names in a folder; none when it cannot be read."""
    with suppress(OSError):
        return [entry.path for entry in entries(bytes(folder))]
    return []


def holdings(
    path: Path, name: str | None = None, options: CleanOptions | None = None, *, environ: Mapping[str, str] = os.environ
) -> Holdings:
    """What there is on the disk of runs, benches and leftovers, and what of it may go; changes nothing.

    `name` is a run's id, a program's name for all its runs, or the directory of a bench.
    """
    return survey(path, cache_directory(environ), name, options or CleanOptions())
