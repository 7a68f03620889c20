"""The material of a bench's report: what `read` has gathered, and what follows from it by rule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from autoloop.core.suite.advice import Advice, advise
from autoloop.core.suite.contrast import Contrast, contrast
from autoloop.core.suite.episode import EpisodeRecord
from autoloop.core.suite.events import BenchStarted
from autoloop.core.suite.failures import FailureMode, TaskRecord, failure_modes, task_records
from autoloop.core.suite.nights import Alerts, TrendSeries, alerts, over_iterations, over_nights, results_of
from autoloop.core.suite.plan import BenchPlan
from autoloop.core.suite.state import BenchState
from autoloop.core.suite.summary import BenchSummary, summarise
from autoloop.core.suite.tasks import Outcome, TrialKey, TrialResult
from autoloop.report.excerpts import Excerpt


@dataclass(frozen=True)
class TrialTraces:
    """The traces of a trial that did not pass: the ends of its output and of its trajectory."""

    output: Excerpt = Excerpt()
    """The end of what the agent said and did."""
    verification: Excerpt = Excerpt()
    error: Excerpt = Excerpt()
    steps: Excerpt = Excerpt()
    """The last steps of its trajectory, one a line."""


NO_TRACES = TrialTraces()


@dataclass(frozen=True)
class SuiteMaterial:
    """A bench with everything that its report shows."""

    state: BenchState
    alive: bool
    made_at: float
    episodes: Sequence[EpisodeRecord] = ()
    """The episodes of all benches beside this one, this one included."""
    kept: Mapping[TrialKey, TrialTraces] = field(default_factory=dict)
    """Empty where traces are not wanted."""
    files: str | None = None
    """Where a page finds the files of the bench, to link them; None where it cannot."""

    @property
    def started(self) -> BenchStarted:
        """The first event of the bench: its suite and its configuration."""
        return self.state.started

    @property
    def plan(self) -> BenchPlan:
        """The planned trials, by iteration, arm and task."""
        return self.started.plan

    @cached_property
    def summary(self) -> BenchSummary:
        """The summary of the bench so far."""
        return summarise(self.state)

    @cached_property
    def results(self) -> list[tuple[TrialKey, TrialResult]]:
        """Every trial that has a result: iteration by iteration, in the order of the suite."""
        order = {task.id: number for number, task in enumerate(self.plan.tasks)}
        arms = {arm.name: number for number, arm in enumerate(self.plan.arms)}
        return sorted(
            self.state.results.items(),
            key=lambda item: (item[0].iteration, order.get(item[0].task, 0), item[0].attempt, arms.get(item[0].arm, 0)),
        )

    @cached_property
    def contrasts(self) -> list[Contrast]:
        """The contrast of each other arm with the first one."""
        first, *others = self.plan.arms
        base = self.state.of(arm=first.name)
        return [contrast(base, self.state.of(arm=arm.name), names=(first.name, arm.name)) for arm in others]

    @cached_property
    def modes(self) -> dict[str, tuple[FailureMode, ...]]:
        """The failure modes of each arm, the commonest first."""
        return {arm.name: failure_modes(self.state.of(arm=arm.name)) for arm in self.plan.arms}

    @cached_property
    def records(self) -> dict[str, dict[str, TaskRecord]]:
        """The record of each task, by arm."""
        return {
            arm.name: {record.task: record for record in task_records(self.state.of(arm=arm.name))}
            for arm in self.plan.arms
        }

    @cached_property
    def iterations(self) -> list[TrendSeries]:
        """The pass rate of each arm, iteration by iteration; only where there are several."""
        found = [over_iterations(self.state, arm.name) for arm in self.plan.arms]
        return [series for series in found if len(series.points) > 1]

    @cached_property
    def nights(self) -> list[TrendSeries]:
        """The pass rate of each profile of this bench, night by night; only where there are several."""
        return [series for series in over_nights(self._comparable) if len(series.points) > 1]

    @property
    def _comparable(self) -> list[EpisodeRecord]:
        profiles = {arm.profile for arm in self.plan.arms}
        return [
            one
            for one in self.episodes
            if one.suite == self.started.suite
            and one.suiteVersion == self.started.suite_version
            and one.model in profiles
            and one.startedAt.timestamp() <= self.state.last_at
        ]

    @cached_property
    def alerts(self) -> list[tuple[str, Alerts]]:
        """What is worse than in the nights before, by arm; nothing where all is well."""
        found = []
        for arm in self.plan.arms:
            before: dict[str, dict[TrialKey, TrialResult]] = {}
            for one in sorted(self._comparable, key=lambda one: one.startedAt):
                earlier = one.startedAt.timestamp() < self.started.at and one.runId != self.started.bench_id
                if one.model == arm.profile and earlier:
                    before.setdefault(one.runId, {}).update(results_of(one))
            if before:
                found.append((arm.name, alerts(self.state.of(arm=arm.name), list(before.values()))))
        return [(arm, said) for arm, said in found if said.suite or said.tasks]

    @cached_property
    def advice(self) -> tuple[Advice, ...]:
        """The recommendations that follow from the results by rule."""
        return advise(self.state)

    def traces(self, key: TrialKey) -> TrialTraces:
        """The traces of a trial; empty ones where none were kept."""
        return self.kept.get(key, NO_TRACES)


def worth_tracing(state: BenchState, most: int) -> list[TrialKey]:
    """The trials whose traces a report shows: an example of each way to fail first, and then the latest."""
    failed = [key for key, one in state.results.items() if one.outcome not in (Outcome.PASS, Outcome.UNSUPPORTED)]
    examples = [key for mode in failure_modes(state.results) for key in mode.examples]
    latest = sorted(failed, key=lambda key: -key.iteration)
    return list(dict.fromkeys([*examples, *latest]))[:most]
