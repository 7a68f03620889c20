"""The built-in agent as profiles name it: `anthropic`, `openai` and `ollama`."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from autoloop.agents.chat.agent import ChatAgent
from autoloop.agents.chat.anthropic import AnthropicService
from autoloop.agents.chat.service import Service
from autoloop.agents.environment import CLIENTS, agents_environment
from autoloop.agents.profiles import Profile
from autoloop.agents.redaction import secrets_of
from autoloop.config.dotenv import variables
from autoloop.config.fields import did_you_mean, quoted
from autoloop.errors import AutoloopError

MODEL = "claude-sonnet-5-5"
"""The model of the agent `anthropic`, unless the profile names another."""
OPENAI = "https://api.openai.com/v1"
OLLAMA = "http://127.0.0.1:11434"
EFFORTS: Mapping[str, bool | str | None] = {
    "": None, "on": True, "off": False, "low": "low", "medium": "medium", "high": "high",
}  # fmt: skip
"""What Ollama calls each: whether to think, or how much. Any other word it takes for the model's default in silence."""
Kind = TypeVar("Kind", bound=ChatAgent)


class AnthropicAgent(ChatAgent):
    """A model of Anthropic's, by `ANTHROPIC_API_KEY`."""

    options: ClassVar[Mapping[str, type]] = {"base_url": str, "max_tokens": int}

    @classmethod
    def from_profile(cls, profile: Profile, root: Path, environ: Mapping[str, str]) -> Self:
        """Needs a key; `base_url` leads elsewhere."""
        known, given = variables(root, environ), _options(cls, profile)
        key = _needed(known, "ANTHROPIC_API_KEY", profile)
        base_url = given.get("base_url") or known.get("ANTHROPIC_BASE_URL")
        model = profile.model or MODEL

        def connect(silence: float) -> Service:
            more = {"max_tokens": given["max_tokens"]} if "max_tokens" in given else {}
            return AnthropicService(
                model, api_key=key, base_url=base_url, silence=silence, effort=profile.effort, **more
            )

        return _agent(cls, profile, model, connect, known, environ)


class OpenAIAgent(ChatAgent):
    """Any model behind an endpoint for chat completions."""

    options: ClassVar[Mapping[str, type]] = {"base_url": str, "tools": bool}

    @classmethod
    def from_profile(cls, profile: Profile, root: Path, environ: Mapping[str, str]) -> Self:
        """Needs a model; a key only at OpenAI itself."""
        known, given = variables(root, environ), _options(cls, profile)
        base_url = given.get("base_url") or known.get("OPENAI_BASE_URL") or OPENAI
        key = _needed(known, "OPENAI_API_KEY", profile) if base_url == OPENAI else known.get("OPENAI_API_KEY", "")
        model = _model(profile, "gpt-5.4")

        def connect(silence: float) -> Service:
            from autoloop.agents.chat.openai import OpenAIService

            return OpenAIService(model, base_url=base_url, api_key=key, silence=silence, effort=profile.effort)

        return _agent(cls, profile, model, connect, known, environ, fenced=given.get("tools") is False)


class OllamaAgent(ChatAgent):
    """A model of a local Ollama."""

    options: ClassVar[Mapping[str, type]] = {"base_url": str, "num_ctx": int, "tools": bool}

    @classmethod
    def from_profile(cls, profile: Profile, root: Path, environ: Mapping[str, str]) -> Self:
        """Needs a model; `OLLAMA_ENDPOINT` or `OLLAMA_HOST` says where Ollama is."""
        known, given = variables(root, environ), _options(cls, profile)
        base_url = given.get("base_url") or endpoint(known)
        model, think = _model(profile, "qwen3-coder"), _thinking(profile)

        def connect(silence: float) -> Service:
            from autoloop.agents.chat.ollama import CONTEXT, OllamaService

            num_ctx = given.get("num_ctx", CONTEXT)
            return OllamaService(model, base_url=base_url, silence=silence, num_ctx=num_ctx, think=think)

        return _agent(cls, profile, model, connect, known, environ, fenced=given.get("tools") is False)


def endpoint(known: Mapping[str, str]) -> str:
    """Where Ollama answers, from the variables."""
    address = known.get("OLLAMA_ENDPOINT") or known.get("OLLAMA_HOST") or OLLAMA
    return address if "://" in address else f"http://{address}"


def _agent(
    kind: type[Kind],
    profile: Profile,
    model: str,
    connect: Callable[[float], Service],
    known: Mapping[str, str],
    environ: Mapping[str, str],
    *,
    fenced: bool = False,
) -> Kind:
    # The model's commands do not see the keys of the services.
    env = {name: value for name, value in agents_environment(environ).items() if not name.startswith(CLIENTS)}
    return kind(profile.agent, model, connect, env, profile.prices, secrets_of(known), fenced)


def _needed(known: Mapping[str, str], name: str, profile: Profile) -> str:
    if value := known.get(name):
        return value
    raise AutoloopError(
        f"profile {quoted(profile.name)} needs the variable {name}, which is not set",
        "Set it in the environment, or in .env at the repository's root.",
    )


def _model(profile: Profile, example: str) -> str:
    if profile.model:
        return profile.model
    raise AutoloopError(
        f"profile {quoted(profile.name)} does not say which model",
        f'Add model = "{example}" under [profiles.{profile.name}], or name it as {profile.agent}:{example}.',
    )


def _thinking(profile: Profile) -> bool | str | None:
    if profile.effort in EFFORTS:
        return EFFORTS[profile.effort]
    known = ", ".join(filter(None, EFFORTS))
    raise AutoloopError(f"profile {quoted(profile.name)}: effort is {quoted(profile.effort)}; Ollama knows {known}")


def _options(kind: Any, profile: Profile) -> dict[str, Any]:
    """The profile's options; an AutoloopError for one that the agent does not know, or of the wrong type."""
    for name, value in profile.options.items():
        wanted = kind.options.get(name)
        if wanted is None:
            raise AutoloopError(
                f"profile {quoted(profile.name)}: unknown option {quoted(name)}{did_you_mean(name, kind.options)}",
                f"The options of {profile.agent} are {', '.join(kind.options)}.",
            )
        if type(value) is not wanted:
            raise AutoloopError(
                f"profile {quoted(profile.name)}: option {name} is {quoted(value)}; allowed: {wanted.__name__}"
            )
    return dict(profile.options)
