"""Faults that tests bring about: a disk that is full or read-only, processes that stand still."""

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from autoloop.ports import Progress


@contextmanager
def mounted(place: Path, *options: str) -> Iterator[Path]:
    """A mount at this place while the block lasts; skips the test where only a more powerful user could make one."""
    place.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", *options, str(place)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting is refused here, which needs root: {done.stderr.strip()[:100]}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def small_disk(place: Path, megabytes: int = 16) -> "contextmanager[Path]":  # type: ignore[type-arg]
    """A disk of a few megabytes."""
    return mounted(place, "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs")


@contextmanager
def read_only(place: Path) -> Iterator[None]:
    """From here on nothing can be written below this directory, whoever asks; files that are open stay open."""
    with mounted(place, "--bind", str(place)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)
        yield


class Filler:
    """Fills a disk to its last byte, and makes room again."""

    def __init__(self, disk: Path) -> None:
        self._file = disk / "filler"

    def fill(self) -> None:
        """Leave nothing."""
        with self._file.open("ab", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                with suppress(OSError):
                    while file.write(b"x" * size):
                        pass

    def free(self) -> None:
        """Give all of it back."""
        self._file.unlink(missing_ok=True)

    def free_later(self, seconds: float) -> threading.Timer:
        """Give it back after a while."""
        timer = threading.Timer(seconds, self.free)
        timer.start()
        return timer


def at(phase: str, experiment: int, act: Callable[[], object], seen: list[Progress]) -> Callable[[Progress], None]:
    """Act once, when a phase of an experiment begins; whatever is said goes to `seen`."""
    done: list[bool] = []

    def on_progress(sign: Progress) -> None:
        seen.append(sign)
        now = max((sign.experiment for sign in seen), default=0)
        if not done and (sign.phase, now) == (phase, experiment):
            done.append(True)
            act()

    return on_progress


def family(pid: int) -> list[psutil.Process]:
    """A process and all that descends from it."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def stand_still(pids: list[int], seconds: float) -> None:
    """Stop processes with all that descends from them, and let them go on after a while."""
    stopped = [process for pid in pids for process in family(pid)]
    for process in stopped:
        with suppress(psutil.NoSuchProcess):
            process.suspend()
    time.sleep(seconds)
    for process in stopped:
        with suppress(psutil.NoSuchProcess):
            process.resume()


def wait_for(true: Callable[[], object], seconds: float = 60.0) -> None:
    """Return once it is so."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.01)
