"""Wishes for a run that is going."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from autoloop.api.looking import root_of
from autoloop.errors import AutoloopError
from autoloop.stores.runs import find_run, is_alive


def guide(path: Path, text: str, name: str | None = None) -> str:
    """Steer the next experiments of a run; the run's id. An empty text withdraws the guidance."""
    from autoloop.stores.directory import write_atomically

    directory = find_run(root_of(path), name)
    write_atomically(directory.path / "guidance.md", text.strip() + "\n" if text.strip() else "")
    return directory.run_id


def stop(path: Path, name: str | None = None, *, now: bool = False) -> str:
    """Ask a run to stop, after its experiment or at once; the run's id."""
    from autoloop.steering import ask

    directory = find_run(root_of(path), name)
    if not is_alive(directory):
        raise AutoloopError(f"run {directory.run_id} is not going", "See `autoloop status`.")
    ask(directory, stop="now" if now else "after")
    return directory.run_id


def limit(path: Path, limits: Mapping[str, int | float], name: str | None = None) -> str:
    """Change the limits of a run from its next experiment on; the run's id."""
    from autoloop.steering import ask, check_limits, read_control

    directory = find_run(root_of(path), name)
    check_limits(dict(limits), directory.read_record().program.limits)
    kept = read_control(directory.path / "control.json").get("limits") or {}
    ask(directory, limits={**kept, **limits})
    return directory.run_id
