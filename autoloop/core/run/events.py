"""The durable events of a run, one per line of `journal.jsonl`.

Each is frozen, tagged by `kind` and carries `at` in Unix seconds. Fields are added, never renamed.
A kind that this version does not know stops with a clear message, because a state that
leaves something out is no state.
"""

from typing import Literal

from autoloop.core.event_lines import Family, JournalEvent
from autoloop.core.run.calibration import Noise
from autoloop.core.run.candidate import Candidate
from autoloop.core.run.flags import Flag
from autoloop.core.run.measurement import Taken
from autoloop.core.run.notes import Notes
from autoloop.core.run.reasons import StopReason
from autoloop.core.run.verdict import Decision, Keep, Record, Verification
from autoloop.core.session import Session

VERSION = 1

BaselineWhy = Literal["calibration", "keep", "drift", "gap"]
"""Why a kept tree is measured again."""


class RunStarted(JournalEvent):
    """The first line: what the run is."""

    kind: Literal["run_started"] = "run_started"
    version: int = VERSION
    run_id: str
    program: str
    seed: int
    start: str
    """The commit that the run began from."""
    branch: str


class RunResumed(JournalEvent):
    """A process took the run up, the first one included."""

    kind: Literal["run_resumed"] = "run_resumed"


class LimitsChanged(JournalEvent):
    """A person changed limits while the run went, or as it was resumed; only what differs from the program."""

    kind: Literal["limits_changed"] = "limits_changed"
    limits: dict[str, int | float]


class Guided(JournalEvent):
    """The guidance that holds from the next experiment on; empty when it was withdrawn."""

    kind: Literal["guided"] = "guided"
    text: str


class Waited(JournalEvent):
    """The run paused for something outside it."""

    kind: Literal["waited"] = "waited"
    why: str
    seconds: float


class Disturbed(JournalEvent):
    """Something outside spoiled a step, which is taken again: what came of it does not count."""

    kind: Literal["disturbed"] = "disturbed"
    experiment: int
    why: str
    still: float = 0.0
    """Seconds in which nothing of the run ran. They are no time of the run's."""
    taken: Taken | None = None
    """The sample that does not count."""
    session: Session | None = None
    """The session that does not count."""
    again: Literal["step", "session"] = "step"
    """Whether the session is begun again, although it was journaled."""


class ExperimentStarted(JournalEvent):
    """The agent is about to be told about `parent`."""

    kind: Literal["experiment_started"] = "experiment_started"
    experiment: int
    parent: str


class SessionEnded(JournalEvent):
    """The agent's process is gone; its files have not been read yet."""

    kind: Literal["session_ended"] = "session_ended"
    experiment: int
    session: Session
    notes: Notes


class Captured(JournalEvent):
    """The candidate is committed and pinned."""

    kind: Literal["captured"] = "captured"
    experiment: int
    candidate: Candidate | None = None
    tampered: tuple[str, ...] = ()
    breaches: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    code_removed: int = 0
    flags: tuple[Flag, ...] = ()
    """Signs of gaming in the diff."""


class Sampled(JournalEvent):
    """One sample was taken: of the experiment in progress, or of the baseline between two."""

    kind: Literal["sampled"] = "sampled"
    experiment: int
    commit: str
    taken: Taken


class Decided(JournalEvent):
    """The verdict, written before the tree follows it: the commit point of an experiment."""

    kind: Literal["decided"] = "decided"
    experiment: int
    decision: Decision
    description: str


class Baselined(JournalEvent):
    """The kept tree was measured: calibration, after a keep, or for drift."""

    kind: Literal["baselined"] = "baselined"
    why: BaselineWhy
    record: Record
    moved: bool
    """Whether this is now what must be beaten."""
    noise: Noise | None = None
    """Set by calibration alone."""
    detail: str = ""


class VerificationStarted(JournalEvent):
    """The original is about to be measured against the head."""

    kind: Literal["verification_started"] = "verification_started"
    original: str
    head: str
    pairs: int
    """How many are wanted."""


class Verified(JournalEvent):
    """The original was measured against the head, with this result."""

    kind: Literal["verified"] = "verified"
    verification: Verification


class Continued(JournalEvent):
    """A kept change got one more pair after the experiments had ended."""

    kind: Literal["continued"] = "continued"
    keep: Keep


class RunStopped(JournalEvent):
    """The run ended; resuming it goes on from here."""

    kind: Literal["run_stopped"] = "run_stopped"
    reason: StopReason
    detail: str = ""


Event = (
    RunStarted
    | RunResumed
    | LimitsChanged
    | Guided
    | Waited
    | Disturbed
    | ExperimentStarted
    | SessionEnded
    | Captured
    | Sampled
    | Decided
    | Baselined
    | VerificationStarted
    | Verified
    | Continued
    | RunStopped
)

RUN_EVENTS = Family[Event](Event, version=VERSION, what="run")
to_line, from_line = RUN_EVENTS.to_line, RUN_EVENTS.from_line
