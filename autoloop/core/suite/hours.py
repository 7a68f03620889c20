"""Hours of groups: how long trials of a level were at work, and which levels have used theirs up.

What counts is the time in which at least one trial of the group ran, however many ran side by side and whatever other
groups did. It is known from the journal, so that a resume goes on counting.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from autoloop.core.model import Frozen
from autoloop.core.suite.saying import counted
from autoloop.core.suite.trial import TrialKey

if TYPE_CHECKING:
    from autoloop.core.suite.state import BenchState

Span = tuple[float, float]
"""From when to when, in Unix seconds."""


@dataclass
class AtWork:
    """How long at least one of many trials ran. Spans are told in the order in which they ended."""

    earlier: float = 0.0
    """Seconds in other processes' lives, whose clocks may have differed."""
    spans: list[Span] = field(default_factory=list)
    """Of this process's life; none of them touch."""

    def add(self, start: float, end: float) -> None:
        """One more trial ended."""
        while self.spans and self.spans[-1][1] >= start:
            before = self.spans.pop()
            start, end = min(start, before[0]), max(end, before[1])
        self.spans.append((start, end))

    def begin_anew(self) -> None:
        """Another process takes the bench up."""
        self.earlier, self.spans = self.seconds(), []

    def seconds(self, in_hand: Iterable[Span] = ()) -> float:
        """All of it, with trials that have not ended yet."""
        seen = AtWork(spans=list(self.spans))
        for start, now in in_hand:
            seen.add(start, now)
        return self.earlier + sum(end - start for start, end in seen.spans)


class CutShort(Frozen):
    """A group whose hours were used up before its last trial, over all arms."""

    group: str
    hours: float
    taken: int
    planned: int

    @property
    def sentence(self) -> str:
        """For people."""
        hours = "hour is" if self.hours == 1 else "hours are"
        trials = counted(self.planned, "planned trial")
        return f"{self.group} was cut short: its {self.hours:g} {hours} used up, {self.taken} of {trials} taken"


def used_up(
    state: "BenchState", hours: Mapping[str, float], in_hand: Mapping[TrialKey, float], now: float
) -> Iterator[str]:
    """The groups to cut short now: their hours are used up, and there are trials of them that nobody is at.

    `in_hand` has since when each trial runs that somebody is at.
    """
    for group in hours.keys() - state.cut.keys():
        at_work = state.at_work.get(group, AtWork())
        running = [(since, now) for key, since in in_hand.items() if state.group_of(key) == group]
        if at_work.seconds(running) >= hours[group] * 3600 and _has_more(state, group, in_hand):
            yield group


def _has_more(state: "BenchState", group: str, in_hand: Mapping[TrialKey, float]) -> bool:
    return any(state.group_of(key) == group and key not in in_hand for key in state.open)
