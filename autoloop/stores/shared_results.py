"""Results of trials that benches share: one small file each, in a directory of the user's choice.

What lies there may have been written by anybody who can write there. What cannot be read is no result.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from autoloop.core.model import Frozen
from autoloop.core.suite.trial import TrialResult
from autoloop.errors import AutoloopError
from autoloop.stores.directory import write_atomically

_LARGEST = 1 << 16


class _Stored(Frozen):
    key: str
    task: str
    result: TrialResult


@dataclass(frozen=True)
class SharedResults:
    """The directory, which is made when there is something to store."""

    path: Path

    def find(self, key: str) -> TrialResult | None:
        """The result of that key, if there is one."""
        try:
            descriptor = os.open(self._file(key), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return None
        try:
            with open(descriptor, "rb") as opened:
                stored = _Stored.model_validate_json(opened.read(_LARGEST))
        except (OSError, ValidationError):
            return None
        return stored.result if stored.key == key else None

    def save(self, key: str, task: str, result: TrialResult) -> None:
        """Store a result; one that is there already stays, so that a seed means the same to all."""
        file = self._file(key)
        if file.exists():
            return
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, _Stored(key=key, task=task, result=result).model_dump_json(exclude_none=True) + "\n")
        except OSError as error:
            said = f"results cannot be stored in {self.path}: {error.strerror}"
            raise AutoloopError(said, "Name another directory with --reuse.") from error

    def _file(self, key: str) -> Path:
        return self.path / key[:2] / f"{key[2:]}.json"
