"""Profiles and settings: `autoloop.toml` of the repository and of the user, and the environment.

Precedence: a flag, the environment, `.env`, the repository's file, the user's file, the default. A profile
is pure data and goes into the journal's run.json, so it holds names of variables and never their values.
"""

import re
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, create_model

from autoloop.agents.prices import Price
from autoloop.agents.registry import AGENTS, ALIASES
from autoloop.config.classes import DOTTED
from autoloop.config.dotenv import variables
from autoloop.config.fields import did_you_mean, quoted, read_values, refuse_unknown, validated
from autoloop.config.places import FILE
from autoloop.core.model import Frozen
from autoloop.errors import AutoloopError

WITHOUT_SETTINGS = ("tuner", "claude", "codex", "opencode", "anthropic")
"""Agents whose name is a profile, without a word in any file."""
WITH_A_MODEL = ("openai", "ollama")
"""Agents whose name and a model are one: `ollama:qwen3-coder`."""
_EXAMPLE = f"""Add to {FILE}:  [profiles.mine]  agent = "command"  command = "sh agent.sh" """.strip()

Text = Annotated[str, StringConstraints(min_length=1)]
_NAME = re.compile(r"[A-Za-z_]\w*")


class Profile(Frozen):
    """A named choice of agent, model, prompt and options. What has a description can stand in `[profiles.NAME]`."""

    name: str
    agent: str = Field(description=f"{', '.join(AGENTS)}, or {DOTTED}")
    command: str = Field("", description="a command line for the shell, as a text")
    model: str = Field("", description="a model's name, as a text")
    effort: str = Field("", description="a text")
    script: str = Field("", description="the path of a script, as a text")
    """The path of a script, from the repository's root."""
    fallback: str = Field("", description="another profile's name, as a text")
    """The profile that takes over when the agent cannot be reached."""
    prompt: str = Field("", description="the path of a prompt, as a text")
    """The path of a prompt, from the repository's root."""
    env: tuple[str, ...] = Field((), description="a list of names of variables; their values stand in .env")
    """Names of variables that the agent needs; their values come from the environment or `.env`."""
    home: tuple[Text, ...] = Field((), description="a list of paths in the home directory")
    """Parts of the user's home that the agent may write, such as the settings and the sign-in of a client."""
    reads: tuple[Text, ...] = Field((), description="a list of paths from the repository's root")
    """Paths of the checkout that the agent finds in the trials of a bench; in a run its tree has them."""
    options: dict[str, Any] = Field({}, description="a table")
    """Keyword arguments of an agent class of the user's own."""
    prices: dict[str, Price] = {}
    """The user's own prices of models."""


_WRITTEN: dict[str, Any] = {
    name: (Text if field.annotation is str else field.annotation, Field(None, description=field.description))
    for name, field in Profile.model_fields.items()
    if field.description
}
ProfileTable: type[Frozen] = create_model("ProfileTable", __base__=Frozen, **_WRITTEN)
"""`[profiles.NAME]` as one file has it: any of its fields, and no text that is empty."""


class SettingsTable(Frozen):
    """The content of one file `autoloop.toml`."""

    default_profile: Text | None = Field(None, description="a profile's name, as a text")
    sandbox: Literal["auto", "bwrap", "landlock", "none"] | None = Field(
        None, description='"auto", "bwrap", "landlock" or "none"'
    )
    profiles: dict[str, dict[str, Any]] = Field({}, description="tables [profiles.NAME]")
    """The fields that each has."""
    prices: dict[str, Price] | None = Field(None, description="tables [prices.MODEL], dollars for a million tokens")
    notify: tuple[Text, ...] | None = Field(None, description='a list of ways to tell people, such as ["desktop"]')


class Settings(Frozen):
    """The settings in force, from all files and the environment."""

    default_profile: str | None = None
    sandbox: Literal["auto", "bwrap", "landlock", "none"] = "auto"
    profiles: dict[str, Profile] = {}
    prices: dict[str, Price] = {}
    notify: tuple[str, ...] = ()
    """How people are told of the end."""
    overrides: dict[str, str] = {}
    """Fields of the chosen profile that the environment sets."""


def load_settings(root: Path, environ: Mapping[str, str], user_config: Path | None) -> Settings:
    """The settings in force for a repository."""
    known = {name: value for name, value in variables(root, environ).items() if value}
    files = [_read(path, shown) for path, shown in ((user_config, str(user_config)), (root / FILE, FILE)) if path]
    tables = [*files, *_from_environment(known)]
    overrides = {field: known[_variable(field)] for field in _OVERRIDABLE if _variable(field) in known}
    simple = [table.model_dump(exclude_none=True, exclude={"profiles"}) for table in tables]
    merged: dict[str, Any] = dict(ChainMap(*reversed(simple)))
    return Settings(**merged, profiles=_merged_profiles(tables), overrides=overrides)


def says_which(settings: Settings) -> bool:
    """Whether the settings leave no doubt about the profile."""
    return bool(settings.default_profile or settings.overrides.get("agent")) or len(settings.profiles) == 1


def choose(
    settings: Settings, name: str | None, *, has_knobs: bool = False, shipped: Sequence[str] = WITHOUT_SETTINGS
) -> Profile:
    """The profile that was named, else the default one, else what goes without saying.

    `shipped` are the names that someone who errs is told of beside the user's own.
    """
    wanted = name or settings.default_profile or _implied(settings, has_knobs)
    known = settings.profiles
    if wanted in known:
        profile = known[wanted]
    elif (named := _named_agent(wanted)) is not None:
        profile = named
    elif name is None and wanted == settings.overrides.get("agent"):
        profile = Profile(name=wanted, agent=wanted)
    else:
        raise _unknown(wanted, [*known, *shipped], "" if name else " (default_profile)")
    said = _of_a_flag(profile) if name and wanted not in known else ()
    overrides = {field: value for field, value in settings.overrides.items() if field not in said}
    chosen = profile.model_copy(update={**overrides, "prices": settings.prices})
    if chosen.fallback and chosen.fallback not in known and _named_agent(chosen.fallback) is None:
        raise _unknown(chosen.fallback, [*known, *shipped], f" (fallback of {quoted(chosen.name)})")
    return chosen


def _named_agent(spec: str) -> Profile | None:
    """The profile that a name such as `claude` or `ollama:qwen3-coder` stands for: an agent, and its model."""
    name, _, model = spec.partition(":")
    agent = ALIASES.get(name, name)
    if agent not in AGENTS or not (model or agent in WITHOUT_SETTINGS):
        return None
    return Profile(name=spec, agent=agent, model=model)


def _of_a_flag(profile: Profile) -> tuple[str, ...]:
    """What a name such as `ollama:qwen3-coder` says itself, so that no variable overrides it."""
    return ("agent", "model") if profile.model else ("agent",)


def fallback_of(settings: Settings, profile: Profile) -> Profile | None:
    """The profile that takes over when this one's agent is out of reach."""
    if not profile.fallback:
        return None
    other = choose(settings.model_copy(update={"overrides": {}}), profile.fallback)
    return other.model_copy(update={"fallback": ""})


_OVERRIDABLE = ("agent", "command", "model", "effort", "script", "fallback", "prompt")


def _variable(field: str) -> str:
    return f"AUTOLOOP_{field.upper()}"


def _read(path: Path, source: str) -> SettingsTable:
    """One file's settings; empty when there is no such file."""
    if not path.is_file():
        return SettingsTable()
    values = read_values(path, source)
    refuse_unknown(values, SettingsTable.model_fields, source)
    if isinstance(profiles := values.get("profiles"), dict):
        values = {**values, "profiles": {name: _fields(name, profile, source) for name, profile in profiles.items()}}
    return validated(SettingsTable, values, source)


def _fields(name: str, profile: object, source: str) -> dict[str, Any]:
    """What one file says of a profile."""
    where = f"{source}: profiles.{name}"
    if not isinstance(profile, dict):
        raise AutoloopError(f"{where} is {quoted(profile)}; allowed: a table [profiles.{name}]")
    refuse_unknown(profile, ProfileTable.model_fields, where)
    _refuse_secrets(profile.get("env", []), where)
    return validated(ProfileTable, profile, where).model_dump(exclude_unset=True)


def _refuse_secrets(env: object, where: str) -> None:
    """Where a value stands instead of a name it may be a password, so it is not repeated."""
    if not isinstance(env, list) or not all(isinstance(name, str) and _NAME.fullmatch(name) for name in env):
        allowed = Profile.model_fields["env"].description
        raise AutoloopError(f"{where}: env holds something else than names; allowed: {allowed}")


def _from_environment(known: Mapping[str, str]) -> Iterator[SettingsTable]:
    for field in ("default_profile", "sandbox"):
        if value := known.get(_variable(field)):
            yield validated(SettingsTable, {field: value}, f"{_variable(field)} in the environment")


def _merged_profiles(tables: Iterable[SettingsTable]) -> dict[str, Profile]:
    """Later tables add to the profiles of earlier ones, and override them field by field."""
    merged: dict[str, dict[str, Any]] = {}
    for table in tables:
        for name, said in table.profiles.items():
            merged.setdefault(name, {"name": name}).update(said)
    for name, fields in merged.items():
        if "agent" not in fields:
            allowed = Profile.model_fields["agent"].description
            raise AutoloopError(f"{FILE}: profiles.{name}.agent is missing; needed: {allowed}")
    return {name: Profile(**fields) for name, fields in merged.items()}


def _implied(settings: Settings, has_knobs: bool) -> str:
    if len(settings.profiles) == 1:
        return next(iter(settings.profiles))
    if agent := settings.overrides.get("agent"):
        return agent
    if settings.profiles:
        names = ", ".join(settings.profiles)
        raise AutoloopError(
            f"several profiles and no default; there are: {names}",
            f"Name one with --agent, or default_profile in {FILE}.",
        )
    if has_knobs:
        return "tuner"
    raise AutoloopError("no agent is configured", _EXAMPLE)


def _unknown(name: str, known: Iterable[str], origin: str) -> AutoloopError:
    names = list(dict.fromkeys([*known, *(f"{agent}:MODEL" for agent in WITH_A_MODEL)]))
    model = name.partition(":")[2]
    agents = [f"{one}:{model}" for one in (*AGENTS, *ALIASES)] if model else ALIASES
    near = did_you_mean(name, [*names, *agents])
    return AutoloopError(f"unknown profile {quoted(name)}{origin}{near}", f"There are: {', '.join(names)}.")
