"""The material of a run's report: what `read` has gathered, what the templates show, and counts as bars."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from autoloop.core.run.program import Program
from autoloop.core.run.results import Row
from autoloop.core.run.state import RunState
from autoloop.core.run.summary import Summary
from autoloop.report.chronicle import Course, Experiment
from autoloop.report.excerpts import Excerpt

NOTHING = Excerpt()


@dataclass(frozen=True)
class RunMaterial:
    """A run with everything that its report shows."""

    program: Program
    summary: Summary
    state: RunState
    alive: bool
    agent: str
    """The profile that proposed, in words."""
    versions: Mapping[str, str]
    experiments: Sequence[Experiment]
    made_at: float
    baseline: Row | None = None
    current: Course | None = None
    """The experiment in progress, or the one at which a process was killed."""
    diffs: Mapping[int, Excerpt] = field(default_factory=dict)
    packets: Mapping[int, Excerpt] = field(default_factory=dict)
    """Empty where traces are not wanted."""
    traces: bool = True
    files: str | None = None
    """Where a page finds the files of the run, to link them; None where it cannot."""

    @property
    def keeps(self) -> list[Experiment]:
        """The experiments whose change stayed."""
        return [one for one in self.experiments if one.kept]

    def diff(self, number: int) -> Excerpt:
        """The beginning of an experiment's diff."""
        return self.diffs.get(number, NOTHING)

    def packet(self, number: int) -> Excerpt:
        """The beginning of the packet that an experiment's agent was given."""
        return self.packets.get(number, NOTHING)


@dataclass(frozen=True)
class Bar:
    """A bar of a bar chart: a name, its count, and the bar's length."""

    name: str
    times: int
    part: float
    """The count as a fraction of all."""
    length: float
    """Against the longest one, as a fraction."""
    kind: str = ""
    """Its colour in a page: keep, discard, crash."""


def bars(counted: Mapping[str, int], kinds: Mapping[str, str] | None = None, most: int = 20) -> list[Bar]:
    """The commonest names, the commonest first; names without an order of their own by name."""
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    total, longest = sum(counted.values()) or 1, ordered[0][1] if ordered else 1
    return [
        Bar(name, times, times / total, times / longest, (kinds or {}).get(name, "")) for name, times in ordered[:most]
    ]
