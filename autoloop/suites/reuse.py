"""Results that benches share: looked up before a trial is handed out, stored once a trial has one.

A result that was looked up is an event like any other, so that a resume and every view find it in the journal. They are
one small file each, in a directory of the user's choice, where anybody may have written: what cannot be read is no
result. Scores by task, for choosing tasks, are read here from an earlier bench or from a file.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from autoloop.agents.profiles import Profile, choose, load_settings
from autoloop.config.places import user_config
from autoloop.config.prompts import prompt
from autoloop.core.model import Frozen
from autoloop.core.suite.events import BenchEvent, TrialEnded
from autoloop.core.suite.plan import BUILT_IN
from autoloop.core.suite.reuse import is_shared, result_key, shared
from autoloop.core.suite.state import replay
from autoloop.core.suite.summary import metrics_line
from autoloop.core.suite.tasks import TrialKey, TrialOrder, TrialResult
from autoloop.errors import AutoloopError, NoRoom
from autoloop.journal.files import write_atomically
from autoloop.suites.directory import directory_of
from autoloop.suites.record import read_bench
from autoloop.suites.sources.contents import digest

OrderOf = Callable[[TrialKey], TrialOrder]


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


@dataclass
class Reuse:
    """The shared results, as one bench uses them."""

    results: SharedResults
    root: Path
    environ: Mapping[str, str] = field(repr=False)
    depends_on: tuple[Path, ...] = ()
    _solvers: dict[str, tuple[dict[str, Any], str]] = field(default_factory=dict)

    def find(self, order: TrialOrder) -> TrialResult | None:
        """The result that stands for this trial, if there is one."""
        key = self._key(order)
        found = self.results.find(key) if key else None
        return shared(found) if found is not None and is_shared(found) else None

    def keep(self, event: BenchEvent, order_of: OrderOf) -> None:
        """Store what came of a trial, when it says something about the solver."""
        if not isinstance(event, TrialEnded) or event.reused or not is_shared(event.result):
            return
        order = order_of(event.key)
        if key := self._key(order):
            try:
                self.results.save(key, order.task.id, event.result.model_copy(update={"workspace": ""}))
            except NoRoom:
                return  # what a full disk costs is another trial, and the bench itself stops below min_free_gb

    def over(self, keys: list[TrialKey], order_of: OrderOf, at: float) -> Iterator[TrialEnded]:
        """The trials that need not be taken."""
        for key in keys:
            if (found := self.find(order_of(key))) is not None:
                yield TrialEnded(at=at, key=key, result=found, reused=True)

    def _key(self, order: TrialOrder) -> str | None:
        solver, content = self._solver(order.profile)
        return result_key(order, solver, content)

    def _solver(self, name: str) -> tuple[dict[str, Any], str]:
        """The profile as it is, and a digest of the files that it is made of."""
        if name not in self._solvers:
            self._solvers[name] = self._read(name)
        return self._solvers[name]

    def _read(self, name: str) -> tuple[dict[str, Any], str]:
        files = [self._existing(path) for path in self.depends_on]
        if name in BUILT_IN:
            return {"built_in": name}, digest("", files)
        settings = load_settings(self.root, self.environ, user_config(self.environ))
        profile: Profile = choose(settings.model_copy(update={"overrides": {}}), name)
        files += [self._existing(self.root / path) for path in profile.reads]
        text = prompt(profile.prompt, self.root).text if profile.prompt else ""
        return profile.model_dump(mode="json", exclude={"name", "prices"}), digest(text, files)

    def _existing(self, path: Path) -> Path:
        if not path.exists():
            raise AutoloopError(f"results depend on {path}, which is not there", "Fix --depends-on, or the profile.")
        return path


_LARGEST = 1 << 16


class _Stored(Frozen):
    key: str
    task: str
    result: TrialResult


_WANTED = 'It should be the directory of a bench, or an object such as {"task": 0.5}, alone or as "cases".'


def scores_of(path: Path) -> dict[str, float]:
    """The score of each task, from 0 to 1: of the first arm of a bench, or as a JSON file says."""
    if path.is_dir():
        state = replay(read_bench(directory_of(path).journal))
        found: object = metrics_line(state, state.started.plan.arms[0].name)["cases"]
    else:
        found = _read(path)
    if isinstance(found, dict) and isinstance(found.get("cases"), dict):
        found = found["cases"]
    if not isinstance(found, dict) or not all(type(score) in (int, float) for score in found.values()):
        raise AutoloopError(f"{path} holds no scores of tasks", _WANTED)
    return found


def _read(path: Path) -> object:
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise AutoloopError(f"{path} cannot be read: {error.strerror}", _WANTED) from None
    except ValueError as error:
        raise AutoloopError(f"{path} is no JSON: {error}", _WANTED) from None
