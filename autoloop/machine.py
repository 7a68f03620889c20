"""The machine that measures: its clock, its free space, its load, and keeping it awake."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from autoloop.core.program import Limits

_LOOK_AGAIN_SECONDS = 10.0
_SLICE_SECONDS = 0.1


class ThisMachine:
    """The machine that the loop runs on."""

    def __init__(self, *disks: Path) -> None:
        self._disks = disks

    def now(self) -> float:
        """Unix seconds."""
        return time.time()

    def sleep(self, seconds: float, cancelled: Callable[[], bool]) -> None:
        """Return after so many seconds, or soon after `cancelled`."""
        _sleep(seconds, cancelled)

    def wait_until_fit(
        self, limits: Limits, cancelled: Callable[[], bool], say: Callable[[str, str], None]
    ) -> str | None:
        """Return once nothing speaks against an experiment; what did, if anything."""
        waited_for = None
        while (obstacle := self._obstacle(limits)) is not None and not cancelled():
            if obstacle != waited_for:
                say("waiting", obstacle)
            waited_for = obstacle
            _sleep(_LOOK_AGAIN_SECONDS, cancelled)
        return waited_for

    def _obstacle(self, limits: Limits) -> str | None:
        for disk in self._disks:
            free = shutil.disk_usage(disk).free / 1e9
            if free < limits.min_free_gb:
                return f"{free:.1f} GB free at {disk}, below min_free_gb of {limits.min_free_gb:g}"
        if limits.max_load is not None and (load := os.getloadavg()[0]) > limits.max_load:
            return f"a load of {load:.1f}, above max_load of {limits.max_load:g}"
        return None


def _sleep(seconds: float, cancelled: Callable[[], bool]) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and not cancelled():
        time.sleep(_SLICE_SECONDS)


@contextmanager
def awake() -> Iterator[None]:
    """Keep the system from sleeping where it lets us; elsewhere do nothing."""
    command = _inhibitor()
    if command is None:
        yield
        return
    guard = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        guard.kill()
        guard.wait()


def _inhibitor() -> list[str] | None:
    """A command that keeps the system awake until it is killed or its standard input closes."""
    if sys.platform == "darwin" and shutil.which("caffeinate"):
        return ["caffeinate", "-i", "cat"]
    if shutil.which("systemd-inhibit") and Path("/run/systemd/system").exists():
        return ["systemd-inhibit", "--what=sleep:idle", "--who=autoloop", "--why=a run is going", "cat"]
    return None
