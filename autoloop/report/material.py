"""What the report of a run is made of. `api` gathers it, the templates show it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from autoloop.core.program import Program
from autoloop.core.results import Row
from autoloop.core.run import RunState
from autoloop.core.summary import Summary
from autoloop.report.bounds import Excerpt
from autoloop.report.chronicle import Course, Experiment

NOTHING = Excerpt()


@dataclass(frozen=True)
class RunMaterial:
    """A run, with everything that its report shows."""

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
        """What an experiment changed."""
        return self.diffs.get(number, NOTHING)

    def packet(self, number: int) -> Excerpt:
        """What its agent was told."""
        return self.packets.get(number, NOTHING)
