"""The durable events of a bench, one per line of its `journal.jsonl`.

Each is frozen, tagged by `kind` and carries `at` in Unix seconds. Fields are added, never renamed.
"""

from enum import StrEnum
from typing import Annotated, Literal, get_args

from pydantic import Field, TypeAdapter

from autoloop.core.model import Frozen
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


class _Event(Frozen):
    at: float


class BenchStarted(_Event):
    """The first line: what the bench is."""

    kind: Literal["bench_started"] = "bench_started"
    version: int = VERSION
    bench_id: str
    suite: str
    """Its name."""
    suite_path: str
    suite_version: str
    """The suite's own version, or a digest of its tasks."""
    plan: BenchPlan


class BenchResumed(_Event):
    """A process took the bench up, the first one included."""

    kind: Literal["bench_resumed"] = "bench_resumed"
    workers: int


class TrialEnded(_Event):
    """A trial came to something; an error is tried again."""

    kind: Literal["trial_ended"] = "trial_ended"
    key: TrialKey
    result: TrialResult
    reused: bool = False
    """Whether it was taken from stored results: then it cost nothing now."""


class Regraded(_Event):
    """A kept workspace was verified once more, and this is what counts from now on."""

    kind: Literal["regraded"] = "regraded"
    key: TrialKey
    result: TrialResult


class WorkerReplaced(_Event):
    """A worker was stuck or died; its trial is tried again."""

    kind: Literal["worker_replaced"] = "worker_replaced"
    worker: int
    key: TrialKey | None = None
    why: str


class BenchWaited(_Event):
    """The bench paused for something outside it."""

    kind: Literal["bench_waited"] = "bench_waited"
    why: str
    seconds: float


class GroupCut(_Event):
    """The hours of a group are used up: no further trial of it is begun until a resume gives it more."""

    kind: Literal["group_cut"] = "group_cut"
    group: str
    hours: float
    """Those that it had."""


class BenchStopped(_Event):
    """The process ended its work; a resume goes on from here."""

    kind: Literal["bench_stopped"] = "bench_stopped"
    reason: BenchStop
    detail: str = ""


BenchEvent = (
    BenchStarted | BenchResumed | TrialEnded | Regraded | WorkerReplaced | BenchWaited | GroupCut | BenchStopped
)

_ADAPTER: TypeAdapter[BenchEvent] = TypeAdapter(Annotated[BenchEvent, Field(discriminator="kind")])


def to_line(event: BenchEvent) -> bytes:
    """The event as one line of JSON, newline included."""
    return event.model_dump_json(exclude_none=True).encode() + b"\n"


def from_line(line: bytes) -> BenchEvent:
    """The event on a line; ValueError when it is damaged or of an unknown kind."""
    return _ADAPTER.validate_json(line)


def known_kinds() -> frozenset[str]:
    """The kinds of events that this version reads."""
    return frozenset(kind.model_fields["kind"].default for kind in get_args(BenchEvent))
