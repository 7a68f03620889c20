"""What this machine has of what tasks need."""

from collections.abc import Callable

from autoloop.process.searching import executable

Has = Callable[[str], bool]
"""Whether a program is here."""


def has_program(name: str) -> bool:
    """Whether a program is on this machine's search path."""
    return executable(name) is not None
