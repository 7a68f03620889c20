"""What is on the disk of runs and benches here, of what was left over, of other repositories. Changes nothing."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from autoloop.bench_stocktaking import held_by_benches
from autoloop.core.keeping import CleanOptions, Holding, Part, State
from autoloop.creation import has_ended
from autoloop.errors import AutoloopError
from autoloop.repository import Repository, find
from autoloop.stores.calibrations import outdated
from autoloop.stores.directory import RunDirectory
from autoloop.stores.runs import RUNS, all_runs, is_alive
from autoloop.trees.disk import disk_use
from autoloop.trees.homes import DEMO, REMOVED, WORKSHOP, Home, homes_in, trials_in
from autoloop.trees.pinned import Pinned, pinned, worktrees
from autoloop.trees.walk import is_real_folder
from autoloop.weighing import Sizes, cache_paths_of, home_sizes, run_sizes

REMOVED_RUNS = ".removed"
"""Beside the runs: what is being removed of them."""
_LONG_DEAD = 3600.0
"""Seconds after which what has no owner that could be asked is taken for dead."""
_WHAT = {"validate": "validation", "compare": "comparison"}


@dataclass(frozen=True)
class Holdings:
    """What there is, and what of it may go."""

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
        """Those of which something may go."""
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
    """What became of a run."""
    if is_alive(run) or home.is_occupied:
        return State.ALIVE
    try:
        run.refuse_newer()
    except AutoloopError:
        return State.NEWER
    return State.FINISHED if has_ended(run) else State.KILLED


@dataclass(frozen=True)
class _Here:
    """This repository, and what is pinned in it."""

    repository: Repository
    cache: Path
    options: CleanOptions
    pinned: Pinned
    runs: frozenset[str]
    orphans: frozenset[str]
    """Names of runs and of other things that are pinned here, and are nowhere else."""

    def run(self, run: RunDirectory) -> Holding:
        """A run of this repository."""
        home = Home(self.cache / run.run_id)
        sizes = home_sizes(home, cache_paths_of(run)) + run_sizes(run, self.options)
        return self._holding(run.run_id, run_state(run, home), sizes, self.repository.root, run.slug)

    def is_looked_into(self, home: Home) -> bool:
        """Whether a home that belongs to no run here is anything to us."""
        return self._is_ours(home) or (self.options.everywhere and (home.owner is not None or home.age > _LONG_DEAD))

    def home(self, home: Home) -> Holding:
        """A home that belongs to no run here."""
        run = run_of(home)
        if run is not None:
            state = run_state(run, home)
        elif home.is_occupied:
            state = State.ALIVE
        else:
            state = State.LEFT_OVER if WORKSHOP.fullmatch(home.name) else State.GONE
        return self._holding(home.name, state, home_sizes(home), home.owner, run.slug if run else "")

    def in_git_alone(self, name: str) -> Holding:
        """What only refs are left of."""
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
        """This repository, one of a demo, or one that is gone."""
        return owner == self.repository.root or owner.name.startswith(DEMO) or not owner.is_dir()


def _orphans(repository: Repository, refs: Pinned) -> frozenset[str]:
    """What is pinned and is no run. A run in another worktree is one, and a worktree out of reach may have any."""
    places = worktrees(repository)
    known = {run.run_id for place in places for run in all_runs(place)}
    names = refs.without(known)
    reachable = all(place.is_dir() for place in places)
    return frozenset(name for name in names if reachable or WORKSHOP.fullmatch(name))


def run_of(home: Home) -> RunDirectory | None:
    """The run that a home is of, when it is there."""
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
