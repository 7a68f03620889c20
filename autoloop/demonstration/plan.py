"""How much a demo measures, so that it is over in time on this machine. Pure: from seconds to numbers."""

from dataclasses import dataclass

LONGEST = 85.0
"""Seconds after which the demo ends whatever is still to do."""
KILL_BY = 64.0
"""Seconds after which the run is killed wherever it is."""
CLOSING = 15.0
"""Seconds that the end of the run may take for measuring the original against what was kept."""
FEWEST, MOST = 3, 8
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
_NOTHING = 15
"""Samples' time that an edit that does nothing takes, with its checks and its warm-up."""
_OTHERS = 80
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


def plan(pace: float) -> Plan:
    """What fits, when one sample takes so many seconds."""
    pairs = _PAIRS if pace < _SLOW else _FEWER_PAIRS
    each = pace + _AROUND
    left = _PLANNED - _STARTS - each * (2 * pairs + _OTHERS)
    return Plan(max(FEWEST, min(MOST, int(left / (each * _NOTHING)))), pairs)
