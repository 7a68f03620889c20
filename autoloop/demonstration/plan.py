"""What a demo does, and how much of it, so that it is over in time on this machine. Pure: from seconds to numbers."""

from dataclasses import dataclass
from enum import StrEnum


class Part(StrEnum):
    """What an edit of the script is."""

    NOTHING = "nothing"
    GAIN = "gain"
    CHEAT = "cheat"
    KILLED = "killed"
    """A gain as well; the run is killed while it is measured."""


LONGEST = 85.0
"""Seconds after which the demo ends whatever is still to do."""
KILL_BY = 64.0
"""Seconds after which the run is killed wherever it is."""
AFTER_KILL = 25.0
"""Seconds that the run may take for all that comes after."""
FEWEST, MOST = 4, 8
"""Edits that do nothing."""

_PLANNED = 60.0
"""Seconds that are planned with: machines are seldom as quick all the time as they were for a moment."""
_AROUND = 0.06
"""Seconds around each sample: sandbox, seal, journal."""
_STARTS = 5.0
"""Seconds to set up, to start and to start again."""
_PAIRS, _FEWER_PAIRS = 10, 5
"""Of calibration."""
_SLOW = 0.5
"""Seconds of a sample that ask for fewer."""
_NOTHING = 13
"""Samples' time that an edit that does nothing takes, with its checks and its warm-up."""
_OTHERS = 60
"""The same for everything else but calibration."""


@dataclass(frozen=True)
class Plan:
    """How much a demo measures."""

    nothings: int
    """Edits that do nothing."""
    calibration_pairs: int

    @property
    def is_slow(self) -> bool:
        """Whether calibration must do with less than it usually has."""
        return self.calibration_pairs < _PAIRS


def others_begin_by(each: float) -> float:
    """Seconds after which edits that do nothing must make room, when a sample has taken so many seconds so far."""
    return LONGEST - _STARTS - _OTHERS * each


def plan(pace: float, most: int = MOST) -> Plan:
    """What fits, when one sample takes so many seconds; `most` edits that do nothing at the most."""
    pairs = _PAIRS if pace < _SLOW else _FEWER_PAIRS
    each = pace + _AROUND
    left = _PLANNED - _STARTS - each * (2 * pairs + _OTHERS)
    return Plan(min(most, max(FEWEST, int(left / (each * _NOTHING)))), pairs)
