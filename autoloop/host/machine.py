"""The machine that measures: its clock, its free space, its load, and keeping it awake.

The clock is read once a process and goes on evenly from there: a step of the system's clock is no time of a run's.
"""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE

from autoloop import process
from autoloop.core.run.disturbance import Conditions
from autoloop.core.run.program import Limits
from autoloop.host.standstill import steadily

_LOOK_AGAIN_SECONDS = 2.0
_SLICE_SECONDS = 0.1
_FEWEST_FILES = 16


class ThisMachine:
    """The machine that this process runs on."""

    def __init__(
        self, *disks: Path, still: Callable[[], float] = lambda: 0.0, steady: Callable[[], float] = steadily
    ) -> None:
        self._disks = disks
        """Where a run writes."""
        self._still = still
        self._steady = steady
        self._began = time.time() - steady()

    def now(self) -> float:
        """Unix seconds, which never go back."""
        return self._began + self._steady()

    def conditions(self) -> Conditions:
        """Free space, and how long everything stood still."""
        places = {*self._disks, Path(tempfile.gettempdir())}
        frozen = [str(place) for place in self._disks if _disk_of(place).f_flag & os.ST_RDONLY]
        return Conditions(
            free_gb=min(free_gb(place) for place in places), still=self._still(), read_only=frozen[0] if frozen else ""
        )

    def sleep(self, seconds: float, cancelled: Callable[[], bool]) -> None:
        """Return after so many seconds, or soon after `cancelled`."""
        _sleep(seconds, cancelled)

    def wait_until_fit(
        self, limits: Limits, cancelled: Callable[[], bool], say: Callable[[str, str], None]
    ) -> str | None:
        """Return once the machine is fit for an experiment; what had kept it from that, if anything."""
        waited_for: str | None = None
        while (obstacle := self._obstacle(limits)) is not None and not cancelled():
            if obstacle != waited_for:
                say("waiting", obstacle)
            waited_for = obstacle
            _sleep(_LOOK_AGAIN_SECONDS, cancelled)
        return waited_for

    def _obstacle(self, limits: Limits) -> str | None:
        for place in self._disks:
            if (free := free_gb(place)) < limits.min_free_gb:
                return f"{free:.1f} GB free at {place}, below min_free_gb of {limits.min_free_gb:g}"
        if limits.max_load is not None and (load := os.getloadavg()[0]) > limits.max_load:
            return f"a load of {load:.1f}, above max_load of {limits.max_load:g}"
        return None


def free_gb(place: Path) -> float:
    """Gigabytes that can be written at a place, or where it would be; 0 when no file can be made there."""
    about = _disk_of(place)
    if about.f_files and about.f_favail < _FEWEST_FILES:
        return 0.0
    return about.f_bavail * about.f_frsize / 1e9


def free_memory_gb() -> float:
    """Gigabytes of memory that can be had without swapping."""
    import psutil  # type: ignore[import-untyped]

    return float(psutil.virtual_memory().available) / 1e9


def _disk_of(place: Path) -> os.statvfs_result:
    return os.statvfs(next(path for path in (place, *place.parents) if path.exists()))


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
    guard = process.start(command, stdin=PIPE)
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
        return ["systemd-inhibit", "--what=sleep:idle", "--who=autoloop", "--why=a run is in progress", "cat"]
    return None
