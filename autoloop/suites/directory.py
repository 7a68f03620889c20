"""The directory of a bench: its journal, its views, and the records of its trials.

`status` loads it, so it loads no models.

The journal of a bench.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoloop.errors import AutoloopError
from autoloop.journal.files import write_atomically
from autoloop.journal.locks import locked

if TYPE_CHECKING:
    from autoloop.core.suite.plan import BenchPlan
    from autoloop.core.suite.tasks import TrialKey


JOURNAL = "journal.jsonl"
EPISODES = "episodes.jsonl"
"""The file of episodes, beside the directories of all benches."""


@dataclass(frozen=True)
class BenchDirectory:
    """Where everything of one bench lies."""

    path: Path

    @property
    def journal(self) -> Path:
        """The journal, from which everything else can be made again."""
        return self.path / JOURNAL

    @property
    def config(self) -> Path:
        """The configuration that the bench was begun with; a resume uses it."""
        return self.path / "config.json"

    @property
    def state(self) -> Path:
        """The status of the bench for other processes: counts, and what each worker does now."""
        return self.path / "state.json"

    @property
    def lock(self) -> Path:
        """The lock that the process of the bench holds; it dies with that process."""
        return self.path / "bench.lock"

    @property
    def shared_episodes(self) -> Path:
        """The episodes of all benches that lie beside this one, one a line."""
        return self.path.parent / EPISODES

    @property
    def exists(self) -> bool:
        """Whether a bench was begun here."""
        return self.journal.is_file()

    @property
    def has_begun(self) -> bool:
        """Whether there is anything to resume; a kill may have come before the first event was on the disk."""
        with self.journal.open("rb") as file:
            return file.readline().endswith(b"\n") or (self.path / "runs").exists()

    def iteration(self, number: int) -> Path:
        """The directory of one iteration."""
        return self.path / "iterations" / f"{number:03d}"

    def trial(self, key: TrialKey, plan: BenchPlan) -> Path:
        """The directory of one trial's records."""
        arm = (self.iteration(key.iteration) / key.arm) if plan.several_arms else self.iteration(key.iteration)
        task = arm / key.task
        return task if key.attempt == 1 else task / f"attempt-{key.attempt}"

    def record(self, key: TrialKey, plan: BenchPlan) -> Path:
        """The file of one trial's record."""
        return self.path / "runs" / f"{run_id(key, plan)}.json"

    def read_config(self) -> dict[str, Any]:
        """The content of `config.json`, not yet checked."""
        try:
            found = json.loads(self.config.read_text())
        except FileNotFoundError:
            said = f"{self.config} is missing, so this is no directory of a bench"
            raise AutoloopError(said, "Name the directory that `autoloop bench` wrote, or its state.json.") from None
        except ValueError as error:
            raise AutoloopError(f"{self.config} is damaged: {error}", "Restore it, or begin a new bench.") from None
        if not isinstance(found, dict):
            raise AutoloopError(f"{self.config} is damaged: no table", "Restore it, or begin a new bench.")
        return found

    def write_config(self, config: dict[str, Any]) -> None:
        """Save `config.json` when a bench is created."""
        write_atomically(self.config, json.dumps(config, indent=2) + "\n", durable=True)

    def held(self) -> AbstractContextManager[None]:
        """Hold the bench; the lock dies with this process."""
        said = f"the bench in {self.path} is held by another process"
        return locked(self.lock, AutoloopError(said, "Watch it with `autoloop hud`, or wait for it."))


def run_id(key: TrialKey, plan: BenchPlan) -> str:
    """The name of a trial's record: attempts are counted over the iterations."""
    task = next((task for task in plan.tasks if task.id == key.task), None)
    attempts = (task.repetitions if task and task.repetitions else None) or plan.attempts
    number = (key.iteration - 1) * attempts + key.attempt
    arm = f"{key.arm}-" if plan.several_arms else ""
    return f"{arm}{key.task}-run-{number:04d}"


def directory_of(path: Path) -> BenchDirectory:
    """The bench that a person means by a directory, or by a file in it such as `state.json`."""
    place = path if path.is_dir() else path.parent
    directory = BenchDirectory(place.resolve())
    if not directory.exists:
        said = f"there is no bench in {place}"
        raise AutoloopError(said, "Name the directory that `autoloop bench` wrote, or its state.json.")
    return directory
