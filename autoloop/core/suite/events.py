"""The durable events of a bench, one per line of its `journal.jsonl`.

Each is frozen, tagged by `kind` and carries `at` in Unix seconds. Fields are added, never renamed.
"""

from enum import StrEnum
from typing import Literal

from autoloop.core.event_lines import Family, JournalEvent
from autoloop.core.suite.plan import BenchPlan
from autoloop.core.suite.tasks import TrialKey, TrialResult

VERSION = 1


class BenchStop(StrEnum):
    """Why a process ended its work on a bench."""

    DONE = "done"
    MAX_HOURS = "max_hours"
    GROUP_HOURS = "group_hours"
    """All trials that are left belong to groups whose hours are used up."""
    BUDGET = "budget"
    STOPPED = "stopped"
    AGENT_UNAVAILABLE = "agent_unavailable"
    DISK = "disk"
    FAULT = "fault"


class BenchStarted(JournalEvent):
    """The first line: what the bench is."""

    kind: Literal["bench_started"] = "bench_started"
    version: int = VERSION
    bench_id: str
    suite: str
    """The name of the suite."""
    suite_path: str
    suite_version: str
    """The suite's own version, or a digest of its tasks."""
    plan: BenchPlan


class BenchResumed(JournalEvent):
    """A process took the bench up, the first one included."""

    kind: Literal["bench_resumed"] = "bench_resumed"
    workers: int


class TrialEnded(JournalEvent):
    """A trial came to something; an error is tried again."""

    kind: Literal["trial_ended"] = "trial_ended"
    key: TrialKey
    result: TrialResult
    reused: bool = False
    """Whether it was taken from stored results: then it cost nothing now."""


class Regraded(JournalEvent):
    """A kept workspace was verified once more, and this is what counts from now on."""

    kind: Literal["regraded"] = "regraded"
    key: TrialKey
    result: TrialResult


class WorkerReplaced(JournalEvent):
    """A worker was stuck or died; its trial is tried again."""

    kind: Literal["worker_replaced"] = "worker_replaced"
    worker: int
    key: TrialKey | None = None
    why: str


class BenchWaited(JournalEvent):
    """The bench paused for something outside it."""

    kind: Literal["bench_waited"] = "bench_waited"
    why: str
    seconds: float


class GroupCut(JournalEvent):
    """The hours of a group are used up: no further trial of it is begun until a resume gives it more."""

    kind: Literal["group_cut"] = "group_cut"
    group: str
    hours: float
    """The hours that the group had."""


class BenchStopped(JournalEvent):
    """The process ended its work; a resume goes on from here."""

    kind: Literal["bench_stopped"] = "bench_stopped"
    reason: BenchStop
    detail: str = ""


BenchEvent = (
    BenchStarted | BenchResumed | TrialEnded | Regraded | WorkerReplaced | BenchWaited | GroupCut | BenchStopped
)

BENCH_EVENTS = Family[BenchEvent](BenchEvent, version=VERSION, what="bench")
to_line, from_line = BENCH_EVENTS.to_line, BENCH_EVENTS.from_line
