"""Two results of suites against each other: arms, iterations, nights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from autoloop.errors import AutoloopError
from autoloop.suites.directory import directory_of

if TYPE_CHECKING:
    from autoloop.core.suite.contrast import Contrast, Results
    from autoloop.core.suite.state import BenchState


_RESULTS = re.compile(r"(?P<place>.+?)(?::(?P<arm>[^:#/]+))?(?:#(?P<iteration>\d+))?")
_WHAT = "Results of a bench are named DIRECTORY[:ARM][#ITERATION]; two revisions need a command: `-- COMMAND`."


def contrast_results(path: Path, a: str, b: str, *, alpha: float = 0.02) -> Contrast:
    """The contrast of results `b` with `a`, paired by task, iteration and attempt."""
    from autoloop.core.suite.contrast import contrast

    left, right = _results(path, a), _results(path, b)
    found = contrast(left, right, names=(a, b), alpha=alpha)
    if not found.pairs:
        raise AutoloopError(f"{a} and {b} have no task in common that counts in both", _WHAT)
    return found


def _results(path: Path, name: str) -> Results:
    from autoloop.core.suite.state import replay
    from autoloop.suites.record import read_bench

    found = _RESULTS.fullmatch(name)
    place = path / Path(found["place"] if found else name).expanduser()
    if found is None or not place.exists():
        raise AutoloopError(f"{name} names no results of a bench", _WHAT)
    state = replay(read_bench(directory_of(place).journal))
    iteration = int(found["iteration"]) if found["iteration"] else None
    results = state.of(arm=_arm(state, found["arm"], name), iteration=iteration)
    if not results:
        raise AutoloopError(f"{name} has no results", f"See {place}/summary.md, or go on with the bench: `--resume`.")
    return results


def _arm(state: BenchState, wanted: str | None, name: str) -> str:
    arms = [arm.name for arm in state.started.plan.arms]
    if wanted is None and len(arms) == 1:
        return arms[0]
    if wanted in arms:
        return str(wanted)
    said = f"{name} has no arm {wanted!r}" if wanted else f"{name} has several arms"
    raise AutoloopError(said, f"There are: {', '.join(arms)}; name one as DIRECTORY:ARM.")
