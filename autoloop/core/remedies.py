"""Whether the gains that a user asks for can be seen at all, and what would help where they cannot."""

import math
import re

from autoloop.core.outlook import Outlook, Timing
from autoloop.core.program import Direction, Program
from autoloop.core.stability import Stability
from autoloop.core.texts import percent

_CLOCK = re.compile(r"ms|us|ns|s|secs?|seconds?|time|wall|latency|duration|elapsed|rps|qps|fps|throughput")
_PROCESSOR = re.compile(r"cpu|user|instructions|cycles|process")
_LARGE = 0.1
"""A gain that cannot be resolved although it is this large makes a measurement useless for most programs."""
_SHORT = 2.0
"""A sample of fewer seconds can do more work."""
_MOST_WORK = 100.0


def wanted_gain(found: Stability, program: Program) -> float | None:
    """The smallest gain that the user asks for: the noise threshold, or what leads to the target."""
    criteria, target = program.criteria, program.limits.target
    if criteria.noise_threshold:
        return criteria.noise_threshold
    if target is None or not found.median:
        return None
    better = found.median - target if criteria.direction is Direction.LOWER else target - found.median
    return better / abs(found.median) if better > 0 else None


def unresolved(found: Stability, outlook: Outlook, program: Program) -> str | None:
    """Why this measurement cannot show what is asked of it; None when it can."""
    wanted, least = wanted_gain(found, program), outlook.unbounded
    if least is None:
        return f"no gain can be kept with max_pairs = {program.criteria.max_pairs}: that many pairs never suffice"
    if wanted is not None and least > wanted:
        return f"gains of {percent(wanted)} cannot be told from noise; {percent(least)} is the least that can"
    if wanted is None and least > _LARGE:
        return f"only gains of {percent(least)} or more can be told from noise, and most changes bring less"
    return None


def remedies(found: Stability, outlook: Outlook, timing: Timing, program: Program, has_cases: bool) -> tuple[str, ...]:
    """What would make smaller gains visible, the most effective first."""
    name = program.criteria.metric_field
    clock = is_clock(name)
    wall = clock and not _named(name, _PROCESSOR)
    seeds = found.in_seed or found.alike
    offered = (
        (wall, "measure processor time or instructions, not wall time: other work on the machine adds little to them"),
        (
            wall or bool(found.outliers),
            "take the fastest of several runs inside measure.sh: a disturbance only ever adds time",
        ),
        (found.drifts or found.linked, "leave the machine alone, or set `max_load`, so that it stays as it is"),
        (timing.sample < _SHORT or clock, _more_work(found, outlook, timing, program)),
        (seeds, "let one sample average over several seeds derived from AUTOLOOP_SEED: what varies is the seed"),
        (not (seeds or clock), "let AUTOLOOP_SEED fix what is random: both samples of a pair get the same one"),
        (not (clock or has_cases), "if it is a score over cases, print `cases` too: then only those that flip count"),
        (found.coarse is not None, "print more digits, or measure what is finer than a rounded number"),
    )
    return tuple(text for applies, text in offered if applies)


def is_clock(name: str) -> bool:
    """Whether a metric's name says that it is a time or a rate, which a busy machine changes."""
    return _named(name, _CLOCK)


def _named(name: str, pattern: re.Pattern[str]) -> bool:
    return any(pattern.fullmatch(part) for part in re.split(r"[^a-z]+", name.lower()))


def _more_work(found: Stability, outlook: Outlook, timing: Timing, program: Program) -> str:
    """How much longer a sample has to be, if its noise averages out."""
    wanted, least = wanted_gain(found, program) or _LARGE / 2, outlook.unbounded
    factor = math.ceil((least / wanted) ** 2) if least and least > wanted else 0
    text = "do more work in one sample, such as ten runs instead of one"
    if not 1 < factor <= _MOST_WORK:
        return text
    return f"{text}: {factor} times as much ({factor * timing.sample:.2g} s) if its noise averages out"
