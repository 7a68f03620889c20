"""What a bench was begun with: `config.json`. A resume goes on with it; only what cannot change a result may change."""

from typing import Annotated, Literal

from pydantic import Field

from autoloop.core.model import Frozen
from autoloop.core.suite.order import Containers, TrialOrder
from autoloop.core.suite.plan import ArmPlan
from autoloop.core.suite.task import Seconds, SuiteTask
from autoloop.core.suite.trial import TrialKey

FORMAT = 1
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class BenchConfig(Frozen):
    """`config.json`."""

    format: int = FORMAT
    bench_id: str
    suite: str
    """Path of the suite."""
    arms: Annotated[tuple[ArmPlan, ...], Field(min_length=1)]
    tasks: tuple[str, ...] = ()
    """Those that were asked for; empty for all."""
    groups: tuple[str, ...] = ()
    iterations: Count = 10
    attempts: Count = 1
    timeout: Seconds = 3600.0
    """Seconds for the agent, where a task does not say it itself."""
    max_turns: Count = 300
    """Likewise."""
    idle_timeout: Annotated[float, Field(ge=0)] = 600.0
    """Seconds that an agent may be silent; 0 is none."""
    keep: Literal["failed", "all", "none"] = "failed"
    """Whose workspaces are kept."""
    containers: Containers = "needed"
    seed: int = 0
    workers: Count | None = None
    """None for as many as cores and memory carry."""
    max_hours: Positive | None = None
    """Of work in one process's life."""
    group_hours: dict[str, Positive] = {}
    """Of some groups: how long trials of theirs may run in all, over all processes' lives."""
    max_cost_usd: Positive | None = None
    max_tokens: Count | None = None
    max_rpm: Positive | None = None
    min_free_gb: Annotated[float, Field(ge=0)] = 5.0
    limit: Count | None = None
    """At most so many tasks: those that failed before, then others by the seed."""
    failing: tuple[str, ...] = ()
    """Tasks that did not pass when they were last tried, the worst first."""
    reuse: str | None = None
    """The directory of results that trials share."""
    depends_on: tuple[str, ...] = ()
    """Files beside task and profile that results depend on; absolute paths."""
    versions: dict[str, str] = {}

    def order(self, key: TrialKey, task: SuiteTask, *, suite: str, directory: str, seed: int) -> TrialOrder:
        """What a worker is told of one trial. A task's own limits win."""
        return TrialOrder(
            key=key,
            task=task,
            suite=suite,
            profile=next(arm.profile for arm in self.arms if arm.name == key.arm),
            bench_id=self.bench_id,
            directory=directory,
            seed=seed,
            timeout=task.timeout or self.timeout,
            idle_timeout=self.idle_timeout,
            max_turns=task.max_turns or self.max_turns,
            max_rpm=self.max_rpm,
            network="on" if task.network else "off",
            keep=self.keep,
            containers=self.containers,
        )


RESUMABLE = ("workers", "max_hours", "group_hours", "max_cost_usd", "max_tokens", "max_rpm", "min_free_gb")
"""The fields that a resume may set anew."""
