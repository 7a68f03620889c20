"""Control of a running loop: guidance, limits and stop, as files that people write and the loop reads.

This process's signals ask for a stop as well: a first Ctrl-C after the experiment in progress, a second one, SIGTERM or
SIGHUP at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autoloop.core.run.program import Limits
from autoloop.errors import AutoloopError
from autoloop.git.root import root_of
from autoloop.host.signals import Signals
from autoloop.journal.files import write_atomically
from autoloop.ports import Wishes
from autoloop.runs.directory import RunDirectory
from autoloop.runs.find import find_run, is_alive
from autoloop.runs.record import read_record

CHANGEABLE = (
    "max_experiments",
    "max_consecutive_discards",
    "max_hours",
    "max_cost_usd",
    "max_tokens",
    "target",
)
"""The limits that may change while a run is running."""


class FileSteering:
    """Wishes read from `guidance.md`, `control.json` and this process's signals."""

    def __init__(self, directory: RunDirectory, signals: Signals) -> None:
        self._guidance = directory.path / "guidance.md"
        self._control = directory.path / "control.json"
        self._signals = signals
        self._read_at: int | None = None
        self._found: dict[str, Any] = {}

    def wishes(self) -> Wishes:
        """The wishes in force now. A control file that cannot be read asks for nothing."""
        control = self._read_control()
        guidance = self._guidance.read_text(errors="replace").strip() if self._guidance.exists() else ""
        limits = control.get("limits")
        return Wishes(
            guidance=guidance,
            limits=_good_limits(limits) if isinstance(limits, dict) else {},
            stop=self._signals.stop or control.get("stop") in ("after", "now"),
        )

    def now(self) -> bool:
        """Whether the experiment in progress should be cut short. Cheap: asked ten times a second."""
        return self._signals.stop_now or self._read_control().get("stop") == "now"

    def _read_control(self) -> dict[str, Any]:
        try:
            changed = self._control.stat().st_mtime_ns
            if changed != self._read_at:
                self._read_at, self._found = changed, read_control(self._control)
        except OSError:
            self._read_at, self._found = None, {}
        return self._found


def read_control(path: Path) -> dict[str, Any]:
    """The control file, or nothing when it is missing or damaged."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def ask(directory: RunDirectory, **wishes: Any) -> None:
    """Write wishes into the control file, beside those that are in it; None withdraws one."""
    path = directory.path / "control.json"
    control = {**read_control(path), **wishes}
    write_atomically(path, json.dumps({name: value for name, value in control.items() if value is not None}) + "\n")


def check_limits(limits: dict[str, int | float], base: Limits) -> None:
    """Refuse limits that cannot be changed or are out of range."""
    for name, value in limits.items():
        if name not in CHANGEABLE:
            raise AutoloopError(f"{name} cannot be changed during a run", f"These can: {', '.join(CHANGEABLE)}.")
        if not _good_limits({name: value}):
            allowed = type(base).model_fields[name].description
            raise AutoloopError(f"{name} is {value!r}; allowed: {allowed}")


def _good_limits(limits: dict[str, Any]) -> dict[str, int | float]:
    good = {}
    for name, value in limits.items():
        try:
            Limits.model_validate({name: value}, strict=True)
        except ValueError:
            continue
        if name in CHANGEABLE:
            good[name] = value
    return good


def guide(path: Path, text: str, name: str | None = None) -> str:
    """Steer the next experiments of a run; the run's id. An empty text withdraws the guidance."""
    directory = find_run(root_of(path), name)
    write_atomically(directory.path / "guidance.md", text.strip() + "\n" if text.strip() else "")
    return directory.run_id


def stop(path: Path, name: str | None = None, *, now: bool = False) -> str:
    """Ask a run to stop, after its experiment or at once; the run's id."""

    directory = find_run(root_of(path), name)
    if not is_alive(directory):
        raise AutoloopError(f"run {directory.run_id} is not running", "See `autoloop status`.")
    ask(directory, stop="now" if now else "after")
    return directory.run_id


def limit(path: Path, limits: Mapping[str, int | float], name: str | None = None) -> str:
    """Change the limits of a run from its next experiment on; the run's id."""

    directory = find_run(root_of(path), name)
    check_limits(dict(limits), read_record(directory).program.limits)
    kept = read_control(directory.path / "control.json").get("limits") or {}
    ask(directory, limits={**kept, **limits})
    return directory.run_id
