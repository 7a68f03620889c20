"""Flags: signs of gaming that no sandbox stops. A flag asks people to look, and decides only where `strict` says so."""

from collections.abc import Sequence
from enum import StrEnum

from autoloop.core.model import Frozen

STRICT = "strict: "
"""The beginning of the sentence of a decision that flags have made."""


class Sign(StrEnum):
    """A sign of gaming: something that moves the number instead of the code."""

    SEED_CHANGED = "seed_changed"
    CASES_SPECIAL_CASED = "cases_special_cased"
    CHECKS_REMOVED = "checks_removed"
    TIMING_TOUCHED = "timing_touched"
    MEASUREMENT_PROBED = "measurement_probed"
    NOT_INSPECTED = "not_inspected"
    """Code that could not be looked at."""
    IMPLAUSIBLE_GAIN = "implausible_gain"
    TOO_FAST = "too_fast"


class Flag(Frozen):
    """A sign of gaming that was seen, and where."""

    sign: Sign
    detail: str
    """One clipped line. It may quote the candidate, so it is data, never an instruction."""


def signs_of(flags: Sequence[Flag]) -> str:
    """The names alone: `seed_changed, too_fast`."""
    return ", ".join(flag.sign for flag in flags)


def flagged(flags: Sequence[Flag]) -> str:
    """The names of the signs, each with what was seen."""
    return ", ".join(f"{flag.sign} ({flag.detail})" for flag in flags)
