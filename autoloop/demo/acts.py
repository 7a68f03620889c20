"""What a demo prints: an act for each claim, while its run is running, then its last words.

Pure but for whoever is given the lines. What does not come out as promised is said as it came. The last words are what
it came to, where to look next, and the command for a repository of one's own.
"""

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoloop.core.run.events import Baselined, Decided, Event, ExperimentStarted
from autoloop.core.run.flags import signs_of
from autoloop.core.run.program import Criteria
from autoloop.core.text import odds, percent
from autoloop.demo.example import BRANCH, DemoPart
from autoloop.demo.findings import Facts, Held, Killed, Spread, Tried, TwoRules

Say = Callable[[str], None]

_INDENT = "   "
_EDIT = 36
"""Columns of an edit's name."""


class Teller:
    """Takes the events of the run in their order, and prints each act as it comes."""

    def __init__(self, parts: Sequence[DemoPart], criteria: Criteria, say: Say) -> None:
        self.parts = parts
        self.criteria = criteria
        self.tried: list[Tried] = []
        self.spread: Spread | None = None
        self.rules: TwoRules | None = None
        self._say = say
        self._calibrated: Baselined | None = None
        self._act: DemoPart | None = None
        self._entered: set[DemoPart] = set()

    def begin(self) -> None:
        """Say what is measured first."""
        self._headline("1. Noise: how far apart are two runs of the same code?")

    def hear(self, event: Event) -> None:
        """Take an event, and print what it adds."""
        match event:
            case Baselined(why="calibration"):
                self._calibrated = event
                self._tell_spread(event)
            case ExperimentStarted(experiment=number):
                self._enter(self.part_of(number))
            case Decided():
                self._tell(self._tried(event))

    def part_of(self, experiment: int) -> DemoPart:
        """The kind of edit that an experiment makes."""
        return self.parts[min(experiment, len(self.parts)) - 1]

    def killed(self, held: Held, command: str) -> None:
        """Tell of the kill, and of the command that takes the run up."""
        self._enter(DemoPart.KILLED)
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
        """The numbers of every act, for `--json`."""
        return {
            "noise": vars(self.spread) if self.spread else None,
            "nothing": vars(self.rules) if self.rules else None,
            "edits": [one.facts() for one in self.tried],
        }

    def _enter(self, act: DemoPart) -> None:
        if act is self._act:
            return
        self._leave()
        self._act = act
        self._entered.add(act)
        self._headline(_TITLES[act])
        if act is DemoPart.NOTHING:
            self._lines(
                "keep-if-better: one run before, one after; what is faster is kept",
                "autoloop: pairs of runs, until there is evidence or no hope of any",
                "",
                f"{'edit':{_EDIT}}  keep-if-better   autoloop",
            )

    def _leave(self) -> None:
        if self._act is DemoPart.NOTHING:
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
            f"two runs of the same code differ by up to {percent(found.largest, '.1f')} here;",
            f"one run has a standard deviation of {percent(found.deviation, '.1f')}",
        )

    def _tell_rules(self) -> None:
        if self._calibrated is None or self._calibrated.noise is None:
            return
        self.rules = found = TwoRules.of(self.tried, self._calibrated.noise, self.criteria)
        if not found.edits:
            self._lines("none of them could be measured")
            return
        claims = f", and would claim {percent(found.would_claim, '+.1f')}" if found.would_keep else " this time"
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
            case DemoPart.NOTHING:
                self._lines(_judged_twice(one))
            case DemoPart.GAIN:
                self._lines(f"{one.edit}:", *_verdict(one))
            case DemoPart.CHEAT:
                self._lines(f"{one.edit}:", *_cheat(one))
            case DemoPart.KILLED:
                self._lines(f"experiment {one.experiment} went on and ended: {one.edit}", *_verdict(one))

    def _headline(self, text: str) -> None:
        self._say("")
        self._say(text)

    def _lines(self, *lines: str) -> None:
        for line in lines:
            self._say((_INDENT + line).rstrip())


_TITLES = {
    DemoPart.NOTHING: "2. Nothing: edits that cannot matter, judged twice from the same samples",
    DemoPart.GAIN: "3. A real improvement",
    DemoPart.CHEAT: "4. Cheats: agents that move the number instead of the code",
    DemoPart.KILLED: "5. kill -9 in the middle of an experiment, and the resume",
}


def _judged_twice(one: Tried) -> str:
    name = one.edit[:_EDIT]
    if one.first is None:
        return f"{name:{_EDIT}}  not measured: {one.decision.why}"
    once = f"{'keep' if one.would_keep else 'drop':4}  {percent(one.first, '+.1f'):>8}"
    pairs = len(one.decision.pairs)
    return f"{name:{_EDIT}}  {once}   {'KEEP' if one.kept else 'discard'} after {pairs} pairs"


def _verdict(one: Tried) -> list[str]:
    """A verdict with what it rests on."""
    decision = one.decision
    if not one.kept or decision.gain is None:
        return [f"  not kept, as it came: {decision.reason.value}, {decision.why}"]
    low, high = decision.low, decision.high
    between = "" if low is None or high is None else f" (95 %: {percent(low, '+.1f')} to {percent(high, '+.1f')})"
    said = f", {odds(decision.evidence)} for a gain" if decision.evidence is not None else ""
    return [f"  kept: {percent(decision.gain, '+.1f')}{between}{said} after {len(decision.pairs)} pairs"]


def _cheat(one: Tried) -> list[str]:
    """What became of an attempt on the measurement."""
    decision = one.decision
    flagged = f"; flagged {signs_of(decision.flags)}" if decision.flags else ""
    if one.caught:
        measured = f"after {decision.samples} samples" if decision.samples else "before anything was measured"
        return [f"  caught {measured}: {decision.reason.value}", f"  {decision.why}"]
    if one.kept:
        return [f"  NOT refused: kept with {percent(decision.gain or 0.0, '+.1f')}{flagged}"]
    measured = f", measured {percent(decision.gain, '+.1f')}" if decision.gain is not None else ""
    return [f"  in vain: {decision.reason.value}{measured}{flagged}"]


Status = Mapping[str, Any]
"""A run in one look, as `status --json` gives it; empty when none began."""

IN_YOUR_REPOSITORY = "autoloop init"
_FOUND_NOT_PREVENTED = "none: here violations are found, and not prevented; `autoloop run` says why"


@dataclass(frozen=True)
class Pointer:
    """A command to type next, and what it shows."""

    command: str
    shows: str


def last_words(status: Status, seconds: float, interrupted: bool, pointers: Sequence[Pointer]) -> tuple[str, ...]:
    """The lines that a demo prints below its table of results."""
    own = Pointer(IN_YOUR_REPOSITORY, "writes a first program from what it finds there")
    width = max(len(pointer.command) for pointer in (*pointers, own))
    look = [f"  {pointer.command:{width}}  {pointer.shows}" for pointer in pointers]
    if interrupted:
        return (f"Interrupted after {seconds:.0f} s. What was measured until then is kept:", *look)
    return (
        *_in_all(status),
        f"Sandbox: {_tier(status)}",
        f"All of this was measured just now, in {seconds:.0f} s.",
        "",
        "Where to look next:",
        *look,
        "",
        "In a repository of your own:",
        f"  {own.command:{width}}  {own.shows}",
    )


def where_to_look(
    root: Path, tried: Sequence[Tried], status: Status, environ: Mapping[str, str]
) -> tuple[Pointer, ...]:
    """Commands to type next, in the order in which to type them."""
    pointers = [Pointer(f"cd {root}", "the demo's repository; delete it when you have seen enough")]
    if not shutil.which("autoloop", path=environ.get("PATH", "")):
        # As when the environment is not activated.
        there = Path(sys.executable).parent
        pointers.insert(0, Pointer(f'export PATH="{there}:$PATH"', "so that your shell finds autoloop"))
    if status.get("baseline") is None:
        return tuple(pointers)
    pointers.append(Pointer("autoloop results", "the table again, read from the journal"))
    kept = next((one.experiment for one in tried if one.kept and one.part is not DemoPart.NOTHING), None)
    caught = next((one.experiment for one in tried if one.caught), None)
    if kept is not None:
        pointers.append(Pointer(f"autoloop show {kept}", "a keep: every sample, and the evidence after each pair"))
    if caught is not None:
        pointers.append(Pointer(f"autoloop show {caught}", "a cheat, and its diff"))
    if kept is not None:
        pointers.append(Pointer(f"git diff {BRANCH}...{status['branch']}", "what a merge would bring"))
        pointers.append(Pointer("autoloop verify", "the gain once more, measured afresh"))
    return tuple(pointers)


def _in_all(status: Status) -> list[str]:
    found = status.get("verified")
    if not status.get("kept"):
        return ["Nothing was kept this time."]
    claimed = f"In all, the keeps claim {percent(status['gain'] or 0.0, '+.1f')}"
    if not found or found["gain"] is None or found["low"] is None:
        return [f"{claimed}; there was no time left to measure that afresh:", "`autoloop verify` does it."]
    between = f"{percent(found['low'], '+.1f')} to {percent(found['high'], '+.1f')}"
    pairs = f"{len(found['pairs'])} fresh pairs of the first commit and the branch"
    problems = [f"  {problem}" for problem in found["problems"]]
    afresh = f"Measured afresh: {percent(found['gain'], '+.1f')} (95 %: {between}),"
    return [f"{claimed}.", afresh, f"in {pairs}.", *problems]


def _tier(status: Status) -> str:
    tier = status.get("sandbox") or "unknown"
    return _FOUND_NOT_PREVENTED if tier == "none" else tier
