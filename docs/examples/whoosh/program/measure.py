"""One sample: index and search the manual in fresh processes, and report the processor time of the quickest."""

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

RUNS = 2
WORKER = [sys.executable, "-E", "-s", str(Path(__file__).with_name("worker.py"))]


def cpu_seconds() -> float:
    """What the finished children have used; unlike a clock's time, it hardly depends on who else is at work."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def once(index: Path) -> float:
    """Milliseconds of one run of the worker, from a process of its own."""
    before = cpu_seconds()
    subprocess.run([*WORKER, index], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    return 1000 * (cpu_seconds() - before)


with tempfile.TemporaryDirectory(dir=os.environ.get("AUTOLOOP_SAMPLE_DIR")) as scratch:
    indexes = [Path(scratch, f"index-{number}") for number in range(RUNS)]
    times = [once(index) for index in indexes]
    size = sum(file.stat().st_size for file in indexes[0].iterdir())

# The quickest: whatever else the machine does only ever adds time.
print(json.dumps({"cpu_ms": round(min(times), 3), "index_kb": round(size / 1000, 3)}))
