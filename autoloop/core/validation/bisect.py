"""Which of many things breaks a measurement in its sandbox, found by bisection, and what to tell the user of it."""

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from autoloop.core.text import listed

_REFUSED = re.compile(r"read-only file system|EROFS", re.IGNORECASE)
_NESTED = re.compile(r"\b(bwrap|unshare): ")
_ELSEWHERE = "Write to $AUTOLOOP_SAMPLE_DIR, to $TMPDIR, or below the working directory."

Thing = TypeVar("Thing")


def fewest(
    group: Sequence[Thing], works: Callable[[Sequence[Thing]], bool], is_late: Callable[[], bool] = lambda: False
) -> list[Thing]:
    """The smallest part of a group with which it works; everything still in question when the time is up."""
    needed: list[Thing] = []
    left = list(group)
    while left and not (needed and works(needed)):
        low, high = 1, len(left)
        while low < high:
            if is_late():
                return [*needed, *left[:high]]
            middle = (low + high) // 2
            low, high = (low, middle) if works([*needed, *left[:middle]]) else (middle + 1, high)
        needed.append(left[high - 1])
        left = left[: high - 1]
    return needed


def advice(found: Sequence[tuple[str, str]], has_services: bool) -> str:
    """How to let through what was found: a field of `config.toml` and what is to stand in it; no field for writing."""
    by_field: dict[str, list[str]] = {}
    for field, value in found:
        by_field.setdefault(field, []).append(value)
    return " ".join(_sentence(field, values, has_services) for field, values in by_field.items())


def no_advice(failure: str) -> str:
    """The advice to a user when no permission was found that helps."""
    if _NESTED.search(failure):
        return (
            "It makes a sandbox of its own. In the tier bwrap that takes `measure_tracing = true`, "
            "and a user other than root where it mounts /proc; within landlock it cannot be had."
        )
    if _REFUSED.search(failure):
        return _ELSEWHERE
    return (
        "No field lets through what it needs: the rights of root, other processes, a place that it writes to. "
        'Change that, or measure unconfined with `sandbox = "none"`.'
    )


def _sentence(field: str, values: list[str], has_services: bool) -> str:
    match field:
        case "":
            return _ELSEWHERE
        case "measure_network" if has_services:
            return 'Set `measure_network = "loopback"` if it talks to what services.sh starts, "on" if beyond that.'
        case "measure_network":
            return 'It needs the network: set `measure_network = "on"`.'
        case "measure_tracing":
            return "It traces processes, or makes namespaces: set `measure_tracing = true`."
        case _:
            names = listed([f'"{value}"' for value in values])
            return f"Add {names} to `{field}`."
