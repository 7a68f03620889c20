"""Finding benches: those among the results of a place, and one that a person names by its directory."""

import json
from itertools import islice
from pathlib import Path
from typing import Any

from autoloop.core.text import share
from autoloop.journal.locks import is_held
from autoloop.suites.directory import JOURNAL, BenchDirectory

RESULTS = "results"
"""The directory of benches that were given no other."""


def benches_in(*places: Path) -> list[BenchDirectory]:
    """The benches among the results of these places, the one that was worked on last at the end."""
    found = {journal.parent.resolve() for place in places for journal in (place / RESULTS).glob(f"*/{JOURNAL}")}
    benches = [BenchDirectory(directory) for directory in found if first_kind(directory / JOURNAL) == "bench_started"]
    return sorted(benches, key=_worked_on)


def _worked_on(bench: BenchDirectory) -> tuple[float, Path]:
    return bench.journal.stat().st_mtime, bench.path


def bench_at(place: Path) -> BenchDirectory | None:
    """The bench in a directory, if there is one."""
    return BenchDirectory(place.resolve()) if first_kind(place / JOURNAL) == "bench_started" else None


def to_tell(*places: Path) -> list[BenchDirectory]:
    """The benches of these places that are running, else the one that was worked on last. Few files are read for it."""
    found = {journal.parent.resolve() for place in places for journal in (place / RESULTS).glob(f"*/{JOURNAL}")}
    newest = sorted(map(BenchDirectory, found), key=_worked_on, reverse=True)
    benches = (bench for bench in newest if first_kind(bench.journal) == "bench_started")
    return [bench for bench in newest if is_bench_alive(bench)] or list(islice(benches, 1))


def looked_at(bench: BenchDirectory) -> dict[str, Any] | None:
    """A bench in one look, from its `state.json`; None where that cannot be read.

    While a process carries the bench, and after a kill, it may be a moment behind the journal, which is not read.
    """
    try:
        state = json.loads(bench.state.read_bytes())
        arms = [_arm(arm) for arm in state["arms"]]
        facts = {name: state[name] for name in _TOLD}
        counts = {name: state["totals"][name] for name in ("done", "planned")}
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return {"path": str(bench.path), "alive": is_bench_alive(bench), **facts, **counts, "arms": arms}


_TOLD = ("bench_id", "suite", "stop_reason", "stop_detail", "eta_seconds", "cost_usd")


def _arm(arm: dict[str, Any]) -> dict[str, Any]:
    passed, of = (arm["rate"][name] for name in ("passed", "of"))
    facts = {name: arm[name] for name in ("arm", "profile", "done", "planned")}
    return {**facts, "pass_rate": share(passed, of)}


def is_bench_alive(bench: BenchDirectory) -> bool:
    """Whether a process is working on a bench."""
    return is_held(bench.lock)


def first_kind(journal: Path) -> str:
    """The kind of a journal's first event; empty where it has none."""
    try:
        with journal.open("rb") as lines:
            found = json.loads(lines.readline())
    except (OSError, ValueError):
        return ""
    return str(found.get("kind", "")) if isinstance(found, dict) else ""
