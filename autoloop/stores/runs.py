"""Finding runs, telling whether one is alive, and holding one."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from autoloop.errors import AutoloopError
from autoloop.stores.directory import RunDirectory

RUNS = Path(".autoloop/runs")
_LONGEST_LINE = 1 << 14


def all_runs(root: Path, slug: str | None = None) -> list[RunDirectory]:
    """The repository's runs, or one program's; oldest first, by the time in their ids."""
    found = (root / RUNS).glob(f"{slug or '*'}/*/run.json")
    return sorted((RunDirectory(path.parent) for path in found), key=lambda run: (run.run_id, run.slug))


def find_run(root: Path, name: str | None) -> RunDirectory:
    """The run that a person means: by id, by slug (its latest run), or the repository's latest."""
    runs = all_runs(root)
    meant = [run for run in runs if name is None or name in (run.run_id, run.slug)]
    if meant:
        meant[-1].refuse_newer()
        return meant[-1]
    if not runs:
        raise AutoloopError(f"there is no run in {root} yet", "Start one: `autoloop run SLUG`.")
    latest = ", ".join(f"{run.slug} {run.run_id}" for run in reversed(runs[-5:]))
    raise AutoloopError(f"there is no run {name!r}", f"The latest: {latest}.")


def is_alive(run: RunDirectory) -> bool:
    """Whether a process holds the run: its lock dies with it, so a slow or sleeping process is still alive."""
    return is_held(run.lock)


def is_held(lock: Path) -> bool:
    """Whether a process holds a lock."""
    try:
        with lock.open("rb") as file:
            # A shared request collides with the holder alone, not with others who look.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def trusted_state(run: RunDirectory) -> dict[str, Any] | None:
    """The status in `state.json` when it speaks of the whole journal; else None, and the journal must be read."""
    try:
        state = json.loads(run.state.read_text())
        length = run.journal.stat().st_size
    except (OSError, ValueError):
        return None
    if not isinstance(state, dict) or state.pop("journal_bytes", None) != length:
        return None
    state.pop("text", None)
    return state


def last_result(run: RunDirectory) -> dict[str, Any] | None:
    """The last line of `results.tsv` in short, for people; costs the same however long the history is."""
    try:
        with (run.path / "results.tsv").open("rb") as file:
            names = file.readline().decode().rstrip("\n").split("\t")
            start = file.tell()
            file.seek(max(start, file.seek(0, os.SEEK_END) - _LONGEST_LINE))
            cells = file.read().decode(errors="replace").splitlines()[-1].split("\t")
        row = dict(zip(names, cells, strict=True))
        return {
            "experiment": int(row["experiment"]),
            **{name: row[name] for name in ("status", "reason", "description")},
            "gain": float(row["gain"]) if row["gain"] else None,
        }
    except (OSError, LookupError, ValueError):
        return None


@contextmanager
def held(directory: RunDirectory) -> Iterator[None]:
    """Hold the run, and its program: two runs of one would disturb each other. The locks die with this process."""
    slug = directory.slug
    with (
        _locked(
            directory.lock,
            f"run {directory.run_id} is carried by another process",
            f"See `autoloop status {directory.run_id}`.",
        ),
        _locked(
            directory.path.parent / "run.lock",
            f"another run of {slug} is going already",
            f"Watch it with `autoloop status {slug}`, end it with `autoloop stop {slug}`.",
        ),
    ):
        yield


@contextmanager
def _locked(path: Path, held_by_another: str, hint: str) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=1)
    try:
        lock.acquire()
    except Timeout:
        raise AutoloopError(held_by_another, hint) from None
    try:
        yield
    finally:
        lock.release()
