"""The plan of a bench: which trials there are, and in which order they are taken.

Arms take turns task by task, in the order of a coin, so that what slows or stops a service meets all of them. A share
of the tasks is drawn by the bench's seed for each iteration, so that a resume draws the same, and never none.
"""

import hashlib
import math
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from autoloop.core.model import Frozen
from autoloop.core.seeds import seed_for
from autoloop.core.suite.trial import TrialKey

Count = Annotated[int, Field(ge=1)]
BUILT_IN = ("oracle", "nop")
"""Profiles that every bench knows, and that call no model."""


class ArmPlan(Frozen):
    """One profile in a bench."""

    name: str
    profile: str
    """A profile's name, or an agent and a model such as `ollama:qwen3-coder`."""
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Which part of the tasks it tries in each iteration."""


class TaskPlan(Frozen):
    """One task as far as the plan needs it."""

    id: str
    group: str = ""
    repetitions: Count | None = None
    unsupported: str = ""
    digest: str = ""


class BenchPlan(Frozen):
    """Everything that decides which trials there are."""

    arms: Annotated[tuple[ArmPlan, ...], Field(min_length=1)]
    tasks: Annotated[tuple[TaskPlan, ...], Field(min_length=1)]
    """Those that were chosen, which are what a rate is a part of."""
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
