"""Numbers, percentages, odds, durations, lists and commands as people read them, on a terminal as on a page.

Loads nothing: `status` is quick.
"""

import math
from collections.abc import Sequence
from typing import TypeVar

_LARGEST_LOG = 700.0
"""Beyond the exponent of this, odds are no numbers any more."""
_FINAL = ("stagnation", "target")
"""Reasons to stop after which the same run has nothing more to try."""
_RAISED = {"max_experiments": " --max-experiments N", "max_hours": " --max-hours H", "budget": " --max-cost-usd X"}


def number(value: float | None) -> str:
    """A metric's value with six significant digits; empty for none."""
    return "" if value is None else f"{value:.6g}"


def share(part: int, whole: int) -> float | None:
    """The fraction that a part is of a whole; None where the whole is nothing."""
    return part / whole if whole else None


def percent(fraction: float | None, form: str = ".3g") -> str:
    """A fraction as `3.14 %`, empty for none. `form` formats the number: `.1f` for rates, `+.3g` signed."""
    return "" if fraction is None else f"{100 * fraction:{form}} %"


def whole_percent(done: int, planned: int) -> str:
    """How far something has come, rounded down so that only what is complete is `100 %`."""
    return f"{100 * done // planned} %"


def percent_range(low: float, high: float, form: str = ".1f") -> str:
    """Both ends of an interval of fractions in percent: `38.1 to 61.9`; the unit stands before or behind it."""
    return f"{100 * low:{form}} to {100 * high:{form}}"


def signed_percent(fraction: float | None) -> str:
    """A gain as `+3.1 %`: one decimal from 1 % on, below it two digits that count; empty for none."""
    form = "+.1f" if fraction is not None and (abs(100 * fraction) >= 1 or fraction == 0) else "+.2g"
    return percent(fraction, form)


def points(fraction: float) -> str:
    """A difference of two rates in percentage points: `+4.2 points`."""
    return f"{100 * fraction:+.1f} points"


def odds(log_evidence: float) -> str:
    """The natural logarithm of evidence as betting odds: `54 : 1` for it, `1 : 54` against."""
    value = math.exp(min(abs(log_evidence), _LARGEST_LOG))
    text = f"{value:.0f}" if value < 1e6 else f"{value:.0e}"
    return f"{text} : 1" if log_evidence >= 0 else f"1 : {text}"


def duration(seconds: float | None) -> str:
    """Seconds as people read them: `1 h 12 min`, `3 min 20 s`, `4.1 s`."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.2g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def rough_duration(seconds: float) -> str:
    """A time that is only estimated, in one unit: `4.1 s`, `12 min`, `1.5 h`."""
    if seconds < 100:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.2g} h"


def money(cost_usd: float | None) -> str:
    """US dollars as `$0.42`; `unknown` for None."""
    return "unknown" if cost_usd is None else f"${cost_usd:.2f}"


def count(amount: int, noun: str) -> str:
    """An amount with its noun in the right number: `1 sample`, `3 samples`."""
    return f"{amount} {noun}" if amount == 1 else f"{amount} {noun}s"


def counted(number: int, noun: str, many: str = "") -> str:
    """`1 trial`, `1,200 trials`: a number of any size with its noun; `many` where the plural takes more than an s."""
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


_Number = TypeVar("_Number", int, float)


def sum_known(left: _Number | None, right: _Number | None) -> _Number | None:
    """The sum of two amounts of which either may be None, for unknown; None when both are."""
    if left is None or right is None:
        return left if right is None else right
    return left + right


def resume_command(program: str, run_id: str) -> str:
    """The command line that goes on with a run."""
    return f"autoloop run {program} --resume --run {run_id}"


def how_to_go_on(program: str, run_id: str, stop_reason: str | None) -> str:
    """The command that goes on with a run that has ended, raising the limit it met; empty where that brings nothing."""
    return "" if stop_reason in _FINAL else resume_command(program, run_id) + _RAISED.get(stop_reason or "", "")
