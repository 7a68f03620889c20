"""One sample: index documents that follow from the seed, and report the processor time."""

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import corpus

INDEXER = [sys.executable, "-E", "-s", "-S", "-m", "wordindex"]


def cpu_seconds() -> float:
    """What the finished children have used; unlike a clock's time, it hardly depends on who else is at work."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def once(documents: Path, index: Path) -> float:
    """Milliseconds of one indexing, in a process of its own, so that nothing is remembered from the last."""
    before = cpu_seconds()
    subprocess.run([*INDEXER, documents, index], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    return 1000 * (cpu_seconds() - before)


with tempfile.TemporaryDirectory(dir=os.environ.get("AUTOLOOP_SAMPLE_DIR")) as scratch:
    seed = int(os.environ.get("AUTOLOOP_SEED", "1"))
    documents = corpus.write(Path(scratch, "documents"), seed=seed, documents=80, words=200)
    index = Path(scratch, "index")
    milliseconds = once(documents, index)
    size = index.stat().st_size

print(json.dumps({"cpu_ms": round(milliseconds, 3), "index_kb": round(size / 1000, 3)}))
