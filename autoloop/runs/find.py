"""Finding runs, and one of them in one look. Loads no models while `state.json` can be trusted: `status` is quick."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from autoloop.errors import AutoloopError
from autoloop.git.root import root_of
from autoloop.journal.locks import is_held
from autoloop.runs.directory import RunDirectory

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


def status(path: Path, name: str | None = None) -> dict[str, Any]:
    """A run in one look, with `alive`, `path` and the `last` result.

    `state.json` is trusted when it speaks of the whole journal.
    """
    directory = find_run(root_of(path), name)
    alive = is_alive(directory)
    found = trusted_state(directory)
    if found is None:
        found = _replayed_summary(directory)
    if not alive and found["phase"] != "stopped":
        found["phase"] = "killed"
    return {**found, "alive": alive, "path": str(directory.path), "last": last_result(directory)}


def _replayed_summary(directory: RunDirectory) -> dict[str, Any]:
    from autoloop.runs.record import summary_of

    return summary_of(directory).model_dump(mode="json")
