"""What one worker is told to do: a trial, with everything that it depends on."""

from typing import Literal

from autoloop.core.model import Frozen
from autoloop.core.suite.task import SuiteTask
from autoloop.core.suite.trial import TrialKey

KEPT_WORKSPACES = ("failed", "all", "none")
Containers = Literal["needed", "always", "never"]
"""Which tasks are tried in their containers: those that need it, all that have one, none."""


class TrialOrder(Frozen):
    """One trial to be taken. Directories are absolute paths on this machine."""

    key: TrialKey
    task: SuiteTask
    suite: str
    """The suite's directory."""
    profile: str
    """A profile's name, an agent and a model, or `oracle` or `nop`."""
    bench_id: str
    """In the environment of every process as `AUTOLOOP_RUN`."""
    directory: str
    """Where the trial's records go; whatever an earlier try left there is removed first."""
    seed: int
    timeout: float
    """Seconds for the agent, all steps together."""
    idle_timeout: float
    """Seconds that the agent may be silent; 0 is none."""
    max_turns: int
    max_cost_usd: float | None = None
    max_tokens: int | None = None
    max_rpm: float | None = None
    """Calls of models a minute, all workers together."""
    paid_calls: int = 1
    """How many calls the pace has been charged for already; none where whoever makes them asks before each."""
    network: str = "on"
    """Of the verifier and the setup: `on` or `off`."""
    regrade: bool = False
    """Whether the workspace that is there is verified once more, and no agent works."""
    containers: Containers = "needed"
    keep: str = "failed"
    """Whose workspaces are kept; one of `KEPT_WORKSPACES`."""

    @property
    def longest(self) -> float:
        """Seconds after which a worker that is still at it is stuck."""
        steps = sum(step.verification.timeout for step in self.task.steps)
        setups = 1 + sum(bool(step.setup) for step in self.task.steps)
        return self.timeout + steps + setups * self.task.setup_timeout + 120.0
