"""Figures as people read them, the same on a terminal and on a page. Loads nothing: `status` is quick.

Numbers and lists as people read them.
"""

from collections.abc import Sequence
from typing import TypeVar


def number(value: float | None) -> str:
    """A metric."""
    return "" if value is None else f"{value:.6g}"


def percent(fraction: float | None) -> str:
    """A gain: `+3.1 %`."""
    if fraction is None:
        return ""
    value = 100 * fraction
    return f"{value:+.1f} %" if abs(value) >= 1 or value == 0 else f"{value:+.2g} %"


def duration(seconds: float | None) -> str:
    """`1 h 12 min`, `3 min 20 s`, `4.1 s`."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.2g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def money(cost_usd: float | None) -> str:
    """An amount; what is not known is said to be so."""
    return "unknown" if cost_usd is None else f"${cost_usd:.2f}"


def count(amount: int, noun: str) -> str:
    """`1 sample`, `3 samples`."""
    return f"{amount} {noun}" if amount == 1 else f"{amount} {noun}s"


def as_percent(fraction: float) -> str:
    """A fraction as `3.1 %`."""
    return f"{100 * fraction:.3g} %"


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


_Number = TypeVar("_Number", int, float)


def sum_known(left: _Number | None, right: _Number | None) -> _Number | None:
    """The sum of what is known; None when nothing is."""
    if left is None or right is None:
        return left if right is None else right
    return left + right
