"""A run watched from outside: its process stands still after each experiment, and is looked at."""

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.disk import Disk, look_at_disk
from benchmarks.mixture import NAPPING, environment, make_repository

BLOCKS = 10
EARLY = 10
"""The experiment after which `status` is timed for the first time."""


@dataclass(frozen=True)
class Look:
    """One experiment that is over."""

    experiment: int
    reason: str
    commit: bool
    wall_ms: float
    loop_ms: float
    """CPU of the loop itself."""
    commands_ms: float
    """CPU of all that it started."""
    rss_mb: float
    peak_mb: float
    files: int
    threads: int
    children: int
    left: int
    """Processes of agents and measurements that still run."""
    yard_ms: float
    """Time and CPU of the same small work each time: how the machine is just now."""
    yard_cpu_ms: float


@dataclass
class Soak:
    """What was seen of a run."""

    experiments: int
    root: Path
    cache: Path
    looks: list[Look] = field(default_factory=list)
    disks: dict[int, Disk] = field(default_factory=dict)
    status_ms: list[float] = field(default_factory=list)
    """CPU, early and at the end."""
    resume_seconds: float = 0.0
    resumed: int = -1
    """The exit code."""
    left: int = 0
    seconds: float = 0.0

    @property
    def tier(self) -> str:
        """Of the sandbox in force."""
        (record,) = self.root.glob(".autoloop/runs/soak/*/run.json")
        return str(json.loads(record.read_text())["sandbox"])

    @property
    def size(self) -> int:
        """Of a block."""
        return self.experiments // BLOCKS

    def block(self, number: int) -> list[Look]:
        return self.looks[number * self.size : (number + 1) * self.size]


def soak(work: Path, experiments: int, sandbox: str) -> Soak:
    """Carry a run from its first experiment to its last, then take it up once more."""
    seen = Soak(experiments, work / "repository", work / "cache")
    make_repository(seen.root, experiments)
    environ, began = environment(work, sandbox), time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.soaked", str(seen.root)]
    with subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        watch(seen, run, environ)
    if run.returncode or len(seen.looks) != experiments:
        raise SystemExit(f"the run ended after {len(seen.looks)} experiments, with exit code {run.returncode}")
    seen.seconds = time.perf_counter() - began
    seen.left = len(left_running())
    seen.disks[experiments] = look_at_disk(seen.root, seen.cache)
    seen.status_ms.append(status_cpu(seen.root, environ))
    began = time.perf_counter()
    again = [sys.executable, "-m", "autoloop", "-C", str(seen.root), "run", "soak", "--resume"]
    seen.resumed = subprocess.run(again, env=environ, capture_output=True, check=False).returncode
    seen.resume_seconds = time.perf_counter() - began
    return seen


def watch(seen: Soak, run: subprocess.Popen[str], environ: dict[str, str]) -> None:
    """Look at the run whenever it stands still, until it ends."""
    assert run.stdin and run.stdout
    before: dict[str, float] = {}
    for line in run.stdout:
        told = json.loads(line)
        number = told["experiment"]
        if number > 0:
            seen.looks.append(look(run.pid, told, before, yardstick(seen.root.parent)))
        before = told
        if number in range(seen.size, seen.experiments, seen.size):
            seen.disks[number] = look_at_disk(seen.root, seen.cache)
        if number == EARLY:
            seen.status_ms.append(status_cpu(seen.root, environ))
        if sys.stderr.isatty() and number % 10 == 0:
            print(f"\r{number} of {seen.experiments}", end="", file=sys.stderr)
        run.stdin.write("\n")
        run.stdin.flush()


def look(pid: int, told: dict[str, float], before: dict[str, float], yard: tuple[float, float]) -> Look:
    """What the system says of the process."""
    about = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return Look(
        experiment=int(told["experiment"]),
        reason=str(told["reason"]),
        commit=bool(told["commit"]),
        wall_ms=1000 * (told["wall"] - before["wall"]),
        loop_ms=1000 * (told["loop"] - before["loop"]),
        commands_ms=1000 * (told["commands"] - before["commands"]),
        rss_mb=int(about["VmRSS"].split()[0]) / 1024,
        peak_mb=int(about["VmHWM"].split()[0]) / 1024,
        # A thread of the run's may just be reading something.
        files=min(len(os.listdir(f"/proc/{pid}/fd")) for _ in range(3)),
        threads=int(about["Threads"]),
        children=sum(len(task.read_text().split()) for task in Path(f"/proc/{pid}/task").glob("*/children")),
        left=len(left_running()),
        yard_ms=yard[0],
        yard_cpu_ms=yard[1],
    )


def yardstick(place: Path) -> tuple[float, float]:
    """Milliseconds of what a loop spends its time with: processes, flushes, folders, Python."""
    began, used = time.perf_counter(), time.process_time()
    for number in range(4):
        subprocess.run(["git", "--version"], stdout=subprocess.DEVNULL, check=True)
        (folder := place / f"yard{number}").mkdir()
        with open(folder / "file", "wb", buffering=0) as file:
            file.write(bytes(1000))
            os.fdatasync(file.fileno())
        (folder / "file").unlink()
        folder.rmdir()
        json.loads(json.dumps(list(range(3000))))
    return 1000 * (time.perf_counter() - began), 1000 * (time.process_time() - used)


def left_running() -> list[int]:
    """Processes that an agent or a measurement left, whatever they say of themselves."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if NAPPING.encode() in words:
            found.append(int(name))
    return found


def status_cpu(root: Path, environ: dict[str, str]) -> float:
    """Milliseconds of CPU of `autoloop status`, the least of several."""
    seconds = []
    for _ in range(7):
        before = commands_cpu()
        command = [sys.executable, "-m", "autoloop", "-C", str(root), "status"]
        subprocess.run(command, env=environ, capture_output=True, check=True)
        seconds.append(commands_cpu() - before)
    return 1000 * min(seconds)


def commands_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
