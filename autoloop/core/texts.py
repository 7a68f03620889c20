"""Numbers and lists as people read them."""

from collections.abc import Sequence


def percent(fraction: float) -> str:
    """A fraction as `3.1 %`."""
    return f"{100 * fraction:.3g} %"


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
