"""Agents by name: the built-in ones, and classes of the user's own as `package.module:Class`.

Importing this module imports no agent; each is loaded when it is asked for.
"""

from autoloop.config.classes import DOTTED, load_class
from autoloop.config.fields import did_you_mean, quoted
from autoloop.errors import AutoloopError

AGENTS = {
    "claude": "autoloop.agents.claude:ClaudeAgent",
    "codex": "autoloop.agents.codex:CodexAgent",
    "opencode": "autoloop.agents.opencode:OpencodeAgent",
    "anthropic": "autoloop.agents.chat.configured:AnthropicAgent",
    "openai": "autoloop.agents.chat.configured:OpenAIAgent",
    "ollama": "autoloop.agents.chat.configured:OllamaAgent",
    "command": "autoloop.agents.command:CommandAgent",
    "scripted": "autoloop.agents.scripted:ScriptedAgent",
    "tuner": "autoloop.agents.tuner:TunerAgent",
}
ALIASES = {"claude-code": "claude"}
"""Other names that people know an agent by."""
OWN_CALLS = ("anthropic", "openai", "ollama")
"""Agents whose calls of a model are made here, so that each can wait for its turn."""


def agent_class(name: str) -> type:
    """The class behind a short name or a dotted path; it has a `run` as `ports.Agent` describes it."""
    name = ALIASES.get(name, name)
    if name not in AGENTS and ":" not in name:
        raise AutoloopError(
            f"unknown agent {quoted(name)}{did_you_mean(name, AGENTS)}",
            f"There are: {', '.join(AGENTS)}, or a class of your own as {DOTTED}.",
        )
    return load_class(name, AGENTS, kind="agent", signature="run(task, on_progress)")
