"""What a contrast says, in one or two sentences for people."""

import math
from typing import TYPE_CHECKING

from autoloop.core.comparison import Difference
from autoloop.core.suite.rates import Rate
from autoloop.core.texts import percent

if TYPE_CHECKING:
    from autoloop.core.suite.contrast import Contrast


def sentence_of(contrast: "Contrast") -> str:
    """The verdict with the numbers that it rests on; for noise, what it would take."""
    if not contrast.pairs:
        return f"nothing to compare: no task has a trial that counts of both {contrast.a_name} and {contrast.b_name}"
    facts = f"{_rates(contrast)} of {counted(contrast.pairs, 'pair')} ({difference_of(contrast)})"
    if contrast.verdict is not Difference.NOISE:
        odds = math.exp(min(contrast.log_evidence, 50.0))
        text = f"{odds:,.0f}" if odds < 1e6 else f"{odds:.0e}"
        return f"{contrast.b_name} is {contrast.verdict} than {contrast.a_name} on these tasks: {facts}, {text} : 1"
    return f"noise: {facts}. {_outlook(contrast)}"


def points(fraction: float) -> str:
    """A difference of rates: `+4.2 points`."""
    return f"{100 * fraction:+.1f} points"


def counted(number: int, what: str, many: str = "") -> str:
    """A number with its noun; `many` where that takes more than an s."""
    return f"{number:,} {what if number == 1 else many or what + 's'}"


def rounded(number: int) -> int:
    """To two digits, as an estimate is said."""
    return int(float(f"{number:.2g}"))


def difference_of(contrast: "Contrast") -> str:
    """The difference with its interval."""
    assert contrast.difference is not None, "there are pairs"
    text = points(contrast.difference)
    if contrast.low is None or contrast.high is None:
        return text
    return f"{text}, 95 %: {100 * contrast.low:+.1f} to {100 * contrast.high:+.1f}"


def rate_of(rate: Rate) -> str:
    """A pass rate as people read it."""
    return "no trial counts" if rate.value is None else percent(rate.value)


def _rates(contrast: "Contrast") -> str:
    return f"{contrast.b_name} {rate_of(contrast.b)} against {contrast.a_name} {rate_of(contrast.a)}"


def _outlook(contrast: "Contrast") -> str:
    """What these pairs could have shown, and what it would take to be sure of what was seen."""
    if contrast.shown is None:
        seen = "So few pairs could not have shown any difference"
    else:
        seen = f"{points(contrast.shown).lstrip('+')} would have been found in 9 of 10 cases"
    if contrast.more_pairs is None:
        return f"{seen}."
    more = counted(rounded(contrast.more_pairs), "more pair")
    return f"{seen}; were the truth what was seen, it would take about {more}."
