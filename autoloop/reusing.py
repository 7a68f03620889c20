"""Results that benches share: looked up before a trial is handed out, stored once one came to something.

A result that was looked up is an event like any other, so that a resume and every view find it in the journal.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autoloop.core.suite.events import BenchEvent, TrialEnded
from autoloop.core.suite.order import TrialOrder
from autoloop.core.suite.plan import BUILT_IN
from autoloop.core.suite.reuse import is_shared, result_key, shared
from autoloop.core.suite.trial import TrialKey, TrialResult
from autoloop.errors import AutoloopError, NoRoom
from autoloop.profiles import Profile, choose, load_settings, user_config
from autoloop.prompts import prompt
from autoloop.sources.contents import digest
from autoloop.stores.shared_results import SharedResults

OrderOf = Callable[[TrialKey], TrialOrder]


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
            raise AutoloopError(f"results depend on {path}, which is not there", "Mend --depends-on, or the profile.")
        return path
