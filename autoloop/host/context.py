"""Where a run or a bench works and who hears of it: four things that travel together, as one value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from autoloop.host.signals import Signals
from autoloop.ports import OnProgress


@dataclass(frozen=True)
class Context:
    """What a run and a bench are given from outside, the same for as long as the process works on it."""

    root: Path
    """The repository; for a bench it may be a directory that stands for one."""
    environ: Mapping[str, str] = field(repr=False)
    signals: Signals
    on_progress: OnProgress
