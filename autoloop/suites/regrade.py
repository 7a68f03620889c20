"""Verifying kept workspaces once more, after a verifier was fixed: no agent works, and what comes out counts."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from autoloop.core.suite import events
from autoloop.core.suite.events import BenchEvent
from autoloop.core.suite.grading import OF_THE_VERIFIER
from autoloop.core.suite.tasks import Outcome, TrialKey, TrialResult
from autoloop.suites.loop import SuiteLoop


@dataclass
class RegradeLoop(SuiteLoop):
    """The loop of a bench that regrades every trial that has a workspace."""

    left: dict[TrialKey, None] = field(default_factory=dict)

    def waiting(self) -> Iterable[TrialKey]:
        """The trials that this process has not regraded."""
        return iter(self.left)

    def came_to(self, key: TrialKey, result: TrialResult) -> BenchEvent:
        """The event of the new grade on what the agent did; where there is none, the old one stands."""
        self.left.pop(key, None)
        before = self.state.results[key]
        if result.outcome is Outcome.ERROR:
            detail = f"could not be regraded: {result.detail}"
            return events.Regraded(at=self.machine.now(), key=key, result=before.model_copy(update={"detail": detail}))
        # The same grade as before is no news, and what was known of it stands.
        news = _GRADE if result.outcome is not before.outcome else ("reward", "rewards", "verifier_seconds")
        graded = {name: getattr(result, name) for name in news}
        return events.Regraded(at=self.machine.now(), key=key, result=before.model_copy(update=graded))


_GRADE = ("outcome", "reward", "rewards", "failure_mode", "detail", "verifier_seconds")


def regradable(results: Iterable[tuple[TrialKey, TrialResult]]) -> dict[TrialKey, None]:
    """The trials whose workspace was kept, and whose agent came to its end."""
    return {key: None for key, result in results if result.workspace and _has_ended(result)}


def _has_ended(result: TrialResult) -> bool:
    return result.outcome in (Outcome.PASS, Outcome.FAIL) or result.failure_mode in OF_THE_VERIFIER
