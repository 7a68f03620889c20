"""What a bench suggests, as a value."""

from enum import StrEnum

from autoloop.core.model import Frozen


class Kind(StrEnum):
    """What sort of advice it is."""

    QUICK_WIN = "quick_win"
    """It would lift a pass rate."""
    NEXT_STEP = "next_step"
    """It would answer a question."""


class About(StrEnum):
    """What led to it."""

    FLAKY = "flaky"
    MORE_TIME = "more_time"
    TURNS = "turns"
    SHARED_MODE = "shared_mode"
    NEARLY = "nearly"
    ERRORS = "errors"
    OUTSTANDING = "outstanding"
    CONTRAST = "contrast"
    TRIED_ONCE = "tried_once"
    UNSUPPORTED = "unsupported"


class Advice(Frozen):
    """One thing to do, with the numbers that led to it."""

    kind: Kind
    about: About
    arm: str
    """Whose trials it is about; empty for the whole bench."""
    text: str
    tasks: tuple[str, ...] = ()
    gain: float | None = None
    """The most that it can add to the arm's pass rate, as a fraction of 1; None for a next step."""
