"""What benches hold on the disk: workspaces that were kept for people, and records, which stay. Changes nothing."""

import os
from collections.abc import Iterator
from pathlib import Path

from autoloop.core.keeping import Holding, Part, State
from autoloop.core.suite.events import BenchStop
from autoloop.core.suite.state import BenchState, replay
from autoloop.errors import AutoloopError
from autoloop.stores.bench_directory import BenchDirectory
from autoloop.stores.bench_journal import read_bench
from autoloop.stores.benches import bench_at, benches_in, is_carried
from autoloop.trees.disk import disk_use
from autoloop.trees.walk import is_real_folder
from autoloop.workspaces.workspace import PLACES

REMOVED = ".removed"
"""In a bench's directory: what is being removed of it."""


def held_by_benches(place: Path, root: Path, name: str | None) -> tuple[Holding, ...]:
    """The benches among the results here, or the one that `name` names by its directory."""
    if name is not None:
        named = bench_at(place / name)
        return (_holding(named, bench_state(named), root),) if named else ()
    states = {bench: bench_state(bench) for bench in benches_in(place, root)}
    latest = [bench for bench, state in states.items() if state is State.FINISHED][-1:]
    return tuple(_holding(bench, state, root, is_latest=bench in latest) for bench, state in states.items())


def bench_state(bench: BenchDirectory, *, held: bool = False) -> State:
    """What became of a bench. One whose journal cannot be read may be another version's, and counts as unfinished.

    `held` is whether it is this process that has its lock.
    """
    if not held and is_carried(bench):
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
    removed = disk_use(os.fsencode(bench.path / REMOVED)).total
    sizes = {Part.WORKSPACES: use.apart, Part.LITTER: removed, Part.RECORDS: use.total - use.apart - removed}
    place = bench.path.relative_to(root) if bench.path.is_relative_to(root) else bench.path
    return Holding(name=str(place), state=state, what="bench", own=True, sizes=sizes, is_latest=is_latest)
