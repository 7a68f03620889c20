"""The journal: one durable event a line, appended and flushed to disk before the next step begins.

A torn last line is what a power cut leaves: the writer removes it and says so. A damaged line in
the middle is a fault of something else, and stops with its line number. A file that somebody else
wrote to or replaced is left as it is.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

from pydantic import ValidationError

from autoloop.core.event_lines import E, Family
from autoloop.errors import AutoloopError, refused
from autoloop.ports import OnProgress, Progress

S = TypeVar("S")


class JournalFile(Generic[E, S]):
    """The journal that this process holds, of any family; `S` is the state that its events add up to."""

    def __init__(self, path: Path, family: Family[E], on_append: Callable[[E, S, int], None] | None = None) -> None:
        self.path = path
        self.family = family
        self.repaired = _remove_torn_line(path)
        """Bytes of a torn last line that were removed."""
        self._on_append = on_append
        created = not path.exists()
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._length = os.fstat(self._file).st_size
        self._torn = False
        """Whether part of a line could not be taken back yet."""
        if created:
            _flush_directory(path.parent)

    def say_repaired(self, on_progress: OnProgress) -> None:
        """Say that a torn last line is gone, where there was one."""
        if self.repaired:
            on_progress(Progress("repaired", text=f"{self.repaired} bytes of a torn last line of the journal"))

    def append(self, event: E, state: S) -> None:
        """Make the event durable, then show the views the state that includes it."""
        line = self.family.to_line(event)
        try:
            self._take_back()
            self._refuse_strangers()
            self._torn = True
            _write_all(self._file, line)
            os.fdatasync(self._file)
        except OSError as error:
            with suppress(OSError):
                self._take_back()
            hint = f"Make room or repair the disk, then resume the {self.family.what}."
            raise refused(error, f"{self.path} cannot be written: {error.strerror}", hint) from error
        self._torn = False
        self._length += len(line)
        if self._on_append:
            self._on_append(event, state, self._length)

    def _take_back(self) -> None:
        """Cut off what was written of a line that did not get its end."""
        if self._torn:
            os.ftruncate(self._file, self._length)
            self._torn = False

    def _refuse_strangers(self) -> None:
        """Stop when the file is not as we left it: what another process wrote must not mix with ours."""
        ours = os.fstat(self._file)
        there = os.stat(self.path) if self.path.exists() else None
        if there is None or not os.path.samestat(ours, there) or ours.st_size != self._length:
            how = "changed" if there else "removed"
            raise AutoloopError(
                f"{self.path} was {how} from outside while the {self.family.what} was running",
                f"Nothing was added. Check that no other process works on it, then resume the {self.family.what}.",
            )

    def read(self) -> Iterator[E]:
        """Every event from the beginning, streamed."""
        return read_lines(self.path, self.family)

    def close(self) -> None:
        """Close the file; it is not written to any more."""
        os.close(self._file)


def read_lines(path: Path, family: Family[E]) -> Iterator[E]:
    """The events of a journal, streamed; a torn last line is left out."""
    found = False
    with suppress(FileNotFoundError), path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.endswith(b"\n"):
                found = True
                yield parsed(line, number, path, family)
    if not found:
        said = f"{path} holds no event, so there is no {family.what}"
        raise AutoloopError(said, f"Restore the file from a backup, or start a new {family.what}.")


def parsed(line: bytes, number: int, path: Path, family: Family[E]) -> E:
    """The event on a line of a journal; AutoloopError that says where it is damaged, or that it is newer."""
    try:
        event = family.from_line(line)
    except ValidationError as error:
        raise AutoloopError(*_what_is_wrong(line, number, path, error, family)) from None
    if family.is_newer(event):
        raise AutoloopError(*_newer(path, family))
    return event


def _what_is_wrong(line: bytes, number: int, path: Path, error: ValidationError, family: Family[E]) -> tuple[str, str]:
    try:
        found = json.loads(line)
        kind = found.get("kind") if isinstance(found, dict) else None
    except ValueError:
        kind = None
    if isinstance(kind, str) and (kind not in family.kinds or _only_unknown_fields(error)):
        return _newer(path, family)
    problem = error.errors()[0]["msg"]
    return (
        f"{path}, line {number}, is damaged: {problem}",
        "Nothing was changed. Restore the file from a backup, or cut it before that line to go on from there.",
    )


def _only_unknown_fields(error: ValidationError) -> bool:
    return all(problem["type"] == "extra_forbidden" for problem in error.errors())


def _newer(path: Path, family: Family[E]) -> tuple[str, str]:
    return (
        f"{path} was written by a newer autoloop",
        f"Update autoloop, or finish the {family.what} with the version that began it.",
    )


def _remove_torn_line(path: Path) -> int:
    if not path.exists():
        return 0
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        end = _end_of_last_line(file, size)
        if end != size:
            file.truncate(end)
            os.fsync(file.fileno())
        return size - end


def _end_of_last_line(file: BinaryIO, size: int) -> int:
    block, position = 1 << 16, size
    while position > 0:
        start = max(0, position - block)
        file.seek(start)
        newline = file.read(position - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        position = start
    return 0


def _write_all(file: int, data: bytes) -> None:
    """Write all bytes, in several calls where the system takes fewer."""
    while data:
        data = data[os.write(file, data) :]


def _flush_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
