"""Tasks of a suite, trials of them, and the order that a worker is given for one.

A task is an instruction, what an agent finds, and how its work is verified; every format is read into these. A path of
the suite is relative to the suite's directory. A place in the workspace is absolute, or relative to the workdir.
"""

import json
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from autoloop.core.model import Frozen

Seconds = Annotated[float, Field(gt=0)]
Reward = Literal["file", "exit_code", "expectations"]
"""Where the reward is read: from the files that the verifier leaves below `/logs/verifier`; from the command's exit
code; or as the share of the expectations that hold."""


class Placed(Frozen):
    """A file or directory of the suite that is copied into the workspace."""

    source: str
    target: str
    """A directory's content lands in it, a file takes its name."""
    script: str = ""
    """A file in it, by its path from there, that everybody may run."""
    again: bool = False
    """Of a file that judges: the agent found it as well, and it is only put back."""


class Expectation(Frozen):
    """One thing that an open task asks for; each counts the same."""

    path: str
    """A glob in the workspace; at least one file must match."""
    contains: str = ""
    """A text that one of them must hold."""
    matches: str = ""
    """A regular expression that must be found in one of them."""

    @property
    def sentence(self) -> str:
        """The expectation as people read it: `README.md with "Usage"`."""
        holds = f" with {json.dumps(self.contains, ensure_ascii=False)}" if self.contains else ""
        return f"{self.path}{holds}{f' matching {self.matches}' if self.matches else ''}"


class TaskVerification(Frozen):
    """How the work on a task, or on one step of it, is judged."""

    reward: Reward
    files: tuple[Placed, ...] = ()
    """Absent while the agent works; what it left in their place is replaced."""
    command: str = ""
    """A line for bash, run in the workdir."""
    expectations: tuple[Expectation, ...] = ()
    env: dict[str, str] = {}
    timeout: Seconds = 600.0
    user: str = ""


class Step(Frozen):
    """A step of a task: what is asked, and how it is judged. Most tasks have one."""

    name: str = ""
    instruction: str
    files: tuple[Placed, ...] = ()
    """What comes into the workspace before its agent begins, over what the steps before it left."""
    setup: tuple[str, ...] = ()
    """Lines for bash, run in the workdir once its files are there."""
    verification: TaskVerification
    min_reward: float | dict[str, float] | None = None
    """With less, the steps behind it are not begun: of `reward`, or of several rewards by name."""


class Solution(Frozen):
    """The reference solution, for the oracle. One command for each step."""

    commands: tuple[str, ...]
    files: tuple[Placed, ...] = ()
    by_step: bool = False
    """Whether each command finds one of the files, that of its number; else all of them."""
    env: dict[str, str] = {}

    def files_of(self, number: int) -> tuple[Placed, ...]:
        """The files that the command of a step finds; steps count from 1."""
        return self.files[number - 1 : number] if self.by_step else self.files


class Healthcheck(Frozen):
    """A command that must succeed before anything is done in a container."""

    command: str
    """A line for sh."""
    interval: Seconds = 5.0
    timeout: Seconds = 30.0
    """Seconds for one try."""
    start_period: Annotated[float, Field(ge=0)] = 0.0
    """Seconds from the container's start in which a failure does not count."""
    start_interval: Seconds = 5.0
    """Seconds between two tries in that time."""
    retries: Annotated[int, Field(ge=1)] = 3


class Container(Frozen):
    """The container that a task has where there is an engine for it."""

    image: str = ""
    """An image by name; empty when it is built."""
    context: str = ""
    """The directory of the suite that it is built from, with a Dockerfile."""
    digest: str = ""
    """The digest of that directory."""
    workdir: str = ""
    """Empty for the image's own."""
    env: dict[str, str] = {}
    """Variables that come over those of the image."""
    cpus: float | None = None
    memory_mb: float | None = None
    healthcheck: Healthcheck | None = None


class SuiteTask(Frozen):
    """One task of a suite."""

    id: str
    """Unique in the suite, and a good name for a directory."""
    name: str = ""
    group: str = ""
    """Level or category."""
    difficulty: str = ""
    tags: tuple[str, ...] = ()
    steps: tuple[Step, ...]
    counts: Literal["mean", "final"] = "mean"
    """Which rewards of its steps are its own: their means, name by name, or those of the last step that was begun."""
    workdir: str = "/app"
    files: tuple[Placed, ...] = ()
    """What the agent finds."""
    setup: tuple[str, ...] = ()
    """Lines for bash, run in the workdir before the agent begins."""
    setup_timeout: Seconds = 600.0
    env: dict[str, str] = {}
    needs_paths: bool = False
    """Whether its files name absolute places such as `/app`, so that it needs a file system of its own."""
    network: bool = True
    """Whether the agent and the verifier have the network of this machine."""
    bounds: tuple[str, ...] = ()
    """What it should get of the machine, such as `cpus = 1`. Without a container nothing enforces that."""
    timeout: Seconds | None = None
    """Seconds for the agent, all steps together; None for what the bench says."""
    max_turns: Annotated[int, Field(ge=1)] | None = None
    repetitions: Annotated[int, Field(ge=1)] | None = None
    """How often it is tried in one iteration; None for what the bench says."""
    solution: Solution | None = None
    unsupported: str = ""
    """What it needs that nothing here can give; empty when it can be tried."""
    container: Container | None = None
    contained: str = ""
    """Why it can be tried in its container alone; empty when its files and lines of setup will do."""
    digest: str = ""
    """The digest of everything that the task consists of."""

    @model_validator(mode="after")
    def _can_be_named(self) -> "SuiteTask":
        if not self.id or self.id.startswith(".") or "/" in self.id or "\0" in self.id:
            raise ValueError(f"the id {self.id!r} is no name for a directory")
        if not self.steps:
            raise ValueError("a task needs at least one step")
        return self

    @property
    def found(self) -> tuple[Placed, ...]:
        """The files that an agent finds, whenever they come."""
        return (*self.files, *(placed for step in self.steps for placed in step.files))

    @property
    def instruction(self) -> str:
        """The instructions of all steps together, as text."""
        return "\n\n".join(step.instruction for step in self.steps)


class Outcome(StrEnum):
    """The outcome of a trial. Only the first three say something about the agent."""

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
        """Whether trials with this outcome count in a pass rate."""
        return self in (Outcome.PASS, Outcome.FAIL, Outcome.TIMEOUT)


class TrialKey(Frozen):
    """The identity of a trial in its bench, by which a resume finds it."""

    arm: str
    iteration: int
    """The number of the iteration, from 1."""
    task: str
    attempt: int = 1
    """The number of the attempt within the iteration, from 1."""

    def __hash__(self) -> int:
        return hash((self.arm, self.iteration, self.task, self.attempt))


class TrialResult(Frozen):
    """The result of one trial. What is unknown is None, never 0."""

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
    """Seconds from staging to verdict."""
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
    """The id of the bench, in the environment of every process as `AUTOLOOP_RUN`."""
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
    """The network of the verifier and the setup: `on` or `off`."""
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
