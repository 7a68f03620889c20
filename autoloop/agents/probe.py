"""The state of each agent: installed, signed in, within reach; and what to do where something is missing.

Looking (`probe`) asks no model anything and costs nothing. `ask` sends one question and waits for one token of an
answer, so that a night does not depend on a model that is not there; only services that the built-in agent calls are
asked, never a client.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autoloop import process
from autoloop.agents.chat.agent import ChatAgent
from autoloop.agents.chat.configured import MODEL, OPENAI, endpoint
from autoloop.agents.chat.service import AnswerCutShort, ServiceFailed, interruptible
from autoloop.agents.client_programs import CLIENTS, ClientProgram, claude_settings
from autoloop.agents.make import bare_agent
from autoloop.agents.profiles import WITH_A_MODEL, WITHOUT_SETTINGS, Profile, Settings, choose, load_settings
from autoloop.agents.redaction import Redaction
from autoloop.agents.registry import AGENTS
from autoloop.config.dotenv import variables
from autoloop.config.places import FILE, user_config
from autoloop.core.session import SessionFailure
from autoloop.errors import AutoloopError
from autoloop.git.root import root_of

_VERSION_SECONDS = 20
_REACH_SECONDS = 3.0
_NUMBER = re.compile(r"\d+(\.\d+)+")


@dataclass(frozen=True)
class Probe:
    """The state of one profile's agent: whether it could be used now."""

    profile: str
    agent: str
    model: str = ""
    version: str = ""
    signed_in: str = ""
    """The file or variable that signs in, as far as that can be told without asking."""
    problem: str = ""
    """Why it cannot be used; empty when it can."""
    remedy: str = ""
    sandbox: str = ""
    """Parts of the user's home that it may write when it runs."""

    @property
    def usable(self) -> bool:
        """Whether nothing is known to be missing."""
        return not self.problem


def probe(profile: Profile, root: Path, environ: Mapping[str, str]) -> Probe:
    """The state of a profile's agent, found without asking a model."""
    known = variables(root, environ)
    home = Path(environ.get("HOME") or Path.home())
    if profile.agent in CLIENTS:
        found = _probe_client(profile, CLIENTS[profile.agent], known, home)
    elif profile.agent in _SERVICES:
        found = _SERVICES[profile.agent](profile, known)
    elif profile.agent == "tuner" and importlib.util.find_spec("optuna") is None:
        found = _missing(profile, "optuna is not installed", "pip install 'autoloop-engine[tuner]'")
    else:
        found = Probe(profile.name, profile.agent, profile.model)
    if not found.usable:
        return found
    try:
        bare_agent(profile, root, environ)
    except AutoloopError as error:
        return _missing(profile, error.message, error.hint)
    return found


def _probe_client(profile: Profile, client: ClientProgram, known: Mapping[str, str], home: Path) -> Probe:
    path = shutil.which(client.name, path=known.get("PATH"))
    if path is None:
        return _missing(profile, f"{client.name} is not installed", f"npm install -g {client.package}")
    version = _version(path)
    store = client.signed_in(home, known)
    by = next((name for name in client.keys if known.get(name)), "")
    copied = "" if by or not store.is_file() else _spelled(store, home)
    by = by or copied or _made_key(client, home, known) or _described(client, home)
    if not by and not profile.options.get("args"):  # which may name a service without a sign-in
        found = _missing(profile, "not signed in", client.sign_in)
        return Probe(**{**vars(found), "version": version})
    written = ", ".join([*([copied] if copied else []), *profile.home])
    return Probe(profile.name, profile.agent, profile.model, version, by or "args", sandbox=written)


def _made_key(client: ClientProgram, home: Path, known: Mapping[str, str]) -> str:
    """Where Claude Code keeps a key that it made for itself, when it has one."""
    settings = claude_settings(home, known)
    with suppress(OSError):
        if client is CLIENTS["claude"] and b'"primaryApiKey"' in settings.read_bytes():
            return _spelled(settings, home)
    return ""


def _described(client: ClientProgram, home: Path) -> str:
    """The settings in which a client finds its services, where there are some."""
    return next((_spelled(home / name, home) for name in client.settings if (home / name).is_file()), "")


def _spelled(path: Path, home: Path) -> str:
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def _version(path: str) -> str:
    try:
        said = process.run([path, "--version"], cwd=Path.cwd(), env=os.environ, deadline=_VERSION_SECONDS)
    except OSError:
        return ""
    number = None if said.timed_out else _NUMBER.search(said.stdout)
    return number[0] if number else ""


def _probe_anthropic(profile: Profile, known: Mapping[str, str]) -> Probe:
    if not known.get("ANTHROPIC_API_KEY"):
        return _missing(profile, "ANTHROPIC_API_KEY is not set", "Set it in the environment or in .env.")
    return Probe(profile.name, profile.agent, profile.model or MODEL, signed_in="ANTHROPIC_API_KEY")


def _probe_openai(profile: Profile, known: Mapping[str, str]) -> Probe:
    url = str(profile.options.get("base_url") or known.get("OPENAI_BASE_URL") or OPENAI)
    key = "OPENAI_API_KEY" if known.get("OPENAI_API_KEY") else ""
    if url == OPENAI:
        if not key:
            remedy = "Set it in the environment or in .env, or name another endpoint in OPENAI_BASE_URL."
            return _missing(profile, "OPENAI_API_KEY is not set", remedy)
        return Probe(profile.name, profile.agent, profile.model, signed_in=key)
    if problem := _unreachable(f"{url.rstrip('/')}/models"):
        return _missing(profile, problem, "Start the server, or fix OPENAI_BASE_URL.")
    return Probe(profile.name, profile.agent, profile.model, signed_in=key or url)


def _probe_ollama(profile: Profile, known: Mapping[str, str]) -> Probe:
    url = str(profile.options.get("base_url") or endpoint(known))
    problem, models = _models(f"{url}/api/tags")
    if problem:
        return _missing(profile, problem, "Start it with `ollama serve`, or set OLLAMA_ENDPOINT.")
    names = {name for model in models for name in (model, model.removesuffix(":latest"))}
    if not profile.model and models:
        named = f"--agent ollama:{sorted(models)[0].removesuffix(':latest')}"
        return _missing(profile, "no model is named", f"Name one: {named}. It has {', '.join(sorted(models)[:5])}.")
    if profile.model and profile.model not in names:
        listed = f" It has {', '.join(sorted(models)[:5])}." if models else ""
        return _missing(
            profile, f"Ollama has no model {profile.model}", f"Fetch it: `ollama pull {profile.model}`.{listed}"
        )
    return Probe(profile.name, profile.agent, profile.model, signed_in=url)


_SERVICES: dict[str, Callable[[Profile, Mapping[str, str]], Probe]] = {
    "anthropic": _probe_anthropic,
    "openai": _probe_openai,
    "ollama": _probe_ollama,
}


def _unreachable(url: str) -> str:
    """Why nothing answers; empty when something does, whatever it says."""
    import httpx

    try:
        httpx.get(url, timeout=_REACH_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"{url} does not answer: {error or type(error).__name__}"
    return ""


def _models(url: str) -> tuple[str, list[str]]:
    import httpx

    try:
        listed = httpx.get(url, timeout=_REACH_SECONDS).json().get("models") or []
        return "", [str(model.get("name")) for model in listed]
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"{url} does not answer: {error or type(error).__name__}", []
    except (ValueError, AttributeError):
        return f"{url} is not Ollama", []


def _missing(profile: Profile, problem: str, remedy: str | None) -> Probe:
    return Probe(profile.name, profile.agent, profile.model, problem=problem, remedy=remedy or "")


_KEYS = {"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY"}
_PASSING = (SessionFailure.RATE_LIMITED, SessionFailure.OVERLOADED)


@dataclass(frozen=True)
class AskedModel:
    """The result of asking a model for one token."""

    seconds: float
    problem: str = ""
    """Why there was no answer."""
    remedy: str = ""
    passes: bool = False
    """Whether the problem is one that a bench waits for: the service is there, and short of breath."""


def ask(profile: Profile, root: Path, environ: Mapping[str, str], patience: float) -> AskedModel | None:
    """Ask the model of a profile for a token; None where that is not ours to do. Never takes longer than `patience`."""
    agent = bare_agent(profile, root, environ)
    if not isinstance(agent, ChatAgent):
        return None
    began = time.monotonic()
    service = agent.connect(patience)
    try:
        interruptible(service.sign_of_life, lambda: time.monotonic() - began >= patience, service.close)
    except AnswerCutShort:
        return _silent(began, patience)
    except ServiceFailed as failed:
        if failed.failure is SessionFailure.IDLE:
            return _silent(began, patience)
        passes = failed.failure in _PASSING or failed.retry_at is not None
        detail = " ".join(Redaction(agent.secrets)(failed.detail).split())
        return AskedModel(time.monotonic() - began, detail, _remedy(failed.failure, profile), passes)
    finally:
        service.close()
    return AskedModel(time.monotonic() - began)


def _silent(began: float, patience: float) -> AskedModel:
    remedy = "See whether it still loads the model, then try again; or begin without asking, with --no-preflight."
    return AskedModel(time.monotonic() - began, f"no token came within {patience:g} s", remedy)


def _remedy(failure: SessionFailure, profile: Profile) -> str:
    match failure:
        case SessionFailure.NOT_SIGNED_IN:
            key = _KEYS.get(profile.agent)
            return f"Fix {key} in the environment or in .env." if key else "Fix what signs its calls."
        case SessionFailure.OUT_OF_QUOTA:
            return "Add credit, or name another model."
        case SessionFailure.UNREACHABLE:
            return "Fix the model's name or the service's address."
        case _:
            return f"Fix the profile; `autoloop agents {profile.name} --check` tries it alone."


def profiles_at_hand(settings: Settings, *, has_knobs: bool = False) -> Iterator[Profile]:
    """The user's own profiles, then those that need no word in any file; the order in which they are tried."""
    own = list(settings.profiles)
    shipped = [name for name in WITHOUT_SETTINGS if name in AGENTS and (name != "tuner" or has_knobs)]
    shipped.sort(key=lambda name: name != "tuner")
    for name in (*own, *(name for name in shipped if name not in own)):
        yield choose(settings.model_copy(update={"overrides": {}}), name)


def survey(settings: Settings, root: Path, environ: Mapping[str, str]) -> list[Probe]:
    """What is there of every profile, and of the agents that only lack the name of a model."""
    profiles = list(profiles_at_hand(settings, has_knobs=True))
    missing = [name for name in WITH_A_MODEL if name not in {profile.agent for profile in profiles}]
    profiles += [Profile(name=f"{name}:MODEL", agent=name) for name in missing]
    return [probe(profile, root, environ) for profile in profiles]


def first_usable(settings: Settings, root: Path, environ: Mapping[str, str], *, has_knobs: bool) -> tuple[Profile, str]:
    """The profile to take when nobody names one, and a sentence that says so."""
    passed: list[str] = []
    for profile in profiles_at_hand(settings, has_knobs=has_knobs):
        found = probe(profile, root, environ)
        if found.usable:
            others = f" ({'; '.join(passed)})" if passed else ""
            return profile, f"no profile is chosen, so the first usable one is taken: {profile.name}{others}"
        passed.append(f"{profile.name}: {found.problem}")
    raise AutoloopError(
        f"no agent can be used: {'; '.join(passed)}",
        f'See `autoloop agents`, or add to {FILE}: [profiles.mine] agent = "command" command = "sh agent.sh".',
    )


def agents_at_hand(path: Path, name: str | None = None, *, environ: Mapping[str, str] = os.environ) -> list[Probe]:
    """Every profile, or the named one, with what was found of its agent and what to do where something is missing.

    Asks no model.
    """
    try:
        root = root_of(path)
    except AutoloopError:
        root = path.resolve()
    settings = load_settings(root, environ, user_config(environ))
    return [probe(choose(settings, name), root, environ)] if name else survey(settings, root, environ)
