"""The plan of a bench: which trials there are, in which order they are taken, and the configuration that it is made of.

Arms take turns task by task, in the order of a coin, so that what slows or stops a service meets all of them. A share
of the tasks is drawn by the bench's seed for each iteration, so that a resume draws the same, and never none. A resume
uses the bench's `config.json`; only fields that cannot change a result may change.
"""

import hashlib
import math
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from autoloop.core.model import Frozen
from autoloop.core.seeds import seed_for
from autoloop.core.suite.tasks import Containers, Seconds, SuiteTask, TrialKey, TrialOrder

Count = Annotated[int, Field(ge=1)]
ORACLE, NOP = "oracle", "nop"
BUILT_IN = (ORACLE, NOP)
"""Profiles that every bench knows, and that call no model."""


class ArmPlan(Frozen):
    """An arm of a bench: a profile, and which share of the tasks it tries."""

    name: str
    profile: str
    """A profile's name, or an agent and a model such as `ollama:qwen3-coder`."""
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Which part of the tasks it tries in each iteration."""


class TaskPlan(Frozen):
    """The facts of a task that the plan of a bench needs."""

    id: str
    group: str = ""
    repetitions: Count | None = None
    unsupported: str = ""
    digest: str = ""


class BenchPlan(Frozen):
    """The plan of a bench: arms, tasks, iterations and attempts, which decide the trials."""

    arms: Annotated[tuple[ArmPlan, ...], Field(min_length=1)]
    tasks: Annotated[tuple[TaskPlan, ...], Field(min_length=1)]
    """The tasks that were chosen; a rate is a part of these."""
    iterations: Count = 1
    attempts: Count = 1
    """How often each task is tried in one iteration, where the task does not say it itself."""
    seed: int = 0

    def trials(self) -> Iterator[TrialKey]:
        """Every trial, in the order in which they are taken."""
        for iteration in range(1, self.iterations + 1):
            yield from self.of_iteration(iteration)

    def of_iteration(self, iteration: int) -> Iterator[TrialKey]:
        """The trials of one iteration."""
        drawn = {arm.name: self.drawn(arm, iteration) for arm in self.arms}
        for number, task in enumerate(self.tasks):
            for attempt in range(1, (task.repetitions or self.attempts) + 1):
                turn = seed_for(self.seed, iteration, number * 1000 + attempt) % len(self.arms)
                for arm in (*self.arms[turn:], *self.arms[:turn]):
                    if task.id in drawn[arm.name]:
                        yield TrialKey(arm=arm.name, iteration=iteration, task=task.id, attempt=attempt)

    def drawn(self, arm: ArmPlan, iteration: int) -> frozenset[str]:
        """The tasks that an arm tries in an iteration."""
        ids = [task.id for task in self.tasks]
        if arm.share >= 1:
            return frozenset(ids)
        ids.sort(key=lambda task: hashlib.sha256(f"{self.seed}/{iteration}/{task}".encode()).digest())
        return frozenset(ids[: max(1, math.ceil(arm.share * len(ids)))])

    def seed_of(self, key: TrialKey) -> int:
        """The seed of a trial, the same for all arms."""
        digest = hashlib.sha256(f"{self.seed}/{key.iteration}/{key.task}/{key.attempt}".encode()).digest()
        return int.from_bytes(digest[:4], "big") >> 1

    @property
    def several_arms(self) -> bool:
        """Whether there is something to compare within the bench."""
        return len(self.arms) > 1


FORMAT = 1
Positive = Annotated[float, Field(gt=0)]


class BenchConfig(Frozen):
    """The configuration of a bench, stored as its `config.json`."""

    format: int = FORMAT
    bench_id: str
    suite: str
    """Path of the suite."""
    arms: Annotated[tuple[ArmPlan, ...], Field(min_length=1)]
    tasks: tuple[str, ...] = ()
    """The tasks that were asked for; empty for all."""
    groups: tuple[str, ...] = ()
    iterations: Count = 10
    attempts: Count = 1
    timeout: Seconds = 3600.0
    """Seconds for the agent, where a task does not say it itself."""
    max_turns: Count = 300
    """Turns for the agent, where a task does not say it itself."""
    idle_timeout: Annotated[float, Field(ge=0)] = 600.0
    """Seconds that an agent may be silent; 0 is none."""
    keep: Literal["failed", "all", "none"] = "failed"
    """Whose workspaces are kept."""
    containers: Containers = "needed"
    seed: int = 0
    workers: Count | None = None
    """None for as many as cores and memory carry."""
    max_hours: Positive | None = None
    """Hours of work in one process's life."""
    group_hours: dict[str, Positive] = {}
    """Hours of some groups: how long their trials may run in all, over all processes' lives."""
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
        """The order that a worker is given for one trial. A task's own limits win."""
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
