"""Counts as bars: what needs no plot to be seen."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    """One name, how often it came, and how long its bar is."""

    name: str
    times: int
    part: float
    """Of all, as a fraction."""
    length: float
    """Against the longest one, as a fraction."""
    kind: str = ""
    """Its colour in a page: keep, discard, crash."""


def bars(counted: Mapping[str, int], kinds: Mapping[str, str] | None = None, most: int = 20) -> list[Bar]:
    """The commonest names, the commonest first; names without an order of their own by name."""
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    total, longest = sum(counted.values()) or 1, ordered[0][1] if ordered else 1
    return [
        Bar(name, times, times / total, times / longest, (kinds or {}).get(name, "")) for name, times in ordered[:most]
    ]
