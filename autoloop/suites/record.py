"""The events of a bench's journal. Apart from the directory, so that a look at a bench need not load models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from autoloop.core.suite.events import BENCH_EVENTS, BenchEvent
from autoloop.core.suite.state import BenchState
from autoloop.journal.journal import JournalFile, read_lines


class BenchJournal(JournalFile[BenchEvent, BenchState]):
    """The journal of the bench that this process holds."""

    def __init__(self, path: Path, on_append: Callable[[BenchEvent, BenchState, int], None] | None = None) -> None:
        super().__init__(path, BENCH_EVENTS, on_append)


def read_bench(path: Path) -> Iterator[BenchEvent]:
    """The events of a bench's journal, streamed; a torn last line is left out."""
    return read_lines(path, BENCH_EVENTS)
