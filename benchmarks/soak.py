"""A long run with real processes, watched from outside: does anything grow?

    python -m benchmarks.soak [--experiments 1000] [--sandbox auto] [--keep DIRECTORY]

The agent does what agents do, in rounds of twenty experiments: keeps, discards, crashes, tampering, processes left
running. After each experiment the run stands still and is looked at: memory, open files, threads, children, time.
Time and CPU are judged by a yardstick, the same small work beside each experiment.
Exit code 1 when a bound is missed.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import mean, median

from benchmarks.bounds import Bound
from benchmarks.mixture import ROUND, intended
from benchmarks.watched import BLOCKS, EARLY, Look, Soak, soak

LEAST = BLOCKS * len(ROUND)
ENOUGH = 1000
"""Experiments; with fewer, a block is too short to judge by."""
UNITS = dict.fromkeys(("wall", "loop", "commands", "yard", "yard cpu"), "ms") | {"memory": "MB", "peak": "MB"}


def bounds(seen: Soak) -> list[Bound]:
    """What has to stay as it is. The first block is for getting warm."""
    early, late, settled = seen.block(1), seen.block(BLOCKS - 1), seen.looks[2 * seen.size :]
    before, after = seen.disks[2 * seen.size], seen.disks[seen.experiments]
    commits = sum(one.commit for one in settled)
    strange = [f"{at.experiment}: {at.reason}" for at in seen.looks if at.reason != intended(at.experiment, seen.tier)]
    first, last = middle(early), middle(late)
    # In yards: what others do on the machine meanwhile is not the loop's.
    yards = {"wall": "yard", "loop": "yard cpu", "commands": "yard cpu"}
    grown = {name: last[name] / last[yard] / (first[name] / first[yard]) for name, yard in yards.items()}
    files, threads = ({getattr(one, name) for one in seen.looks} for name in ("files", "threads"))
    return [
        count("experiments that ended otherwise than they should", len(strange), ", ".join(strange[:5])),
        Bound("time of an experiment, last tenth / second", grown["wall"], 1.15),
        Bound("CPU of the loop, last tenth / second", grown["loop"], 1.15),
        Bound("CPU of its commands, last tenth / second", grown["commands"], 1.15),
        Bound("memory, growth in MB", last["memory"] - first["memory"], 5.0),
        Bound("peak memory, growth in MB", late[-1].peak_mb - early[-1].peak_mb, 5.0),
        count("open files, most less fewest", max(files) - min(files)),
        count("threads, most less fewest", max(threads) - min(threads)),
        count("children between experiments, most", max(one.children for one in seen.looks)),
        count("processes left between experiments, most", max(one.left for one in seen.looks)),
        count("processes left at the end", seen.left),
        *after.bounds(before, len(settled), commits),
        Bound(f"status, CPU at the end / after {EARLY}", seen.status_ms[1] / seen.status_ms[0], 1.15),
        Bound("resuming the finished run, seconds", seen.resume_seconds, 5.0),
        count("exit code of that resume", seen.resumed),
    ]


def count(what: str, found: int, where: str = "") -> Bound:
    """Nothing of this may be found."""
    return Bound(what, found, 0, where=where, form="{:.0f}")


def middle(block: list[Look]) -> dict[str, float]:
    """Medians."""
    return {
        "wall": median(one.wall_ms for one in block),
        "loop": median(one.loop_ms for one in block),
        "commands": median(one.commands_ms for one in block),
        "yard": median(one.yard_ms for one in block),
        "yard cpu": median(one.yard_cpu_ms for one in block),
        "memory": median(one.rss_mb for one in block),
        "peak": block[-1].peak_mb,
    }


def most(block: list[Look]) -> dict[str, int]:
    return {name: max(getattr(one, name) for one in block) for name in ("files", "threads", "children", "left")}


def table(seen: Soak) -> Iterator[str]:
    """Blocks of experiments: medians of time, CPU and memory, the most of what is counted, the disk at the end."""
    for number in range(BLOCKS):
        block = seen.block(number)
        cells = {name: f"{value:.1f}" for name, value in middle(block).items()}
        cells |= {name: f"{value}" for name, value in most(block).items()}
        cells |= seen.disks[block[-1].experiment].cells()
        if number == 0:
            yield f"{'experiments':<13}" + "".join(f"{name:>9}" for name in cells)
            yield f"{'':<13}" + "".join(f"{UNITS.get(name, ''):>9}" for name in cells)
        yield f"{f'{block[0].experiment}-{block[-1].experiment}':<13}" + "".join(
            f"{cell:>9}" for cell in cells.values()
        )


def slopes(seen: Soak) -> Iterator[str]:
    """How much more of each a thousand experiments make: a line through the blocks behind the second."""
    found = [middle(seen.block(number)) for number in range(2, BLOCKS)]
    for name, what in (("wall", "ms of time"), ("loop", "ms of the loop's CPU"), ("memory", "MB of memory")):
        yield f"{1000 / seen.size * slope([one[name] for one in found]):+.2f} {what}"


def slope(values: list[float]) -> float:
    """Of the straight line with the least squares, a step."""
    middle, centre = (len(values) - 1) / 2, mean(values)
    above = sum((at - middle) * (value - centre) for at, value in enumerate(values))
    return above / sum((at - middle) ** 2 for at in range(len(values)))


def report(seen: Soak) -> list[Bound]:
    """Print everything; the bounds."""
    reasons = Counter(one.reason for one in seen.looks)
    print(f"{seen.experiments} experiments in {seen.seconds:.0f} s, sandbox {seen.tier}; {os.cpu_count()} cores")
    print(", ".join(f"{number} {reason}" for reason, number in reasons.most_common()) + "\n")
    print("\n".join(table(seen)))
    print(
        "\nmedians of time and of CPU an experiment, and of the yardstick; the most of what is counted; kB on the disk"
    )
    print(f"a thousand experiments more: {', '.join(slopes(seen))}")
    print(f"autoloop status: {seen.status_ms[0]:.0f} ms of CPU after {EARLY}, {seen.status_ms[1]:.0f} ms at the end\n")
    reached = bounds(seen)
    print("\n".join(map(str, reached)))
    return reached


@contextmanager
def workplace(kept: Path | None) -> Iterator[Path]:
    """A directory that is gone afterwards, or one to look at."""
    if kept:
        kept.mkdir(parents=True)
        yield kept.resolve()
        return
    work = Path(tempfile.mkdtemp(prefix="autoloop-soak-"))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--experiments", type=int, default=ENOUGH, help=f"at least {LEAST}; judged from {ENOUGH} on")
    parser.add_argument("--sandbox", default="auto", choices=("auto", "bwrap", "landlock", "none"))
    parser.add_argument("--keep", type=Path, metavar="DIRECTORY", help="work there, and leave everything")
    options = parser.parse_args()
    with workplace(options.keep) as work:
        reached = report(soak(work, max(LEAST, options.experiments), options.sandbox))
    misses = sum(not bound.holds for bound in reached)
    print(f"\n{misses} missed")
    if options.experiments < ENOUGH:
        print("A short run: too few experiments to judge by.")
    return 1 if misses and options.experiments >= ENOUGH else 0


if __name__ == "__main__":
    sys.exit(main())
