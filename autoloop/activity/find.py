"""Finding the run or the bench that a path or a name means, and following it, for viewers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from autoloop.errors import AutoloopError
from autoloop.git.root import root_of
from autoloop.runs.directory import RunDirectory
from autoloop.runs.find import find_run
from autoloop.runs.follow import RunFollower
from autoloop.suites.directory import BenchDirectory
from autoloop.suites.find import RESULTS, first_kind
from autoloop.suites.follow import BenchFollower
from autoloop.suites.record import read_bench

if TYPE_CHECKING:
    from autoloop.core.suite.events import BenchEvent
    from autoloop.runs.follow import RunFollower
    from autoloop.suites.follow import BenchFollower


JOURNAL = "journal.jsonl"


def follow(path: Path, name: str | None = None) -> RunFollower | BenchFollower:
    """A follower of what a path or a name means: a run or a bench by directory, id or program, or the newest here."""
    directory = place_of(path, name)
    if is_bench(directory):
        return BenchFollower(BenchDirectory(directory))
    return RunFollower(RunDirectory(directory))


def bench_events(directory: Path, after: int = 0) -> Iterator[BenchEvent]:
    """The events of a bench after the first `after`, for every viewer."""
    return islice(read_bench(directory / JOURNAL), after, None)


def place_of(path: Path, name: str | None) -> Path:
    """The directory of the run or the bench that a path or a name means."""
    if name is None:
        return _newest(path)
    given = path / name
    if (given / JOURNAL).is_file():
        return given.resolve()
    if given.is_dir() and "/" in name:
        raise AutoloopError(f"{given} holds no {JOURNAL}, so there is neither a run nor a bench", _nearby(given))
    try:
        return _run(path, name)
    except AutoloopError as error:
        hint = f"{error.hint} A bench is named by its directory, such as {RESULTS}/20260101."
        raise AutoloopError(error.message, hint) from None


def is_bench(directory: Path) -> bool:
    """Whether the journal there is that of a bench."""
    kind = first_kind(directory / JOURNAL)
    if not kind:
        said = f"{directory / JOURNAL} does not begin with an event"
        raise AutoloopError(said, "Try again once its run or bench has begun.")
    return kind == "bench_started"


def _run(path: Path, name: str | None) -> Path:
    return find_run(root_of(path), name).path


def _newest(path: Path) -> Path:
    found = [journal.parent for journal in (path / RESULTS).glob(f"*/{JOURNAL}")]
    with suppress(AutoloopError):
        found.append(_run(path, None))
    there = [directory for directory in found if (directory / JOURNAL).is_file()]
    if not there:
        raise AutoloopError(
            f"there is no run in {path}, and no bench in {path / RESULTS}",
            "Name one: `autoloop hud RUN`, or the directory of a bench. Or start one: `autoloop run SLUG`.",
        )
    return max(there, key=lambda directory: (directory / JOURNAL).stat().st_mtime)


def _nearby(folder: Path) -> str:
    inside = sorted(journal.parent.name for journal in folder.glob(f"*/{JOURNAL}"))
    return f"In it are {', '.join(inside[-5:])}." if inside else "Name the directory that a bench was given as -o."
