"""Events of a journal, and how they stand in its lines: the same for runs and for benches.

Each event is frozen, tagged by `kind` and carries `at` in Unix seconds. Fields are added, never renamed.
"""

from typing import Annotated, Any, Generic, TypeVar, get_args

from pydantic import Field, TypeAdapter

from autoloop.core.model import Frozen


class JournalEvent(Frozen):
    """The base of what a journal holds."""

    at: float
    """Unix seconds."""


E = TypeVar("E", bound=JournalEvent)


class Family(Generic[E]):
    """The events of one kind of journals, given as their union; the first of a journal carries a `version`."""

    def __init__(self, union: Any, *, version: int, what: str) -> None:
        self._adapter: TypeAdapter[E] = TypeAdapter(Annotated[union, Field(discriminator="kind")])
        self._version = version
        self.kinds = frozenset(str(event.model_fields["kind"].default) for event in get_args(union))
        """The kinds of events that this version reads."""
        self.what = what
        """What the journal is of, for messages: a run or a bench."""

    def to_line(self, event: E) -> bytes:
        """The event as one line of JSON, newline included."""
        return event.model_dump_json(exclude_none=True).encode() + b"\n"

    def from_line(self, line: bytes) -> E:
        """The event on a line; ValueError when it is damaged or of an unknown kind."""
        return self._adapter.validate_json(line)

    def is_newer(self, event: E) -> bool:
        """Whether an event says that a later version wrote the journal."""
        return bool(getattr(event, "version", 0) > self._version)
