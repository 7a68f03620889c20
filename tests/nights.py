"""Nights that were never run: a directory as a run leaves it, from events as a loop writes them. For reports."""

import math
import random
from dataclasses import dataclass, field
from pathlib import Path

from autoloop.agents.profiles import Profile
from autoloop.core.evidence.paired import judge
from autoloop.core.run.calibration import Noise
from autoloop.core.run.candidate import Candidate, Change
from autoloop.core.run.events import (
    Baselined,
    Captured,
    Decided,
    Event,
    ExperimentStarted,
    RunResumed,
    RunStarted,
    RunStopped,
    Sampled,
    SessionEnded,
    Verified,
    to_line,
)
from autoloop.core.run.flags import Flag, Sign
from autoloop.core.run.measurement import Arm, MeasurementFailure, Sample, Taken, Wanted
from autoloop.core.run.notes import Notes
from autoloop.core.run.program import Criteria, Direction, Program
from autoloop.core.run.reasons import Reason, StopReason
from autoloop.core.run.verdict import Decision, Record, Verification
from autoloop.core.session import Session, SessionFailure
from autoloop.runs.directory import RunDirectory
from autoloop.runs.record import RunRecord, write_record

CRITERIA = Criteria(metric_field="ms", direction=Direction.LOWER)
PROGRAM = Program(slug="p", directory="programs/p", text="Lower ms.\n", scripts=("measure.sh",), criteria=CRITERIA)
RUN = "20260101-220000-00001"
_NOISE = 0.02
_KINDS = ("within_noise", "within_noise", "within_noise", "regressed", "agent_failed", "measurement_failed", "keep")


@dataclass
class Night:
    """A run below `root`, written event by event."""

    root: Path
    cost: float | None = 0.25
    at: float = 1_767_304_800.0
    head: str = "0" * 40
    chance: random.Random = field(default_factory=lambda: random.Random(5))
    events: list[Event] = field(default_factory=list)
    experiment: int = 0
    claimed: float = 0.0

    def __post_init__(self) -> None:
        self.directory = RunDirectory(self.root / ".autoloop/runs/p" / RUN)
        self.directory.path.mkdir(parents=True)
        (self.root / ".git").mkdir(exist_ok=True)
        record = RunRecord(
            run_id=RUN, program=PROGRAM, profile=Profile(name="night", agent="claude", model="sonnet"), sandbox="bwrap",
            seal={}, prompt_sha256="", seed=1, start=self.head, branch=f"autoloop/p/{RUN}", versions={"autoloop": "0"},
        )  # fmt: skip
        write_record(self.directory, record)
        self.add(RunStarted(at=self.at, run_id=RUN, program="p", seed=1, start=self.head, branch=record.branch))
        self.add(RunResumed(at=self.at))

    def add(self, *events: Event) -> "Night":
        """Append to the journal."""
        self.events += events
        with self.directory.journal.open("ab") as journal:
            journal.write(b"".join(map(to_line, events)))
        return self

    def tick(self, seconds: float = 2.0) -> float:
        self.at += seconds
        return self.at

    def calibrated(self) -> "Night":
        noise = Noise(threshold=0.0, spread=_NOISE, unit=100.0, logarithmic=True, calibration=(0.01, -0.02, 0.015))
        self.sample(0, 100.0, Arm.BASELINE, 0)
        record = Record(commit=self.head, metrics={"ms": 100.0}, values=(100.0,))
        return self.add(Baselined(at=self.tick(), why="calibration", record=record, moved=True, noise=noise))

    def sample(self, experiment: int, value: float, arm: Arm, index: int) -> None:
        result = Sample(metrics={"ms": value}, seconds=1.5)
        taken = Taken(wanted=Wanted(arm=arm, index=index), result=result)
        self.add(Sampled(at=self.tick(), experiment=experiment, commit=self.head, taken=taken))

    def proposed(
        self, description: str, *, diff: str = "", packet: str = "", text: str = "", failure: bool = False
    ) -> str:
        """An experiment up to its candidate; the candidate's commit."""
        self.experiment += 1
        number, commit = self.experiment, f"{self.experiment:040x}"
        session = Session(
            seconds=40.0 + 20 * self.chance.random(), cost_usd=self.cost, tokens=12_000, turns=9, model="sonnet",
            failure=SessionFailure.TIMEOUT if failure else None, detail="over" if failure else "", text=text,
        )  # fmt: skip
        notes = Notes(hypothesis=description, next=(f"after {number}",), avoid=(f"not {number}",))
        change = Change(path="src/code.py", kind="modified", added=3, removed=1)
        candidate = None if failure else Candidate(commit=commit, parent=self.head, changes=(change,))
        self.add(
            ExperimentStarted(at=self.tick(), experiment=number, parent=self.head),
            SessionEnded(at=self.tick(session.seconds), experiment=number, session=session, notes=notes),
            Captured(at=self.tick(0.1), experiment=number, candidate=candidate),
        )
        folder = self.directory.experiment(number)
        folder.mkdir(parents=True)
        (folder / "packet.md").write_text(packet or f"# Packet {number}\n\nLower ms.\n")
        if not failure:
            (folder / "diff.patch").write_text(diff or _DIFF)
        return commit

    def judged(
        self, true_gain: float, description: str = "an idea", flags: tuple[Flag, ...] = (), **texts: str
    ) -> None:
        """An experiment whose pairs are drawn around a true gain, and judged as the loop does."""
        commit = self.proposed(description, **texts)
        gains: list[float] = []
        found = None
        while found is None or found.verdict == "continue":
            gains.append(self._pair(true_gain, len(gains)))
            found = judge(gains, sigma=1.4 * _NOISE, df=9.0)
        kept = found.verdict == "keep"
        self.decided(
            Decision(
                reason=Reason.IMPROVED if kept else Reason.WITHIN_NOISE, why="so it was measured", metric=98.0,
                baseline=100.0, gain=-math.expm1(-found.claimed), low=-math.expm1(-found.low),
                high=-math.expm1(-found.high), evidence=found.log_evidence, claimed=found.claimed,
                sigma=1.4 * _NOISE, df=9.0, pairs=tuple(gains), trace=found.trace, samples=len(gains),
                metrics={"ms": 98.0}, flags=flags,
            ),
            description,
        )  # fmt: skip
        if kept:
            self.head, self.claimed = commit, self.claimed + found.claimed

    def _pair(self, true_gain: float, index: int) -> float:
        gain = true_gain + 1.4 * _NOISE * self.chance.gauss(0, 1)
        base = 100.0 * math.exp(-self.claimed)
        self.sample(self.experiment, base, Arm.BASELINE, index)
        self.sample(self.experiment, base * math.exp(-gain), Arm.CANDIDATE, index)
        return gain

    def decided(self, decision: Decision, description: str) -> None:
        self.add(Decided(at=self.tick(), experiment=self.experiment, decision=decision, description=description))

    def crashed(self, description: str = "it broke", **texts: str) -> None:
        self.proposed(description, **texts)
        failed = MeasurementFailure(reason=Reason.MEASUREMENT_FAILED, detail="exit code 3", seconds=0.2)
        taken = Taken(wanted=Wanted(arm=Arm.CANDIDATE, index=0), result=failed)
        self.add(Sampled(at=self.tick(), experiment=self.experiment, commit=self.head, taken=taken))
        self.decided(Decision(reason=Reason.MEASUREMENT_FAILED, why="exit code 3"), description)

    def idle(self, description: str = "") -> None:
        self.proposed(description, failure=True)
        self.decided(Decision(reason=Reason.AGENT_FAILED, why="the session timed out"), description or "no change")

    def ended(self, reason: StopReason = StopReason.MAX_EXPERIMENTS, *, verified: bool = True) -> "Night":
        if verified and self.claimed:
            gain = -math.expm1(-self.claimed)
            pairs = tuple(self.claimed + _NOISE * self.chance.gauss(0, 1) for _ in range(12))
            found = Verification(
                original="0" * 40, head=self.head, gain=gain - 0.01, low=gain - 0.03, high=gain + 0.01, claimed=gain,
                pairs=pairs,
            )  # fmt: skip
            self.add(Verified(at=self.tick(), verification=found))
        return self.add(RunStopped(at=self.tick(), reason=reason))


_DIFF = """\
diff --git a/src/code.py b/src/code.py
--- a/src/code.py
+++ b/src/code.py
@@ -1,4 +1,6 @@
 def work(items):
-    return [slow(item) for item in items]
+    seen = {}
+    for item in items:
+        seen.setdefault(item, slow(item))
+    return [seen[item] for item in items]
"""


def long_night(root: Path, experiments: int, *, diff: str = "", packet: str = "") -> Night:
    """A mixed night of so many experiments, a twelfth of them with something to gain."""
    night = Night(root).calibrated()
    for number in range(1, experiments + 1):
        kind = number % 12
        if kind == 5:
            night.crashed(f"unroll the loop, part {number}", diff=diff, packet=packet)
        elif kind == 8:
            night.idle()
        else:
            gain = 0.09 / (1 + number / 60) if kind == 3 else night.chance.choice([0.0, 0.0, 0.004, -0.05])
            flags = (Flag(sign=Sign.TIMING_TOUCHED, detail="time.sleep"),) if number % 50 == 27 else ()
            night.judged(gain, f"idea {number}: look things up once instead of twice", flags, diff=diff, packet=packet)
    return night.ended()
