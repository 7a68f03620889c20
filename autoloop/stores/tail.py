"""Reading on in a journal that another process writes: each look reads what was added since the last one, and no more.

It only reads. A line without its end is left for the next look: its writer may be in the middle of it, or dead.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

from autoloop.stores.journal import Family, parsed

E = TypeVar("E")


class Tail(Generic[E]):
    """How far one reader has come in a journal."""

    def __init__(self, path: Path, family: Family[E]) -> None:
        self.path = path
        self._family = family
        self._file: tuple[int, int] | None = None
        """Which file was read, by device and inode."""
        self._offset = 0
        self._line = 0

    def is_replaced(self) -> bool:
        """Whether what was read is no longer what stands there; reading begins anew then."""
        with suppress(FileNotFoundError):
            found = os.stat(self.path)
            if self._file is not None and (self._file != (found.st_dev, found.st_ino) or found.st_size < self._offset):
                self._file, self._offset, self._line = None, 0, 0
                return True
        return False

    def new(self) -> Iterator[E]:
        """The events that were added, streamed; AutoloopError at one that cannot be read."""
        with suppress(FileNotFoundError), self.path.open("rb") as lines:
            found = os.fstat(lines.fileno())
            self._file = (found.st_dev, found.st_ino)
            lines.seek(self._offset)
            for line in lines:
                if not line.endswith(b"\n"):
                    return
                event = parsed(line, self._line + 1, self.path, self._family)
                self._offset += len(line)
                self._line += 1
                yield event
