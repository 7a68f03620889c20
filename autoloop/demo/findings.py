"""What a demo found, read from the events of its run. Pure: from values to values, and nothing is taken for granted."""

import math
from collections import Counter
from dataclasses import dataclass
from statistics import fmean

from autoloop.core.run.calibration import Noise
from autoloop.core.run.events import ExperimentStarted, Sampled, from_line
from autoloop.core.run.program import Criteria
from autoloop.core.run.reasons import Reason, Status
from autoloop.core.run.verdict import Decision
from autoloop.demo.example import DemoPart

Facts = dict[str, object]


@dataclass(frozen=True)
class Spread:
    """The noise between samples of the same code."""

    pairs: int
    largest: float
    """Of the pairs: by how much the slower one was above the quicker one, as a fraction."""
    deviation: float
    """The standard deviation of one sample, as a fraction."""

    @classmethod
    def of(cls, noise: Noise, criteria: Criteria) -> "Spread":
        """The spread of calibration's pairs, which measured the same commit in both slots."""
        gains = noise.calibration
        largest = max((abs(noise.fraction(-abs(gain), criteria)) for gain in gains), default=0.0)
        # Both halves of a pair vary, so a pair's variance is twice that of a sample.
        return cls(len(gains), largest, math.sqrt(fmean(gain**2 for gain in gains) / 2) if gains else 0.0)


@dataclass(frozen=True)
class Tried:
    """One edit of the demo, and how it was judged."""

    experiment: int
    part: DemoPart
    edit: str
    decision: Decision
    first: float | None
    """The gain of its first pair alone, as a fraction: all that keep-if-better looks at."""

    @property
    def would_keep(self) -> bool:
        """Whether keep-if-better would keep it: faster once is better."""
        return self.first is not None and self.first > 0

    @property
    def kept(self) -> bool:
        """Whether autoloop has kept the edit."""
        return self.decision.reason.status is Status.KEEP

    @property
    def caught(self) -> bool:
        """Whether the files that judge were found changed, before any sample counted."""
        return self.decision.reason is Reason.LOCK_VIOLATION

    def facts(self) -> Facts:
        """The numbers of the edit, for `--json`."""
        decided = self.decision.model_dump(mode="json", include={"reason", "why", "gain", "low", "high", "evidence"})
        signs = [flag.sign.value for flag in self.decision.flags]
        return {
            "experiment": self.experiment,
            "part": self.part.value,
            "edit": self.edit,
            "keep_if_better": None if self.first is None else {"keep": self.would_keep, "gain": self.first},
            "kept": self.kept,
            **decided,
            "pairs": len(self.decision.pairs),
            "flags": signs,
        }


@dataclass(frozen=True)
class TwoRules:
    """Edits that do nothing, judged in two ways from the same samples."""

    edits: int
    """The number of edits that could be measured."""
    would_keep: int
    would_claim: float
    """What keep-if-better adds up to, as a fraction."""
    kept: int
    """The number of edits that autoloop kept."""
    claimed: float
    pairs: float
    """Pairs that autoloop took of each, on average."""

    @classmethod
    def of(cls, tried: list[Tried], noise: Noise, criteria: Criteria) -> "TwoRules":
        """Both rules over all edits that do nothing."""
        measured = [one for one in tried if one.part is DemoPart.NOTHING and one.decision.pairs]
        would, kept = [one for one in measured if one.would_keep], [one for one in measured if one.kept]
        return cls(
            edits=len(measured),
            would_keep=len(would),
            would_claim=noise.fraction(sum(one.decision.pairs[0] for one in would), criteria),
            kept=len(kept),
            claimed=noise.fraction(sum(one.decision.claimed or 0.0 for one in kept), criteria),
            pairs=fmean(len(one.decision.pairs) for one in measured) if measured else 0.0,
        )


@dataclass(frozen=True)
class Held:
    """The content of a journal, counted: experiments and samples."""

    experiment: int
    """The one in progress, or the last one."""
    experiments: int
    """The decided ones."""
    samples: Counter[tuple[object, ...]]
    """How often it has each sample."""

    @classmethod
    def of(cls, journal: bytes) -> "Held":
        """The counts of a journal's whole lines."""
        events = [from_line(line) for line in journal.splitlines()]
        started = (event.experiment for event in events if isinstance(event, ExperimentStarted))
        samples = Counter(
            (event.experiment, *event.taken.wanted.model_dump().values())
            for event in events
            if isinstance(event, Sampled)
        )
        return cls(max(started, default=0), sum(event.kind == "decided" for event in events), samples)

    @property
    def twice(self) -> int:
        """The number of samples that the journal holds more than once."""
        return sum(times > 1 for times in self.samples.values())

    @property
    def in_progress(self) -> int:
        """The number of samples of the experiment in progress."""
        return sum(times for key, times in self.samples.items() if key[0] == self.experiment)


@dataclass(frozen=True)
class Killed:
    """A kill of the demo's run: the journal at that moment, and what a resume made of it."""

    held: Held
    command: str
    """What took the run up."""
    lost: bool
    """Whether the journal of afterwards begins otherwise than that of before."""
    twice: int
    """Samples that were taken again although the journal had them."""

    @property
    def is_as_promised(self) -> bool:
        """Whether nothing was lost, and nothing done twice."""
        return not self.lost and not self.twice

    def facts(self) -> Facts:
        """The numbers of the kill and the resume, for `--json`."""
        held = self.held
        return {
            "experiment": held.experiment,
            "samples_of_it": held.in_progress,
            "experiments": held.experiments,
            "samples": held.samples.total(),
            "resumed_by": self.command,
            "lost": self.lost,
            "taken_twice": self.twice,
        }
