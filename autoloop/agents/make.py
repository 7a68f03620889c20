"""Agents made of profiles, with what an agent needs around it: patience, a budget, a fallback."""

import inspect
from collections.abc import Mapping
from pathlib import Path

from autoloop.agents.profiles import Profile
from autoloop.agents.registry import AGENTS, agent_class
from autoloop.agents.wrappers import Budget, Fallback, Retrying
from autoloop.config.fields import quoted
from autoloop.errors import AutoloopError
from autoloop.ports import Agent


def make_agent(profile: Profile, root: Path, environ: Mapping[str, str], fallback: Profile | None = None) -> Agent:
    """The agent of a profile, with what it needs around it: patience, a budget, the fallback."""
    agent = bare_agent(profile, root, environ)
    if getattr(agent, "remote", False):
        agent = Retrying(Budget(agent, profile.model, profile.prices))
    if fallback is None:
        return agent
    return Fallback(agent, make_agent(fallback, root, environ), fallback.name)


def bare_agent(profile: Profile, root: Path, environ: Mapping[str, str]) -> Agent:
    """The agent of a profile as it is.

    A class with `from_profile(profile, root, environ)` is asked for itself; any other is called with the
    profile's options. One that calls a service says so by an attribute `remote`.
    """
    try:
        kind = agent_class(profile.agent)
    except AutoloopError as error:
        raise AutoloopError(f"profile {quoted(profile.name)}: {error.message}", error.hint) from error
    configure = getattr(kind, "from_profile", None)
    if configure is None:
        return _called(kind, profile)
    if profile.options and profile.agent in AGENTS and not getattr(kind, "options", None):
        raise AutoloopError(f"profile {quoted(profile.name)}: the agent {quoted(profile.agent)} takes no options")
    agent: Agent = configure(profile, root, environ)
    return agent


def _called(kind: type, profile: Profile) -> Agent:
    try:
        inspect.signature(kind).bind(**profile.options)
    except TypeError as error:
        raise AutoloopError(
            f"profile {quoted(profile.name)}: {profile.agent} does not take these options: {error}"
        ) from error
    agent: Agent = kind(**profile.options)
    return agent
