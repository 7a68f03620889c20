"""The programs, runs and benches of a repository, and which of them are running now."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoloop.errors import AutoloopError
from autoloop.git.root import root_of
from autoloop.runs.find import all_runs, is_alive
from autoloop.suites.find import bench_at, looked_at, to_tell

if TYPE_CHECKING:
    from autoloop.runs.directory import RunDirectory


@dataclass(frozen=True)
class Overview:
    """The programs and runs of a repository, as `status` lists them."""

    root: Path
    programs: tuple[str, ...]
    runs: tuple[RunDirectory, ...]
    alive: tuple[str, ...]


def look(path: Path) -> Overview:
    """The programs and the runs of the repository around a path."""
    from autoloop.config.programs import list_programs

    root = root_of(path)
    runs = all_runs(root)
    alive = tuple(run.run_id for run in runs if is_alive(run))
    return Overview(root, tuple(list_programs(root, path.resolve())), tuple(runs), alive)


def benches(path: Path, name: str | None = None) -> list[dict[str, Any]]:
    """The benches among the results here that go now, else the latest one; or the one whose directory `name` is.

    Each in one look, from its `state.json`. None for the name of anything else.
    """
    named = None if name is None else bench_at(path / name)
    found = to_tell(path, *_roots(path)) if name is None else [named] if named else []
    return [facts for facts in map(looked_at, found) if facts is not None]


def _roots(path: Path) -> list[Path]:
    """The root of the work tree around a path; none outside of one."""
    with suppress(AutoloopError):
        return [root_of(path)]
    return []
