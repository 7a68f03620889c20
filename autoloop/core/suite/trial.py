"""Trials: one profile's attempt at one task, and what came of it."""

from enum import StrEnum

from autoloop.core.model import Frozen


class Outcome(StrEnum):
    """What a trial came to. Only the first three say something about the agent."""

    PASS = "pass"
    FAIL = "fail"
    TIMEOUT = "timeout"
    """The agent's time was over: a valid reward of 0."""
    ERROR = "error"
    """Something around the trial failed: no measurement, tried again, never counted as a failure."""
    UNSUPPORTED = "unsupported"
    """The task needs what is not here: never counted."""

    @property
    def counts(self) -> bool:
        """Whether it belongs into a pass rate."""
        return self in (Outcome.PASS, Outcome.FAIL, Outcome.TIMEOUT)


class TrialKey(Frozen):
    """Which trial: it is what a resume looks for."""

    arm: str
    iteration: int
    """From 1."""
    task: str
    attempt: int = 1
    """From 1, within the iteration."""

    def __hash__(self) -> int:
        return hash((self.arm, self.iteration, self.task, self.attempt))


class TrialResult(Frozen):
    """What came of one trial. What is unknown is None, never 0."""

    outcome: Outcome
    reward: float | None = None
    """From 0 to 1 where the trial counts; None for an error and for what is unsupported."""
    rewards: dict[str, float] = {}
    """What the verifier says beside it: by step, or by a name of its own."""
    failure_mode: str = ""
    """One word for why it did not pass, such as `wrong_result`, `no_change`, `turns`, `verifier_timeout`."""
    detail: str = ""
    """One line for people."""
    started: float
    """Unix seconds."""
    seconds: float
    """From staging to verdict."""
    agent_seconds: float | None = None
    verifier_seconds: float | None = None
    turns: int | None = None
    actions: int | None = None
    """Tool calls."""
    tokens: int | None = None
    cost_usd: float | None = None
    model: str = ""
    sandbox: str = ""
    """The tier that was in force."""
    retry_at: float | None = None
    """Unix seconds when a limit of the agent's service is said to be over."""
    workspace: str = ""
    """Where the workspace was kept, from the bench's directory; empty when it was removed."""

    @property
    def passed(self) -> bool:
        """Whether the task was done."""
        return self.outcome is Outcome.PASS
