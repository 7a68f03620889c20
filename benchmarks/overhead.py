"""The loop's own share of an experiment, next to the floor of the git calls and flushes that it cannot avoid.

    python -m benchmarks.overhead [--experiments 50] [--quick]

Whole campaigns run in processes of their own, with an agent and a measurement that take no time. The share is
the wall time from one experiment's start to the next, minus its session, minus its samples. The floor is the same
git commands, as a recording shim saw them, and the same number of flushed lines, run bare on a repository of the
same size. Sandboxes are left out of that, and reported apart: what each adds to a command, and to a whole experiment.
All figures are medians.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from autoloop import api
from autoloop.core.run.events import Captured, Decided, Event, ExperimentStarted, Sampled, SessionEnded, to_line
from autoloop.core.session import Session
from autoloop.host.signals import Signals
from autoloop.ports import OnProgress, Task
from autoloop.runs.find import all_runs
from benchmarks.sandboxed import report as report_commands

MEASURE = 'read value < value.txt\necho "{\\"ms\\": $value}"\n'
CONFIG = """metric_field = "ms"
direction = "lower"
noise_threshold = 0.02
rule = "median"
repeats = 3
warmup = 0
canary = false
max_experiments = {experiments}
max_consecutive_discards = 100000
"""
IDENTITY = ("-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false")
ALLOWED = {"discard": 40.0, "keep": 60.0, "discard, 5,000 files": 100.0}
"""Milliseconds of wall time, on a machine where `git --version` takes 1.5 ms."""


class InstantAgent:
    """Writes one small change in no time: worse than nothing, or 5 % better each time."""

    def __init__(self) -> None:
        self.improves = os.environ.get("BENCH_IMPROVES") == "1"

    def run(self, task: Task, on_progress: OnProgress) -> Session:
        began = time.perf_counter()
        (task.tree / "code.py").write_text(f"# experiment {task.experiment}\n")
        if self.improves:
            (task.tree / "value.txt").write_text(f"{100 * 0.95**task.experiment:.6f}\n")
        return Session(seconds=time.perf_counter() - began, cost_usd=0.0, tokens=0)


@dataclass(frozen=True)
class Figures:
    """One campaign."""

    wall_ms: float
    cpu_ms: float
    floor_ms: float
    floor_cpu_ms: float
    git_calls: tuple[str, ...]
    flushes: int


def make_repository(root: Path, files: int, experiments: int) -> None:
    """A repository of this many files with a program in it."""
    program = root / "programs" / "bench"
    program.mkdir(parents=True)
    (program / "measure.sh").write_text(MEASURE)
    (program / "config.toml").write_text(CONFIG.format(experiments=experiments))
    (root / "autoloop.toml").write_text(
        'default_profile = "bench"\n[profiles.bench]\nagent = "benchmarks.overhead:InstantAgent"\n'
    )
    (root / "value.txt").write_text("100\n")
    (root / "code.py").write_text("# start\n")
    for number in range(files):
        path = root / "src" / f"part{number % 150}" / f"file{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{number}\n" * 20)
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "start")):
        subprocess.run(["git", *IDENTITY, *words], cwd=root, check=True)


def campaign(
    root: Path, *, improves: bool, shim: Path | None = None, resume: bool = False, sandbox: str = "none"
) -> float:
    """Run a campaign in a process of its own; the CPU seconds of that process and its children."""
    path = f"{shim}{os.pathsep}" if shim else ""
    here = Path(__file__).resolve().parent.parent
    environ = {
        **os.environ,
        "PATH": path + os.environ["PATH"],
        "BENCH_IMPROVES": str(int(improves)),
        "AUTOLOOP_CACHE_DIR": str(root.parent / "cache"),
        "AUTOLOOP_SANDBOX": sandbox,
        "PYTHONPATH": str(here),
    }
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    before = _children_cpu()
    words = [sys.executable, __file__, "--campaign", str(root), *(["--resume"] if resume else [])]
    subprocess.run(words, env=environ, check=True)
    return _children_cpu() - before


def run_campaign(root: Path, resume: bool) -> None:
    """In the process of its own."""
    options = api.RunOptions()
    if resume:
        api.resume(root, "bench", None, options, signals=Signals(), on_progress=lambda sign: None)
    else:
        api.run(root, "bench", options, signals=Signals(), on_progress=lambda sign: None)


def shares(events: Iterable[Event]) -> list[float]:
    """The loop's own wall seconds of each experiment but the first and the last."""
    starts: list[float] = []
    others: dict[int, float] = {}
    for event in events:
        match event:
            case ExperimentStarted():
                starts.append(event.at)
                others[len(starts)] = 0.0
            case SessionEnded():
                others[len(starts)] += event.session.seconds
            case Sampled() if starts:
                others[len(starts)] += event.taken.result.seconds
    return [later - earlier - others[number] for number, (earlier, later) in enumerate(pairwise(starts), 1)][1:]


def whole(events: Iterable[Event]) -> list[float]:
    """The wall seconds of each experiment but the first and the last, sessions and samples included."""
    starts = [event.at for event in events if isinstance(event, ExperimentStarted)]
    return [later - earlier for earlier, later in pairwise(starts)][1:]


def in_sandboxes(experiments: int) -> dict[str, tuple[float, float]]:
    """Milliseconds of a whole experiment of three samples, and the loop's share of it, by the sandbox in force."""
    found = {}
    for tier in ("none", "bwrap"):
        with workplace() as work:
            root = work / "repository"
            make_repository(root, 40, experiments)
            campaign(root, improves=False, sandbox=tier)
            events = list(api.events(root))
            found[tier] = (1000 * median(whole(events)), 1000 * median(shares(events)))
    return found


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Floor:
    """The same git commands and flushes, run bare on a repository of the same size."""

    def __init__(self, root: Path, place: Path, calls: tuple[str, ...], flushes: int) -> None:
        self.calls, self.flushes = calls, flushes
        self.user = root / ".git"
        self.trees = {name: place / name for name in ("agent", "slot")}
        self.own = place / "git"
        subprocess.run(["git", "init", "-q", "--bare", str(self.own)], check=True)
        shutil.copytree(self.user / "objects", self.own / "objects", dirs_exist_ok=True)
        self.head = self._git(self.user, "rev-parse", "HEAD").strip()
        for tree in self.trees.values():
            tree.mkdir(parents=True)
            self._git(self.own, "read-tree", "--reset", "-u", self.head, tree=tree)
        self.parent = self.previous = self.head
        self.log = (place / "log").open("ab", buffering=0)

    def once(self, number: int) -> None:
        """One experiment's worth."""
        agent = self.trees["agent"]
        (agent / "code.py").write_text(f"# floor {number}\n")
        tree = commit = ""
        for name in self.calls:
            if name == "update-index":
                self._git(self.own, "update-index", "--add", "code.py", tree=agent)
            elif name == "diff-files":
                self._git(self.own, "diff-files", "--name-only", "-z", tree=agent)
            elif name == "write-tree":
                tree = self._git(self.own, "write-tree", tree=agent).strip()
            elif name == "commit-tree":
                commit = self._git(
                    self.own, "commit-tree", tree, "-p", self.parent, "-m", f"experiment {number}"
                ).strip()
            elif name in ("diff-tree", "diff-index"):
                self._git(
                    self.own, "diff-tree", "-r", "--raw", "--numstat", "-p", "-z", self.parent, commit or self.head
                )
            elif name == "update-ref":
                self._git(self.user, "update-ref", f"refs/floor/{number}", self.head)
            elif name == "read-tree":
                which = "slot" if number % 2 else "agent"
                self._git(self.own, "read-tree", "--reset", "-u", commit or self.parent, tree=self.trees[which])
            else:
                raise ValueError(f"the floor does not know `git {name}` yet")
        for _ in range(self.flushes):
            self.log.write(b"x" * 300 + b"\n")
            os.fdatasync(self.log.fileno())

    def _git(self, directory: Path, *words: str, tree: Path | None = None, check: bool = True) -> str:
        environ = {
            **os.environ,
            "GIT_DIR": str(directory),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            **({"GIT_WORK_TREE": str(tree), "GIT_INDEX_FILE": f"{tree}.index"} if tree else {}),
        }
        command = ["git", *IDENTITY, "-c", "core.fsync=loose-object,reference", *words]
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=check).stdout


def recorded_calls(work: Path, files: int, *, improves: bool) -> tuple[str, ...]:
    """The git commands of one experiment in the middle of a campaign, as a shim on the path saw them."""
    shim, log = work / "shim", work / "git.log"
    shim.mkdir(parents=True)
    real = shutil.which("git")
    (shim / "git").write_text(f'#!/bin/sh\necho "$@" >> {log}\nexec {real} "$@"\n')
    (shim / "git").chmod(0o755)
    root = work / "repository"
    make_repository(root, files, 6)
    campaign(root, improves=improves, shim=shim)
    few = [_command(line) for line in log.read_text().splitlines()]
    log.unlink()
    shutil.rmtree(root)
    make_repository(root, files, 7)
    campaign(root, improves=improves, shim=shim)
    return _one_more(few, [_command(line) for line in log.read_text().splitlines()])


def _one_more(few: list[str], many: list[str]) -> tuple[str, ...]:
    """What the longer campaign has more than the shorter one, in the order of an experiment."""
    extra = {name: many.count(name) - few.count(name) for name in many}
    order = ("diff-files", "update-index", "write-tree", "commit-tree", "diff-tree", "diff-index")
    names = [*order, *(name for name in sorted(extra) if name not in order)]
    return tuple(name for name in names for _ in range(extra.get(name, 0)))


def _command(line: str) -> str:
    """The git command of a line of words, options before it left out."""
    words = iter(line.split())
    for word in words:
        if word in ("-c", "-C"):
            next(words)
        elif not word.startswith("-"):
            return word
    return ""


def measure(files: int, experiments: int, *, improves: bool) -> Figures:
    """The loop's share and its floor for one kind of experiment."""
    with workplace() as work:
        calls = recorded_calls(work / "recording", files, improves=improves)
        root = work / "repository"
        make_repository(root, files, experiments)
        cpu = campaign(root, improves=improves)
        found = list(api.events(root))
        samples = sum(isinstance(event, Sampled) for event in found)
        flushes = _usual_events(found)
        floor = Floor(root, work / "floor", calls, flushes)
        before, seconds = _children_cpu() + time.process_time(), []
        for number in range(experiments):
            began = time.perf_counter()
            floor.once(number)
            seconds.append(time.perf_counter() - began)
        floor_cpu = (_children_cpu() + time.process_time() - before) / experiments
        idle = _idle_cpu(work, files) + samples * _sample_cpu(root)
        return Figures(
            wall_ms=1000 * median(shares(found)),
            cpu_ms=1000 * (cpu - idle) / experiments,
            floor_ms=1000 * median(seconds),
            floor_cpu_ms=1000 * floor_cpu,
            git_calls=calls,
            flushes=flushes,
        )


def _usual_events(found: list[Event]) -> int:
    """How many events lie between the start of an experiment and of the next, as a median."""
    starts = [index for index, event in enumerate(found) if isinstance(event, ExperimentStarted)]
    return int(median(later - earlier for earlier, later in pairwise(starts)))


def _idle_cpu(work: Path, files: int) -> float:
    """CPU seconds of a campaign of one experiment: start, trees, calibration."""
    root = work / "idle" / "repository"
    make_repository(root, files, 1)
    return campaign(root, improves=False)


def _sample_cpu(root: Path) -> float:
    """CPU seconds of one bare measurement."""
    before = _children_cpu()
    for _ in range(50):
        subprocess.run(["bash", "programs/bench/measure.sh"], cwd=root, capture_output=True, check=True)
    return (_children_cpu() - before) / 50


def with_history(experiments: int, history: int) -> tuple[float, float, float]:
    """Milliseconds of an experiment after an empty and after a long history, and seconds to read that history."""
    with workplace() as work:
        root = work / "repository"
        make_repository(root, 40, experiments)
        campaign(root, improves=False)
        run = all_runs(root)[-1]
        empty = median(shares(api.events(root)))
        lengthen(run.journal, history)
        (run.path / "control.json").write_text(json.dumps({"limits": {"max_experiments": history + experiments}}))
        began = time.perf_counter()
        campaign(root, improves=False, resume=True)
        whole = time.perf_counter() - began
        long = median(shares(event for event in api.events(root) if getattr(event, "experiment", 0) > history))
        return 1000 * empty, 1000 * long, whole - long * experiments


def lengthen(journal: Path, history: int) -> None:
    """Repeat the journal's last experiment until it has this many."""
    found = list(api.events(journal.parent.parent.parent.parent.parent))
    last = max(event.experiment for event in found if isinstance(event, Decided))
    template = [
        event
        for event in found
        if isinstance(event, ExperimentStarted | SessionEnded | Captured | Sampled | Decided)
        and event.experiment == last
    ]
    with journal.open("ab") as file:
        for number in range(last + 1, history + 1):
            file.writelines(to_line(event.model_copy(update={"experiment": number})) for event in template)


@contextmanager
def workplace() -> Iterator[Path]:
    """A directory that is gone afterwards."""
    work = Path(tempfile.mkdtemp(prefix="autoloop-overhead-"))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def status_cpu() -> float:
    """Milliseconds of CPU of `autoloop status`."""
    with workplace() as work:
        root = work / "repository"
        make_repository(root, 40, 2)
        campaign(root, improves=False)
        return 1000 * min(_cpu_of([sys.executable, "-m", "autoloop", "-C", str(root), "status"]) for _ in range(5))


def noisy_memory() -> float:
    """Peak resident megabytes of a run whose measurement prints 200 MB."""
    with workplace() as work:
        root = work / "repository"
        make_repository(root, 40, 2)
        script = root / "programs/bench/measure.sh"
        script.write_text('yes "a line that nobody reads" | head -c 200000000\n' + MEASURE)
        code = (
            "import resource, sys; from benchmarks.overhead import run_campaign; from pathlib import Path;"
            f"run_campaign(Path({str(root)!r}), False);"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
        )
        environ = {**os.environ, "AUTOLOOP_CACHE_DIR": str(work / "cache"), "BENCH_IMPROVES": "0"}
        here = Path(__file__).resolve().parent.parent
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=here, env=environ, capture_output=True, text=True, check=True
        )
        return float(done.stdout)


def _cpu_of(command: list[str]) -> float:
    before = _children_cpu()
    subprocess.run(command, capture_output=True, check=True)
    return _children_cpu() - before


def _median_ms(action: Callable[[], object], times: int = 20) -> float:
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - began)
    return 1000 * median(seconds)


def report(experiments: int, history: int) -> None:
    """Measure everything and print it."""
    version = _median_ms(lambda: subprocess.run(["git", "--version"], capture_output=True, check=True))
    print(f"git --version: {version:.2f} ms; {experiments} experiments a row, three samples each\n")
    print(
        f"{'experiment':<24}{'wall':>9}{'allowed':>9}{'floor':>9}{'ratio':>7}{'cpu':>9}{'floor':>9}  git calls, flushes"
    )
    kinds = (("discard", 40, False), ("keep", 40, True), ("discard, 5,000 files", 5000, False))
    for name, files, improves in kinds:
        figures = measure(files, experiments, improves=improves)
        allowed = ALLOWED[name] * max(1.0, version / 1.5)
        print(
            f"{name:<24}{figures.wall_ms:>6.1f} ms{allowed:>6.0f} ms{figures.floor_ms:>6.1f} ms"
            f"{figures.wall_ms / figures.floor_ms:>7.2f}{figures.cpu_ms:>6.1f} ms{figures.floor_cpu_ms:>6.1f} ms"
            f"  {len(figures.git_calls)} ({', '.join(figures.git_calls)}), {figures.flushes}"
        )
    print()
    report_commands(200 if experiments > 10 else 20, max(1.0, version / 1.5))
    for tier, (all_of_it, share) in in_sandboxes(experiments).items():
        print(f"a whole experiment, sandbox {tier}: {all_of_it:.1f} ms, of which the loop's share is {share:.1f} ms")
    empty, long, reading = with_history(experiments, history)
    print(
        f"\nafter {history} experiments: {long:.1f} ms against {empty:.1f} ms, ratio {long / empty:.2f} (allowed 1.3);"
    )
    print(f"  starting a process on that history: {reading:.1f} s")
    print(f"autoloop status: {status_cpu():.0f} ms of CPU (allowed 150)")
    print(f"peak memory with 200 MB of output at each sample: {noisy_memory():.0f} MB (allowed 80)")


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--experiments", type=int, default=50)
    parser.add_argument("--history", type=int, default=10_000)
    parser.add_argument("--quick", action="store_true", help="a smoke run")
    parser.add_argument("--campaign", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--resume", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.campaign:
        run_campaign(arguments.campaign, arguments.resume)
    elif arguments.quick:
        report(8, 200)
    else:
        report(arguments.experiments, arguments.history)


if __name__ == "__main__":
    main()
