"""Tasks of a suite: an instruction, what an agent finds, and how its work is verified. Every format is read into these.

A path of the suite is relative to the suite's directory. A place in the workspace is absolute, or relative to the
workdir.
"""

import json
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
        """For people: `README.md with "Usage"`."""
        holds = f" with {json.dumps(self.contains, ensure_ascii=False)}" if self.contains else ""
        return f"{self.path}{holds}{f' matching {self.matches}' if self.matches else ''}"


class Verification(Frozen):
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
    """What is asked, and how it is judged. Most tasks have one."""

    name: str = ""
    instruction: str
    files: tuple[Placed, ...] = ()
    """What comes into the workspace before its agent begins, over what the steps before it left."""
    setup: tuple[str, ...] = ()
    """Lines for bash, run in the workdir once its files are there."""
    verification: Verification
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
        """What the command of a step finds, counted from 1."""
        return self.files[number - 1 : number] if self.by_step else self.files


class Healthcheck(Frozen):
    """What must succeed before anything is done in a container."""

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
    """Of that directory."""
    workdir: str = ""
    """Empty for the image's own."""
    env: dict[str, str] = {}
    """Over those of the image."""
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
    """Of everything that it consists of."""

    @model_validator(mode="after")
    def _can_be_named(self) -> "SuiteTask":
        if not self.id or self.id.startswith(".") or "/" in self.id or "\0" in self.id:
            raise ValueError(f"the id {self.id!r} is no name for a directory")
        if not self.steps:
            raise ValueError("a task needs at least one step")
        return self

    @property
    def found(self) -> tuple[Placed, ...]:
        """All that an agent finds, whenever it comes."""
        return (*self.files, *(placed for step in self.steps for placed in step.files))

    @property
    def instruction(self) -> str:
        """What is asked, all steps together."""
        return "\n\n".join(step.instruction for step in self.steps)
