"""The run's directory: `.autoloop/runs/<slug>/<run-id>/`. Knows no models until a record is read: `status` is quick."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autoloop.errors import AutoloopError, refused

if TYPE_CHECKING:
    from autoloop.core.results import Row
    from autoloop.stores.record import RunRecord


FORMAT = 1
"""Of `run.json`."""
_HALF_WRITTEN = re.compile(r"\.[\w.-]+\.\d+")
_WRITING_SECONDS = 60.0
"""That writing a small file takes at the very most."""
_LONGEST_PATCH = 200_000
"""Characters of a diff that are saved."""


@dataclass(frozen=True)
class RunDirectory:
    """Where everything of one run lies."""

    path: Path

    @property
    def run_id(self) -> str:
        """The directory's name."""
        return self.path.name

    @property
    def slug(self) -> str:
        """The program's name."""
        return self.path.parent.name

    @property
    def journal(self) -> Path:
        """The truth."""
        return self.path / "journal.jsonl"

    @property
    def state(self) -> Path:
        """A view: the status, for other processes."""
        return self.path / "state.json"

    @property
    def lock(self) -> Path:
        """Held by the process that carries the run on; the lock dies with it."""
        return self.path / "run.lock"

    @property
    def prompt(self) -> Path:
        """The template of the packets, as it was when the run began."""
        return self.path / "prompt.md"

    @property
    def sealed(self) -> Path:
        """The program's files as they were when the run began."""
        return self.path / "sealed"

    def experiment(self, number: int) -> Path:
        """The directory of one experiment."""
        return self.path / "experiments" / f"{number:04d}"

    def read_record(self) -> RunRecord:
        """`run.json`; AutoloopError when it is missing, damaged or from a newer version."""
        from autoloop.stores.record import RunRecord

        path = self.path / "run.json"
        self.refuse_newer()
        try:
            return RunRecord.model_validate_json(path.read_text())
        except FileNotFoundError:
            raise AutoloopError(f"{path} is missing, so this is not a run", "See `autoloop status`.") from None
        except ValueError as error:
            reason = str(error).splitlines()[0]
            raise AutoloopError(f"{path} is damaged: {reason}", "Restore it, or start a new run.") from None

    def refuse_newer(self) -> None:
        """Stop at a directory that a newer version wrote. What is damaged is said by whoever needs it."""
        with suppress(OSError, ValueError):
            found = json.loads((self.path / "run.json").read_text())
            written = found.get("format", 0) if isinstance(found, dict) else 0
            if isinstance(written, int) and written > FORMAT:
                raise AutoloopError(
                    f"{self.path} was written by a newer autoloop (format {written}, this one reads {FORMAT})",
                    "Update autoloop, or finish the run with the version that began it.",
                )

    def write_record(self, record: RunRecord) -> None:
        """Save `run.json`, once."""
        write_atomically(self.path / "run.json", record.model_dump_json(indent=2) + "\n", durable=True)


class ExperimentFiles:
    """The files of experiments that people and later packets read; none of them is ever needed."""

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory

    def packet(self, experiment: int, text: str) -> Path:
        """Save the context packet; its path."""
        return self._write(experiment, "packet.md", text)

    def transcript(self, experiment: int) -> Path:
        """Where the session is recorded."""
        path = self._directory.experiment(experiment) / "session.jsonl"
        with _explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def patch(self, experiment: int, text: str) -> None:
        """Save the candidate's diff, as much of it as people and agents are shown."""
        if len(text) > _LONGEST_PATCH:
            text = text[: text.rfind("\n", 0, _LONGEST_PATCH) + 1] + "[the rest of the patch is left out]\n"
        if text:
            self._write(experiment, "diff.patch", text)

    def patches(self, rows: Iterable[Row]) -> list[tuple[Row, str]]:
        """The saved diffs of these experiments, those that are there."""
        return list(self._patches(rows))

    def _patches(self, rows: Iterable[Row]) -> Iterator[tuple[Row, str]]:
        for row in rows:
            with suppress(FileNotFoundError):
                path = self._directory.experiment(row.experiment) / "diff.patch"
                yield row, path.read_text(errors="replace")

    def _write(self, experiment: int, name: str, text: str) -> Path:
        path = self._directory.experiment(experiment) / name
        with _explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, errors="replace")
        return path


def write_atomically(path: Path, text: str, *, durable: bool = False) -> None:
    """Replace a file in one step, so that a reader finds the old text or the new; `durable`: also after a power cut."""
    beside = f"{path.parent}/.{path.name}.{os.getpid()}"
    with _explained(path):
        try:
            with open(beside, "w", errors="replace") as file:
                file.write(text)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(beside, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(beside)
            raise


def half_written(folder: Path) -> list[Path]:
    """What processes that were killed while they replaced a file have left in a folder."""
    before, found = time.time() - _WRITING_SECONDS, []
    for path in folder.iterdir():
        if _HALF_WRITTEN.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            with suppress(FileNotFoundError):
                found += [path] if path.stat().st_mtime < before else []
    return found


def append_text(path: Path, text: str) -> None:
    """Add to the end of a file: all of it or, where that is possible, nothing."""
    with _explained(path), path.open("ab", buffering=0) as file:
        length = file.seek(0, os.SEEK_END)
        rest = text.encode(errors="replace")
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except BaseException:
            with suppress(OSError):
                file.truncate(length)
            raise


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what the system refuses into something a person can act on."""
    try:
        yield
    except OSError as error:
        hint = "Make room or mend the disk, then resume the run."
        raise refused(error, f"{path} cannot be written: {error.strerror}", hint) from error
