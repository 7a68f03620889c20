"""People's wishes for a running loop: guidance, limits, stop. Files that people write and the loop reads.

A first Ctrl-C asks to stop after the experiment in progress, a second one, SIGTERM or SIGHUP cut it short.
"""

import json
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from autoloop.core.program import Limits
from autoloop.errors import AutoloopError
from autoloop.ports import Wishes
from autoloop.stores.directory import RunDirectory, write_atomically

CHANGEABLE = (
    "max_experiments",
    "max_consecutive_discards",
    "max_hours",
    "max_cost_usd",
    "max_tokens",
    "target",
)
"""The limits that may change while a run goes."""


@dataclass
class Signals:
    """What signals have asked for since this process began."""

    stop: bool = False
    stop_now: bool = False
    received: int | None = None
    on_first: Callable[[], None] = field(default=lambda: None)
    """Told once, so that people know that their Ctrl-C was heard."""

    def install(self) -> None:
        """Heed Ctrl-C, SIGTERM and SIGHUP from now on; for a process's main thread."""
        signal.signal(signal.SIGINT, self._interrupt)
        signal.signal(signal.SIGTERM, self._terminate)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._terminate)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        if self.stop:
            self.stop_now = True
        else:
            self.stop = True
            self.on_first()

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        self.stop = self.stop_now = True


class FileSteering:
    """Wishes read from `guidance.md`, `control.json` and this process's signals."""

    def __init__(self, directory: RunDirectory, signals: Signals) -> None:
        self._guidance = directory.path / "guidance.md"
        self._control = directory.path / "control.json"
        self._signals = signals
        self._read_at: int | None = None
        self._found: dict[str, Any] = {}

    def wishes(self) -> Wishes:
        """What is asked for now. A control file that cannot be read asks for nothing."""
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
    """Write wishes into the control file, beside those that are there; None withdraws one."""
    path = directory.path / "control.json"
    control = {**read_control(path), **wishes}
    write_atomically(path, json.dumps({name: value for name, value in control.items() if value is not None}) + "\n")


def check_limits(limits: dict[str, int | float], base: Limits) -> None:
    """Refuse limits that cannot be changed or are out of range."""
    for name, value in limits.items():
        if name not in CHANGEABLE:
            raise AutoloopError(f"{name} cannot be changed while a run goes", f"These can: {', '.join(CHANGEABLE)}.")
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
