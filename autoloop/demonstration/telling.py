"""What a demo says while its run goes: an act for each claim, in the numbers of the moment.

Pure but for whoever is told the lines. What does not come out as promised is said as it came.
"""

import math
from collections.abc import Callable, Sequence

from autoloop.core.events import Baselined, Decided, Event, ExperimentStarted
from autoloop.core.flags import signs_of
from autoloop.core.program import Criteria
from autoloop.demonstration.findings import Facts, Held, Killed, Spread, Tried, TwoRules
from autoloop.demonstration.plan import Part

Say = Callable[[str], None]

_INDENT = "   "
_EDIT = 36
"""Columns of an edit's name."""


class Teller:
    """Hears the events of the run in their order, and tells each act as it comes."""

    def __init__(self, parts: Sequence[Part], criteria: Criteria, say: Say) -> None:
        self.parts = parts
        self.criteria = criteria
        self.tried: list[Tried] = []
        self.spread: Spread | None = None
        self.rules: TwoRules | None = None
        self._say = say
        self._calibrated: Baselined | None = None
        self._act: Part | None = None
        self._entered: set[Part] = set()

    def begin(self) -> None:
        """Say what is measured first."""
        self._headline("1. Noise: how far apart are two runs of the same code?")

    def hear(self, event: Event) -> None:
        """Tell what an event adds."""
        match event:
            case Baselined(why="calibration"):
                self._calibrated = event
                self._tell_spread(event)
            case ExperimentStarted(experiment=number):
                self._enter(self.part_of(number))
            case Decided():
                self._tell(self._tried(event))

    def part_of(self, experiment: int) -> Part:
        """What an experiment's edit is."""
        return self.parts[min(experiment, len(self.parts)) - 1]

    def killed(self, held: Held, command: str) -> None:
        """Tell of the kill, and of the command that takes the run up."""
        self._enter(Part.KILLED)
        where = f"sample {held.in_progress + 1} of experiment {held.experiment}"
        journal = f"{held.experiments} finished experiments and {held.samples.total()} samples"
        self._lines(f"killed during {where};", f"the journal held {journal}", f"$ {command}")

    def taken_up(self, found: Killed) -> None:
        """Tell what became of all that was there before the kill."""
        if found.is_as_promised:
            there = f"{found.held.experiments} experiments and {found.held.samples.total()} samples"
            self._lines(f"all {there} are as they were;", "only the sample that was cut short was taken again")
        elif found.lost:
            self._lines("NOT as promised: the journal does not begin with what it held before the kill")
        else:
            self._lines(f"NOT as promised: {found.twice} samples were taken again although the journal had them")

    def end(self) -> None:
        """Finish the act that is open, and name those that were not reached."""
        self._leave()
        for part in dict.fromkeys(self.parts):
            if part not in self._entered:
                self._headline(_TITLES[part])
                self._lines("not reached in the time that there was")

    def facts(self) -> Facts:
        """For programs."""
        return {
            "noise": vars(self.spread) if self.spread else None,
            "nothing": vars(self.rules) if self.rules else None,
            "edits": [one.facts() for one in self.tried],
        }

    def _enter(self, act: Part) -> None:
        if act is self._act:
            return
        self._leave()
        self._act = act
        self._entered.add(act)
        self._headline(_TITLES[act])
        if act is Part.NOTHING:
            self._lines(
                "keep-if-better: one run before, one after; what is faster is kept",
                "autoloop: pairs of runs, until there is evidence or no hope of any",
                "",
                f"{'edit':{_EDIT}}  keep-if-better   autoloop",
            )

    def _leave(self) -> None:
        if self._act is Part.NOTHING:
            self._tell_rules()
        self._act = None

    def _tried(self, event: Decided) -> Tried:
        gains = event.decision.pairs
        noise = self._calibrated.noise if self._calibrated else None
        first = noise.fraction(gains[0], self.criteria) if noise and gains else None
        one = Tried(event.experiment, self.part_of(event.experiment), event.description, event.decision, first)
        self.tried.append(one)
        return one

    def _tell_spread(self, event: Baselined) -> None:
        assert event.noise is not None, "calibration says what the noise is"
        self.spread = found = Spread.of(event.noise, self.criteria)
        self._lines(
            f"one commit against itself, {found.pairs} times, back to back, on the same documents:",
            f"two runs of the same code differ by up to {100 * found.largest:.1f} % here;",
            f"one run has a standard deviation of {100 * found.deviation:.1f} %",
        )

    def _tell_rules(self) -> None:
        if self._calibrated is None or self._calibrated.noise is None:
            return
        self.rules = found = TwoRules.of(self.tried, self._calibrated.noise, self.criteria)
        if not found.edits:
            self._lines("none of them could be measured")
            return
        claims = f", and would claim {_signed(found.would_claim)}" if found.would_keep else " this time"
        self._lines(f"keep-if-better kept {found.would_keep} of {found.edits} edits that do nothing{claims}")
        if found.kept:
            self._lines(
                f"autoloop kept {found.kept} of {found.edits}, which happens to at most "
                f"1 in {1 / self.criteria.alpha:.0f} edits that do nothing"
            )
        else:
            self._lines(f"autoloop kept none of {found.edits}, after {found.pairs:.1f} pairs on average")

    def _tell(self, one: Tried) -> None:
        match one.part:
            case Part.NOTHING:
                self._lines(_judged_twice(one))
            case Part.GAIN:
                self._lines(f"{one.edit}:", *_verdict(one))
            case Part.CHEAT:
                self._lines(f"{one.edit}:", *_cheat(one))
            case Part.KILLED:
                self._lines(f"experiment {one.experiment} went on and ended: {one.edit}", *_verdict(one))

    def _headline(self, text: str) -> None:
        self._say("")
        self._say(text)

    def _lines(self, *lines: str) -> None:
        for line in lines:
            self._say((_INDENT + line).rstrip())


_TITLES = {
    Part.NOTHING: "2. Nothing: edits that cannot matter, judged twice from the same samples",
    Part.GAIN: "3. A real improvement",
    Part.CHEAT: "4. Cheats: agents that move the number instead of the code",
    Part.KILLED: "5. kill -9 in the middle of an experiment, and the resume",
}


def _judged_twice(one: Tried) -> str:
    name = one.edit[:_EDIT]
    if one.first is None:
        return f"{name:{_EDIT}}  not measured: {one.decision.why}"
    once = f"{'keep' if one.would_keep else 'drop':4}  {_signed(one.first):>8}"
    pairs = len(one.decision.pairs)
    return f"{name:{_EDIT}}  {once}   {'KEEP' if one.kept else 'discard'} after {pairs} pairs"


def _verdict(one: Tried) -> list[str]:
    """A verdict with what it rests on."""
    decision = one.decision
    if not one.kept or decision.gain is None:
        return [f"  not kept, as it came: {decision.reason.value}, {decision.why}"]
    low, high = decision.low, decision.high
    between = "" if low is None or high is None else f" (95 %: {_signed(low)} to {_signed(high)})"
    odds = f", {math.exp(decision.evidence):.0f} : 1 for a gain" if decision.evidence is not None else ""
    return [f"  kept: {_signed(decision.gain)}{between}{odds} after {len(decision.pairs)} pairs"]


def _cheat(one: Tried) -> list[str]:
    """What became of an attempt on the measurement."""
    decision = one.decision
    flagged = f"; flagged {signs_of(decision.flags)}" if decision.flags else ""
    if one.caught:
        measured = f"after {decision.samples} samples" if decision.samples else "before anything was measured"
        return [f"  caught {measured}: {decision.reason.value}", f"  {decision.why}"]
    if one.kept:
        return [f"  NOT refused: kept with {_signed(decision.gain or 0.0)}{flagged}"]
    measured = f", measured {_signed(decision.gain)}" if decision.gain is not None else ""
    return [f"  in vain: {decision.reason.value}{measured}{flagged}"]


def _signed(fraction: float) -> str:
    return f"{100 * fraction:+.1f} %"
