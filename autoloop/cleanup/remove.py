"""Removes what runs and benches hold on the disk, as far as it may go: trees and caches, or more where asked for.

What goes is moved aside in one step, under the locks of whoever would use it, and only then taken apart. So a crash in
the middle leaves a run with its trees or without, never with half of them, and a resume makes what is missing.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from autoloop import process
from autoloop.cleanup import survey
from autoloop.cleanup.survey import (
    REMOVED_RUNS,
    Holdings,
    bench_state,
    kept_workspaces,
    left_over,
    not_kept,
    run_of,
    said_in,
)
from autoloop.core.holdings import MADE_AGAIN, Holding, Part, State
from autoloop.errors import AutoloopError
from autoloop.git.disk import disk_use, drop_empty, remove_what_goes, set_aside
from autoloop.git.homes import REMOVED, Home, vacant
from autoloop.git.refs import Refs
from autoloop.git.repository import find
from autoloop.git.walk import is_real_folder
from autoloop.journal.files import half_written
from autoloop.journal.locks import locked
from autoloop.runs.create import has_ended
from autoloop.runs.directory import RunDirectory
from autoloop.runs.find import RUNS
from autoloop.suites.directory import BenchDirectory

OnEntry = Callable[[Holding, int], None]
"""Called with each holding that was gone through, and how many bytes that freed."""


@dataclass
class Cleaned:
    """The result of removing holdings."""

    freed: int = 0
    """Bytes that were freed on the disk."""
    problems: list[str] = field(default_factory=list)
    """What could not be removed, one line each."""
    branches: list[str] = field(default_factory=list)
    """The branches that were deleted, each with the commit that it was at."""


class TakenUpError(Exception):
    """A run or a bench was taken up by a process since it was looked at."""


def clean(found: Holdings, on_entry: OnEntry = lambda entry, freed: None) -> Cleaned:
    """Remove what the holdings say may go, unless a process took it up. What cannot be removed is listed."""
    cleaned = Cleaned()
    for entry in found.to_go:
        before = cleaned.freed
        try:
            _Cleaning(found, entry, cleaned).clean()
        except TakenUpError:
            cleaned.problems.append(f"{entry.name} was taken up meanwhile, so it was left as it is")
        except OSError as error:
            cleaned.problems.append(_refusal(error))
        except AutoloopError as error:
            cleaned.problems.append(error.message)
        on_entry(entry, cleaned.freed - before)
    return cleaned


@dataclass(frozen=True)
class _Cleaning:
    """Removes the parts of one holding."""

    found: Holdings
    entry: Holding
    cleaned: Cleaned

    def clean(self) -> None:
        """Remove all of it that may go."""
        parts = self.entry.parts_to_go(self.found.options)
        if self.entry.what == "files":
            self._take_apart(left_over(self._root, self.found.cache)[self.entry.name], MADE_AGAIN)
            return
        if self.entry.what == "bench":
            self._take_apart(self._workspaces_aside(parts), parts)
            return
        run = self._run
        if run is None:
            self._take_apart(self._home_aside(), MADE_AGAIN)
        else:
            with _unused(run.lock):
                if has_ended(run) is not (self.entry.state is State.FINISHED):
                    raise TakenUpError
                said = self._said(run, parts)
                aside = [*self._home_aside(), *said, *self._run_aside(run, parts)]
            self._take_apart(aside, parts)
        if Part.REFS in parts:
            self._unpin(parts)

    @property
    def _root(self) -> Path:
        return self.found.root

    def _workspaces_aside(self, parts: frozenset[Part]) -> list[Path]:
        """The workspaces of a bench, where no other grade finds half of one. Nobody resumes it meanwhile."""
        bench = BenchDirectory(self._root / self.entry.name)
        removed = bench.path / survey.REMOVED_TRIALS
        with _unused(bench.lock):
            if Part.WORKSPACES in parts:
                if bench_state(bench, held=True) is not State.FINISHED:
                    raise TakenUpError
                for path in list(kept_workspaces(bench)):
                    set_aside(path, bench.path, removed.name)
            return [removed] if is_real_folder(bytes(removed)) else []

    @property
    def _run(self) -> RunDirectory | None:
        if not self.entry.own:
            return run_of(Home(self.found.cache / self.entry.name))
        run = RunDirectory(self._root / RUNS / self.entry.program / self.entry.name)
        return run if (run.path / "run.json").exists() else None

    def _home_aside(self) -> list[Path]:
        """The home, moved where nobody finds it any more."""
        home = Home(self.found.cache / self.entry.name)
        if not home.paths:
            return []
        with vacant(home.path) as is_vacant:
            if not is_vacant:
                raise TakenUpError
            process.sweep_run(self.entry.name)
            return [set_aside(path, self.found.cache, REMOVED) for path in home.paths]

    def _run_aside(self, run: RunDirectory, parts: frozenset[Part]) -> list[Path]:
        """What goes of the run's directory. A whole one is no run any more as soon as it is elsewhere."""
        if Part.JOURNAL in parts:
            return [set_aside(run.path, self._root / RUNS, f"{REMOVED_RUNS}/{run.slug}")]
        return half_written(run.path) if self.entry.own else []

    def _said(self, run: RunDirectory, parts: frozenset[Part]) -> list[Path]:
        """Paths of packets and transcripts to remove although the run stays; none when its journal cannot be read."""
        if Part.TRANSCRIPTS not in parts or Part.JOURNAL in parts:
            return []
        try:
            return list(said_in(run, not_kept(run)))
        except AutoloopError as error:
            self.cleaned.problems.append(error.message)
            return []

    def _take_apart(self, paths: list[Path], parts: frozenset[Part]) -> None:
        self.cleaned.freed += sum(self.entry.sizes.get(part, 0) for part in parts)
        for path in paths:
            refused = remove_what_goes(bytes(path))
            if refused is not None:
                self.cleaned.freed -= disk_use(bytes(path)).total
                self.cleaned.problems.append(_refusal(refused))
        for root, below in ((self.found.cache, REMOVED), (self._root / RUNS, REMOVED_RUNS)):
            drop_empty(root / below)

    def _unpin(self, parts: frozenset[Part]) -> None:
        """Drop the refs, and the branch where that was asked for."""
        own = self.found.repository if self.entry.own else None
        common_dir = own.common_dir if own else _common_dir(self.entry.repository)
        if common_dir is None:
            return
        refs = Refs(common_dir, self.entry.name, self.entry.branch)
        refs.drop()
        if Part.BRANCH in parts and self.entry.branch:
            left = refs.drop_branch()
            if left:
                self.cleaned.problems.append(left)
            else:
                self.cleaned.branches.append(f"{self.entry.branch} {self.entry.tip}")


def _unused(path: Path) -> AbstractContextManager[None]:
    """Hold the lock of a run or a bench, so that nobody takes it up meanwhile."""
    return locked(path, TakenUpError(), patience=0.0)


def _common_dir(root: str) -> Path | None:
    """The git directory of another repository, when it is still one."""
    with suppress(AutoloopError):
        return find(Path(root)).common_dir if root else None
    return None


def _refusal(error: OSError) -> str:
    place = error.filename
    shown = place.decode("utf-8", "backslashreplace") if isinstance(place, bytes) else place
    return f"{shown} cannot be removed: {error.strerror}; see whose it is (ls -ld, lsattr), then clean again"
