"""One agent process from prompt to exit: what it cost and how it ended."""

from enum import StrEnum

from autoloop.core.model import Frozen


class SessionFailure(StrEnum):
    """How a session can go wrong. What it changed still decides."""

    UNREACHABLE = "unreachable"
    """The agent could not be started or reached: the run stops, no experiment is spent."""
    EXITED = "exited"
    TIMEOUT = "timeout"
    IDLE = "idle"
    CANCELLED = "cancelled"


class Session(Frozen):
    """How one agent session went. An unknown cost is None, never 0."""

    seconds: float
    failure: SessionFailure | None = None
    detail: str = ""
    cost_usd: float | None = None
    tokens: int | None = None
    text: str = ""
    """The end of what it said, where the notes block is looked for; clipped."""
    parameters: dict[str, str | int | float | bool] = {}
    """What a searching agent set, so that its history can be read back from the journal."""
