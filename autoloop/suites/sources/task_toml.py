"""`task.toml` of Harbor and Terminal-Bench: its fields, and what among them a trial here cannot give.

Others write these files, so a field that is not known is passed over, unless it looks like a slip of the pen.
"""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from autoloop.config.fields import quoted, validated
from autoloop.errors import AutoloopError

Seconds = Annotated[float, Field(gt=0)]
Positive = Annotated[float, Field(gt=0)]
Network = Literal["public", "no-network", "allowlist"]
_SIZE = r"^\d+(\.\d+)?\s*[kKmMgG]$"
_ROOT = ("", "root", "0")
"""Users that can do all to what a task consists of, as the one user of a trial can."""
_A_SLIP = 0.9
"""How alike a field must be to a known one to be a slip of the pen: `timeout_secs` is, `memory_gb` is another field."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class TaskTable(_Table):
    """The table `[task]` of a `task.toml`."""

    name: str = ""
    description: str = ""
    authors: tuple[Any, ...] = ()
    keywords: tuple[str, ...] = ()


class _Phase(_Table):
    network_mode: Network | None = None
    allowed_hosts: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _hosts_are_a_list_of_allowed_ones(self) -> Self:
        if self.allowed_hosts and self.network_mode != "allowlist":
            raise ValueError('"allowed_hosts" goes with network_mode = "allowlist"')
        return self


class AgentTable(_Phase):
    """The table `[agent]` of a `task.toml`."""

    timeout_sec: Seconds | None = None
    user: str | int = ""


class VerifierTable(_Phase):
    """The table `[verifier]` of a `task.toml`."""

    timeout_sec: Seconds = 600.0
    env: dict[str, str] = {}
    user: str | int = ""
    environment_mode: Literal["shared", "separate"] | None = None
    environment: dict[str, Any] | None = None
    collect: tuple[Any, ...] = ()

    @model_validator(mode="after")
    def _one_environment(self) -> Self:
        if self.environment_mode == "shared" and self.environment is not None:
            raise ValueError('environment_mode is "shared", and there is an "environment" of its own')
        return self

    @property
    def mode(self) -> str | None:
        """Where the verifier is run; None where nothing is said."""
        return self.environment_mode or (None if self.environment is None else "separate")


class HealthcheckTable(_Table):
    """The table `[environment.healthcheck]` of a `task.toml`."""

    command: Annotated[str, Field(min_length=1)]
    interval_sec: Seconds = 5.0
    timeout_sec: Seconds = 30.0
    start_period_sec: Annotated[float, Field(ge=0)] = 0.0
    start_interval_sec: Seconds = 5.0
    retries: Annotated[int, Field(ge=1)] = 3

    def as_fields(self) -> dict[str, Any]:
        """The fields by the names that `core.suite.tasks.Healthcheck` has."""
        return {name.removesuffix("_sec"): value for name, value in self.model_dump().items()}


class EnvironmentTable(_Phase):
    """The table `[environment]`. Cores and memory are enforced in a container, storage nowhere."""

    build_timeout_sec: Seconds = 600.0
    docker_image: str = ""
    workdir: str = ""
    cpus: Positive | None = None
    memory_mb: Positive | None = None
    storage_mb: Positive | None = None
    memory: Annotated[str, Field(pattern=_SIZE)] | None = None
    storage: Annotated[str, Field(pattern=_SIZE)] | None = None
    gpus: Annotated[int, Field(ge=0)] = 0
    tpu: dict[str, Any] | None = None
    os: str = "linux"
    allow_internet: bool = True
    env: dict[str, str] = {}
    healthcheck: HealthcheckTable | None = None
    mcp_servers: tuple[Any, ...] = ()

    @property
    def bounds(self) -> tuple[str, ...]:
        """The bounds on cores, memory and storage, in the file's own words."""
        numbers = {"cpus": self.cpus, "memory_mb": self.memory_mb, "storage_mb": self.storage_mb}
        sizes = {"memory": self.memory, "storage": self.storage}
        whole = {name: int(value) if value == int(value) else value for name, value in numbers.items() if value}
        return tuple(f"{name} = {quoted(value)}" for name, value in {**whole, **sizes}.items() if value is not None)

    @property
    def megabytes(self) -> float | None:
        """Megabytes of memory, from either form; None where nothing is said."""
        if self.memory_mb is not None or self.memory is None:
            return self.memory_mb
        number, unit = re.fullmatch(r"([\d.]+)\s*([a-z]?).*", self.memory.lower()).groups()  # type: ignore[union-attr]
        return float(number) * {"k": 1 / 1024, "m": 1, "g": 1024, "t": 1024**2}.get(unit, 1 / 1024**2)


class SolutionTable(_Table):
    """The table `[solution]` of a `task.toml`."""

    env: dict[str, str] = {}


class StepTable(_Table):
    """One table of `[[steps]]`. What it leaves out is what the task says."""

    name: Annotated[str, Field(min_length=1)]
    min_reward: float | dict[str, float] | None = None
    agent: AgentTable = AgentTable()
    verifier: VerifierTable = VerifierTable()
    healthcheck: dict[str, Any] | None = None


class TaskToml(_Table):
    """The whole of a `task.toml`."""

    schema_version: Annotated[str, Field(pattern=r"^1(\.\d+)*$")] | None = Field(None, description='"1.0" to "1.x"')
    version: Annotated[str, Field(pattern=r"^1(\.\d+)*$")] | None = Field(None, description='"1.0" to "1.x"')
    task: TaskTable = TaskTable()
    metadata: dict[str, Any] = {}
    agent: AgentTable = AgentTable()
    verifier: VerifierTable = VerifierTable()
    environment: EnvironmentTable = EnvironmentTable()
    solution: SolutionTable = SolutionTable()
    steps: tuple[StepTable, ...] = ()
    multi_step_reward_strategy: Literal["mean", "final"] = "mean"

    @property
    def all_steps(self) -> tuple[StepTable, ...]:
        """Its steps; a task without steps is one that adds nothing."""
        return self.steps or (StepTable(name="task"),)

    @property
    def networks(self) -> set[Network]:
        """The networks of all agents and verifiers; a trial can have only one."""
        environment = self.environment
        common = environment.network_mode or ("public" if environment.allow_internet else "no-network")
        agents = {step.agent.network_mode or self.agent.network_mode or common for step in self.all_steps}
        return agents | {self.of_step(step).network_mode or common for step in self.all_steps}

    @property
    def network(self) -> bool:
        """Whether a trial has the network, as far as that can be had."""
        return self.networks == {"public"}

    def of_step(self, step: StepTable) -> VerifierTable:
        """The step's `[verifier]`, over that of the task; variables of both are there."""
        own = {name: getattr(step.verifier, name) for name in step.verifier.model_fields_set}
        return self.verifier.model_copy(update={**own, "env": {**self.verifier.env, **step.verifier.env}})


def read_task_toml(values: Mapping[str, Any], source: str) -> TaskToml:
    """The file's fields; an AutoloopError for one of a wrong type, or one that is a known one misspelt."""
    for field, known in _slips(values, TaskToml, ""):
        raise AutoloopError(f"{source}: unknown field {quoted(field)}; did you mean {quoted(known)}?")
    return validated(TaskToml, values, source)


def needs(table: TaskToml) -> str:
    """The first thing that a trial here cannot give; empty when there is none."""
    environment = table.environment
    reasons = {
        "its network is an allow-list": "allowlist" in table.networks,
        "its agent and its verifier differ in their network": len(table.networks) > 1,
        "a step has a healthcheck of its own": any(step.healthcheck for step in table.steps),
        "it needs a GPU": environment.gpus > 0,
        "it needs a TPU": environment.tpu is not None,
        f"it needs {environment.os}": environment.os.lower() != "linux",
        "it has MCP servers": bool(environment.mcp_servers),
        "its verifier has a container of its own": "separate" in _modes(table),
        "it collects from its services": any(table.of_step(step).collect for step in table.all_steps),
    }
    found = next((reason for reason, there in reasons.items() if there), "") or _other_agent(table)
    return f"{found}, which no trial can have" if found else ""


def other_verifier(table: TaskToml) -> str:
    """Whether a step is verified as another user: without a container a trial has one, who owns all of the task."""
    users = (str(table.of_step(step).user) for step in table.all_steps)
    return next((f"its verifier is to work as the user {user}" for user in users if user not in _ROOT), "")


def _modes(table: TaskToml) -> set[str | None]:
    return {step.verifier.mode or table.verifier.mode for step in table.all_steps}


def _other_agent(table: TaskToml) -> str:
    for step in table.all_steps:
        user = step.agent.user if "user" in step.agent.model_fields_set else table.agent.user
        if str(user) not in _ROOT:
            return f"its agent is to work as the user {user}"
    return ""


def _slips(values: Mapping[str, Any], model: type[BaseModel], path: str) -> Iterator[tuple[str, str]]:
    """Fields that are nearly a known one, with that one."""
    for name, value in values.items():
        field = model.model_fields.get(name)
        near = [] if field else get_close_matches(name, model.model_fields, n=1, cutoff=_A_SLIP)
        if near:
            yield f"{path}{name}", f"{path}{near[0]}"
        kinds = _models(field.annotation if field else None)
        for number, inner in enumerate(value if isinstance(value, list) else [value]):
            if kinds and isinstance(inner, dict):
                where = f"{path}{name}[{number}]." if isinstance(value, list) else f"{path}{name}."
                yield from _slips(inner, kinds[0], where)


def _models(kind: Any) -> list[type[BaseModel]]:
    """The models that a field's type names."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind]
    return [model for inner in get_args(kind) for model in _models(inner)]
