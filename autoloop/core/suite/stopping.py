"""When a bench ends, and when a worker is stuck."""

from collections.abc import Mapping
from dataclasses import dataclass

from autoloop.core.model import Frozen
from autoloop.core.suite.events import BenchStop
from autoloop.core.suite.state import BenchState
from autoloop.core.text import listed

SILENT = 30.0
"""Seconds without a sign of life after which a worker counts as dead: it gives one each second."""

_FRUITLESS = 10
"""So many workers that had to be replaced without a result in between end the bench."""


class BenchLimits(Frozen):
    """The limits that end a bench before its last trial."""

    max_hours: float | None = None
    group_hours: Mapping[str, float] = {}
    """The hours of each group that has a limit."""
    max_cost_usd: float | None = None
    max_tokens: int | None = None
    min_free_gb: float = 5.0


@dataclass(frozen=True)
class BenchSituation:
    """The situation of a process when it asks whether to go on."""

    free_gb: float
    stop_wanted: bool
    worked: float
    """Seconds since this process took the bench up, those without an event included."""


def bench_stop(state: BenchState, limits: BenchLimits, around: BenchSituation) -> tuple[BenchStop, str] | None:
    """Why no further trial is begun, and a sentence about it; None to go on."""
    if around.stop_wanted:
        return BenchStop.STOPPED, "a person or a signal ended it"
    if limits.max_hours is not None and around.worked >= limits.max_hours * 3600:
        return BenchStop.MAX_HOURS, f"max_hours of {limits.max_hours:g} is reached"
    if limits.max_cost_usd is not None and (state.cost_usd or 0.0) >= limits.max_cost_usd:
        return BenchStop.BUDGET, f"${state.cost_usd:.2f} are spent of ${limits.max_cost_usd:.2f}"
    if limits.max_tokens is not None and (state.tokens or 0) >= limits.max_tokens:
        return BenchStop.BUDGET, f"{state.tokens} tokens are spent of {limits.max_tokens}"
    if around.free_gb < limits.min_free_gb:
        said = f"{around.free_gb:.1f} GB are free, below min_free_gb of {limits.min_free_gb:g}"
        return BenchStop.DISK, said
    if state.barren >= _FRUITLESS:
        return BenchStop.FAULT, f"{state.barren} workers in a row brought no result"
    return _given_up(state)


def end_of(state: BenchState) -> tuple[BenchStop, str]:
    """The end of a bench when there is nothing left to begin: its word, and a sentence."""
    if not state.cut:
        return BenchStop.DONE, ""
    return BenchStop.GROUP_HOURS, f"the hours of {listed(sorted(state.cut))} are used up"


def _given_up(state: BenchState) -> tuple[BenchStop, str] | None:
    """Whether every arm that has trials left is one whose agent is out of reach for good."""
    gone = {arm: pause.why for arm, pause in state.pauses().items() if pause.until is None}
    left = {key.arm for key in state.outstanding()} if gone else set()
    if not left or left - gone.keys():
        return None
    said = "; ".join(f"{arm}: {gone[arm]}" for arm in sorted(left))
    return BenchStop.AGENT_UNAVAILABLE, said


def stuck(silence: float, busy: float, longest: float, silent: float = SILENT) -> str | None:
    """Why a worker has to be replaced; None when it is at work. `busy` are its seconds with the trial in hand."""
    if silence > silent:
        return f"no sign of life for {silence:.0f} s"
    if busy > longest:
        return f"at one trial for {busy:.0f} s, where all its deadlines together are {longest:.0f} s"
    return None
