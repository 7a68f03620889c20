"""An agent and a sampler that look after their trees, which may vanish or be tampered with at any time.

What became of a sample is said with it. Whether it counts is not decided here.
"""

from collections.abc import Callable
from dataclasses import dataclass

from autoloop.core.run.measurement import MeasurementFailure, Sample
from autoloop.core.run.reasons import Reason
from autoloop.core.session import Session, SessionFailure
from autoloop.measure.sampler import Slot, SlotSampler
from autoloop.measure.scripts import remove
from autoloop.ports import Agent, OnProgress, Request, Task


@dataclass(frozen=True)
class GuardedAgent:
    """An agent whose session fails when its tree is gone before it can begin."""

    agent: Agent

    def run(self, task: Task, on_progress: OnProgress) -> Session:
        """Run the session, if its tree is there."""
        try:
            return self.agent.run(task, on_progress)
        except FileNotFoundError:
            if task.tree.is_dir():
                raise
            return Session(seconds=0.0, failure=SessionFailure.EXITED, detail="its tree vanished")


@dataclass(frozen=True)
class GuardedSampler:
    """Takes samples, in slots that are made anew when they cannot be trusted any more."""

    sampler: SlotSampler
    intact: Callable[[str, str | None], bool]
    """Whether a slot's tree is still there; with a commit: with all of its files."""

    def sample(self, request: Request, on_progress: OnProgress) -> Sample | MeasurementFailure:
        """Take a sample; of a tree that vanished meanwhile none counts."""
        slot = self.sampler.slot_for(request)
        if not self.intact(slot.name, None):
            _distrust(slot)
        try:
            result = self.sampler.sample(request, on_progress)
        except FileNotFoundError:
            if self.intact(slot.name, None):
                raise
            result = _vanished(0.0)
        if not self.intact(slot.name, request.commit if isinstance(result, MeasurementFailure) else None):
            _distrust(slot)
            result = _vanished(result.seconds) if isinstance(result, Sample) else result
            return result.model_copy(update={"intact": False})
        if isinstance(result, MeasurementFailure) and result.reason is Reason.LOCK_VIOLATION:
            # What was changed may lie in the other tree as well.
            _distrust(*self.sampler.slots)
        return result

    def tidy(self) -> None:
        """Remove what scripts have left in scratch and in the trees."""
        remove(self.sampler.scratch)
        for slot in self.sampler.slots:
            if slot.commit:
                self.sampler.trees.place(slot.name, slot.commit)
                self.sampler.scripts.empty_home(slot.name)
            _distrust(slot)

    def close(self) -> None:
        """Stop every process that was started for the run."""
        self.sampler.close()


def _distrust(*slots: Slot) -> None:
    for slot in slots:
        slot.commit, slot.ready = "", False


def _vanished(seconds: float) -> MeasurementFailure:
    return MeasurementFailure(reason=Reason.MEASUREMENT_FAILED, detail="the tree vanished", seconds=seconds)
