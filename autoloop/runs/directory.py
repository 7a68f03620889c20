"""The run's directory: `.autoloop/runs/<slug>/<run-id>/`. Knows no models until a record is read: `status` is quick.

The record of how a run was started: `run.json`. Apart, so that a look at a run need not know models.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autoloop.errors import AutoloopError
from autoloop.journal.files import writing
from autoloop.journal.locks import locked

if TYPE_CHECKING:
    from autoloop.core.run.results import Row


FORMAT = 1
"""The format of `run.json` that this version writes."""
_LONGEST_PATCH = 200_000
"""Characters of a diff that are saved."""


@dataclass(frozen=True)
class RunDirectory:
    """Where everything of one run lies."""

    path: Path

    @property
    def run_id(self) -> str:
        """The id of the run, which is the directory's name."""
        return self.path.name

    @property
    def slug(self) -> str:
        """The name of the program, which is the parent directory's."""
        return self.path.parent.name

    @property
    def journal(self) -> Path:
        """The journal, from which everything else can be made again."""
        return self.path / "journal.jsonl"

    @property
    def state(self) -> Path:
        """The status of the run for other processes: a view of the journal."""
        return self.path / "state.json"

    @property
    def lock(self) -> Path:
        """The lock that the process of the run holds; it dies with that process."""
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
        with writing(path):
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
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, errors="replace")
        return path


@contextmanager
def held(directory: RunDirectory) -> Iterator[None]:
    """Hold the run, and its program: two runs of one would disturb each other. The locks die with this process."""
    slug = directory.slug
    with (
        locked(
            directory.lock,
            AutoloopError(
                f"run {directory.run_id} is held by another process", f"See `autoloop status {directory.run_id}`."
            ),
        ),
        locked(
            directory.path.parent / "run.lock",
            AutoloopError(
                f"another run of {slug} is already running",
                f"Watch it with `autoloop status {slug}`, end it with `autoloop stop {slug}`.",
            ),
        ),
    ):
        yield
