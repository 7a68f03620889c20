"""Finding benches: those among the results of a place, and one that a person names by its directory."""

import json
from pathlib import Path

from autoloop.stores.bench_directory import JOURNAL, BenchDirectory
from autoloop.stores.runs import is_held

RESULTS = "results"
"""Where benches lie unless they were told otherwise."""


def benches_in(*places: Path) -> list[BenchDirectory]:
    """The benches among the results of these places, the one that was worked on last at the end."""
    found = {journal.parent.resolve() for place in places for journal in (place / RESULTS).glob(f"*/{JOURNAL}")}
    benches = [BenchDirectory(directory) for directory in found if first_kind(directory / JOURNAL) == "bench_started"]
    return sorted(benches, key=lambda bench: (bench.journal.stat().st_mtime, bench.path))


def bench_at(place: Path) -> BenchDirectory | None:
    """The bench in a directory, if there is one."""
    return BenchDirectory(place.resolve()) if first_kind(place / JOURNAL) == "bench_started" else None


def is_carried(bench: BenchDirectory) -> bool:
    """Whether a process carries a bench on."""
    return is_held(bench.lock)


def first_kind(journal: Path) -> str:
    """What a journal's first event is; empty where it has none."""
    try:
        with journal.open("rb") as lines:
            found = json.loads(lines.readline())
    except (OSError, ValueError):
        return ""
    return str(found.get("kind", "")) if isinstance(found, dict) else ""
