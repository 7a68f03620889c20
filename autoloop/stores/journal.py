"""The journal: one durable event a line, appended and flushed to disk before the next step begins.

A torn last line is what a power cut leaves: the writer removes it and says so. A damaged line in
the middle is a fault of something else, and stops with its line number.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from autoloop.core.events import VERSION, Event, RunStarted, from_line, known_kinds, to_line
from autoloop.core.run import RunState
from autoloop.errors import AutoloopError


class FileJournal:
    """The journal of the run that this process holds."""

    def __init__(self, path: Path, on_append: Callable[[Event, RunState, int], None] | None = None) -> None:
        self.path = path
        self.repaired = _remove_torn_line(path)
        """Bytes of a torn last line that were removed."""
        self._on_append = on_append
        created = not path.exists()
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._length = os.fstat(self._file).st_size
        if created:
            _flush_directory(path.parent)

    def append(self, event: Event, state: RunState) -> None:
        """Make the event durable, then show the views the state that includes it."""
        line = to_line(event)
        try:
            written = os.write(self._file, line)
            if written != len(line):
                raise OSError(28, "no space left on device")
            os.fdatasync(self._file)
        except OSError as error:
            os.ftruncate(self._file, self._length)
            raise AutoloopError(
                f"{self.path} cannot be written: {error.strerror}",
                "Make room or mend the disk, then resume the run.",
            ) from error
        self._length += len(line)
        if self._on_append:
            self._on_append(event, state, self._length)

    def read(self) -> Iterator[Event]:
        """Every event from the beginning, streamed."""
        return read_events(self.path)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)


def read_events(path: Path) -> Iterator[Event]:
    """The events of a journal, streamed; a torn last line is left out."""
    found = False
    with suppress(FileNotFoundError), path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.endswith(b"\n"):
                found = True
                yield _parsed(line, number, path)
    if not found:
        raise AutoloopError(
            f"{path} holds no event, so there is no run", "Restore the file from a backup, or start a new run."
        )


def _parsed(line: bytes, number: int, path: Path) -> Event:
    try:
        event = from_line(line)
    except ValidationError as error:
        raise AutoloopError(*_what_is_wrong(line, number, path, error)) from None
    if isinstance(event, RunStarted) and event.version > VERSION:
        raise AutoloopError(*_newer(path))
    return event


def _what_is_wrong(line: bytes, number: int, path: Path, error: ValidationError) -> tuple[str, str]:
    try:
        found = json.loads(line)
        kind = found.get("kind") if isinstance(found, dict) else None
    except ValueError:
        kind = None
    if isinstance(kind, str) and (kind not in known_kinds() or _only_unknown_fields(error)):
        return _newer(path)
    problem = error.errors()[0]["msg"]
    return (
        f"{path}, line {number}, is damaged: {problem}",
        "Nothing was changed. Restore the file from a backup, or cut it before that line to go on from there.",
    )


def _only_unknown_fields(error: ValidationError) -> bool:
    return all(problem["type"] == "extra_forbidden" for problem in error.errors())


def _newer(path: Path) -> tuple[str, str]:
    return (
        f"{path} was written by a newer autoloop",
        "Update autoloop, or finish the run with the version that began it.",
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


def _flush_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
