"""The last words of a demo: what it came to, where to look next, and the command for a repository of one's own."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoloop.demonstration.example import BRANCH
from autoloop.demonstration.findings import Tried
from autoloop.demonstration.plan import Part

Status = Mapping[str, Any]
"""A run in one look, as `status --json` gives it; empty when none began."""

IN_YOUR_REPOSITORY = "autoloop init"
_FOUND_NOT_PREVENTED = "none: here violations are found, and not prevented; `autoloop run` says why"


@dataclass(frozen=True)
class Pointer:
    """Something to type next, and what it shows."""

    command: str
    shows: str


def last_words(status: Status, seconds: float, interrupted: bool, pointers: Sequence[Pointer]) -> tuple[str, ...]:
    """What to tell a person below the table of results."""
    own = Pointer(IN_YOUR_REPOSITORY, "writes a first program from what it finds there")
    width = max(len(pointer.command) for pointer in (*pointers, own))
    look = [f"  {pointer.command:{width}}  {pointer.shows}" for pointer in pointers]
    if interrupted:
        return (f"Interrupted after {seconds:.0f} s. What was measured until then is kept:", *look)
    return (
        *_in_all(status),
        f"Sandbox: {_tier(status)}",
        f"All of this was measured just now, in {seconds:.0f} s.",
        "",
        "Where to look next:",
        *look,
        "",
        "In a repository of your own:",
        f"  {own.command:{width}}  {own.shows}",
    )


def where_to_look(
    root: Path, tried: Sequence[Tried], status: Status, environ: Mapping[str, str]
) -> tuple[Pointer, ...]:
    """What to type next, in the order in which to type it."""
    pointers = [Pointer(f"cd {root}", "the demo's repository; delete it when you have seen enough")]
    if not shutil.which("autoloop", path=environ.get("PATH", "")):
        # As when the environment is not activated.
        there = Path(sys.executable).parent
        pointers.insert(0, Pointer(f'export PATH="{there}:$PATH"', "so that your shell finds autoloop"))
    if status.get("baseline") is None:
        return tuple(pointers)
    pointers.append(Pointer("autoloop results", "the table again, read from the journal"))
    kept = next((one.experiment for one in tried if one.kept and one.part is not Part.NOTHING), None)
    caught = next((one.experiment for one in tried if one.caught), None)
    if kept is not None:
        pointers.append(Pointer(f"autoloop show {kept}", "a keep: every sample, and the evidence after each pair"))
    if caught is not None:
        pointers.append(Pointer(f"autoloop show {caught}", "a cheat, and its diff"))
    if kept is not None:
        pointers.append(Pointer(f"git diff {BRANCH}...{status['branch']}", "what a merge would bring"))
        pointers.append(Pointer("autoloop verify", "the gain once more, measured afresh"))
    return tuple(pointers)


def _in_all(status: Status) -> list[str]:
    found = status.get("verified")
    if not status.get("kept"):
        return ["Nothing was kept this time."]
    claimed = f"In all, the keeps claim {100 * (status['gain'] or 0.0):+.1f} %"
    if not found or found["gain"] is None or found["low"] is None:
        return [f"{claimed}; there was no time left to measure that afresh:", "`autoloop verify` does it."]
    between = f"{100 * found['low']:+.1f} % to {100 * found['high']:+.1f} %"
    pairs = f"{len(found['pairs'])} fresh pairs of the first commit and the branch"
    problems = [f"  {problem}" for problem in found["problems"]]
    afresh = f"Measured afresh: {100 * found['gain']:+.1f} % (95 %: {between}),"
    return [f"{claimed}.", afresh, f"in {pairs}.", *problems]


def _tier(status: Status) -> str:
    tier = status.get("sandbox") or "unknown"
    return _FOUND_NOT_PREVENTED if tier == "none" else tier
