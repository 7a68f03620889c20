"""`task.toml` of Harbor and Terminal-Bench: its fields, and what among them a trial here cannot give.

Others write these files, so a field that is not known is passed over, unless it looks like a slip of the pen.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from autoloop.errors import AutoloopError
from autoloop.fields import quoted, validated
from autoloop.sources.assembling import ENGINE

Seconds = Annotated[float, Field(gt=0)]
Positive = Annotated[float, Field(gt=0)]
Network = Literal["public", "no-network", "allowlist"]
_SIZE = r"^\d+(\.\d+)?\s*[kKmMgGtT]?i?[bB]?$"
_A_SLIP = 0.9
"""How alike a field must be to a known one to be a slip of the pen: `timeout_secs` is, `memory_gb` is another field."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class About(_Table):
    """`[task]`."""

    name: str = ""
    description: str = ""
    authors: tuple[Any, ...] = ()
    keywords: tuple[str, ...] = ()


class AgentTable(_Table):
    """`[agent]`."""

    timeout_sec: Seconds | None = None
    network_mode: Network | None = None


class VerifierTable(_Table):
    """`[verifier]`."""

    timeout_sec: Seconds = 600.0
    env: dict[str, str] = {}
    user: str | int = ""
    network_mode: Network | None = None
    environment_mode: str = "shared"


class EnvironmentTable(_Table):
    """`[environment]`. Cores, memory and storage are read, and nothing enforces them."""

    build_timeout_sec: Seconds = 600.0
    docker_image: str = ""
    workdir: str = ""
    cpus: Positive | None = None
    memory_mb: Positive | None = None
    storage_mb: Positive | None = None
    memory: Annotated[str, Field(pattern=_SIZE)] | None = None
    storage: Annotated[str, Field(pattern=_SIZE)] | None = None
    gpus: Annotated[int, Field(ge=0)] = 0
    os: str = "linux"
    network_mode: Network | None = None
    allow_internet: bool = True
    env: dict[str, str] = {}
    healthcheck: dict[str, Any] | None = None
    mcp_servers: tuple[Any, ...] = ()



class SolutionTable(_Table):
    """`[solution]`."""

    env: dict[str, str] = {}


class StepTable(_Table):
    """One of `[[steps]]`. What it leaves out is what the task says."""

    name: Annotated[str, Field(min_length=1)]
    min_reward: float | dict[str, float] | None = None
    agent: AgentTable = AgentTable()
    verifier: dict[str, Any] = {}
    healthcheck: dict[str, Any] | None = None


class TaskToml(_Table):
    """The whole file."""

    schema_version: Annotated[str, Field(pattern=r"^1(\.\d+)*$")] | None = Field(None, description='"1.0" to "1.x"')
    version: Annotated[str, Field(pattern=r"^1(\.\d+)*$")] | None = Field(None, description='"1.0" to "1.x"')
    task: About = About()
    metadata: dict[str, Any] = {}
    agent: AgentTable = AgentTable()
    verifier: VerifierTable = VerifierTable()
    environment: EnvironmentTable = EnvironmentTable()
    solution: SolutionTable = SolutionTable()
    steps: tuple[StepTable, ...] = ()
    multi_step_reward_strategy: str = "mean"

    @property
    def networks(self) -> set[Network]:
        """What is said of the network; more than one cannot be had."""
        said = (self.environment.network_mode, self.agent.network_mode, self.verifier.network_mode)
        return {mode for mode in said if mode is not None}

    @property
    def network(self) -> bool:
        """Whether a trial has the network, as far as that can be had."""
        return self.networks == {"public"} if self.networks else self.environment.allow_internet

    def of_step(self, step: StepTable, source: str) -> VerifierTable:
        """The step's `[verifier]`, over that of the task."""
        whole = {**self.verifier.model_dump(), **step.verifier}
        return validated(VerifierTable, whole, f"{source}: steps.{step.name}.verifier")


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
        "it has a healthcheck": bool(environment.healthcheck or any(step.healthcheck for step in table.steps)),
        "it needs a GPU": environment.gpus > 0,
        f"it needs {environment.os}": environment.os.lower() != "linux",
        "it has MCP servers": bool(environment.mcp_servers),
        "its verifier has a container of its own": table.verifier.environment_mode != "shared",
    }
    found = next((reason for reason, there in reasons.items() if there), "")
    if found:
        return f"{found}; {ENGINE}"
    if table.multi_step_reward_strategy != "mean":
        return f"its steps count as {quoted(table.multi_step_reward_strategy)}; only their mean is known"
    if any(isinstance(step.min_reward, dict) for step in table.steps):
        return "a step has several kinds of min_reward; only one number is known"
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
