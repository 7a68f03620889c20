"""What is there of each agent: installed, signed in, within reach; and what to do where something is missing.

Nothing here asks a model anything, so looking costs nothing.
"""

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autoloop.agents.making import bare_agent
from autoloop.agents.programs import CLIENTS, Program, claude_settings
from autoloop.dotenv import variables
from autoloop.errors import AutoloopError
from autoloop.profiles import Profile

_VERSION_SECONDS = 20
_REACH_SECONDS = 3.0
_NUMBER = re.compile(r"\d+(\.\d+)+")


@dataclass(frozen=True)
class Found:
    """One profile, and whether it could be used now."""

    profile: str
    agent: str
    model: str = ""
    version: str = ""
    signed_in: str = ""
    """By what, as far as that can be told without asking."""
    problem: str = ""
    """Why it cannot be used; empty when it can."""
    remedy: str = ""
    sandbox: str = ""
    """What of the user's home it may write when it runs."""

    @property
    def usable(self) -> bool:
        """Whether nothing is known to be missing."""
        return not self.problem


def probe(profile: Profile, root: Path, environ: Mapping[str, str]) -> Found:
    """What is there of a profile's agent."""
    known = variables(root, environ)
    home = Path(environ.get("HOME") or Path.home())
    if profile.agent in CLIENTS:
        found = _probe_client(profile, CLIENTS[profile.agent], known, home)
    elif profile.agent in _SERVICES:
        found = _SERVICES[profile.agent](profile, known)
    elif profile.agent == "tuner" and importlib.util.find_spec("optuna") is None:
        found = _missing(profile, "optuna is not installed", "pip install 'autoloop-engine[tuner]'")
    else:
        found = Found(profile.name, profile.agent, profile.model)
    if not found.usable:
        return found
    try:
        bare_agent(profile, root, environ)
    except AutoloopError as error:
        return _missing(profile, error.message, error.hint)
    return found


def _probe_client(profile: Profile, client: Program, known: Mapping[str, str], home: Path) -> Found:
    path = shutil.which(client.name, path=known.get("PATH"))
    if path is None:
        return _missing(profile, f"{client.name} is not installed", f"npm install -g {client.package}")
    version = _version(path)
    store = client.signed_in(home, known)
    by = next((name for name in client.keys if known.get(name)), "")
    lent = "" if by or not store.is_file() else _at_home(store, home)
    by = by or lent or _made_key(client, home, known) or _described(client, home)
    if not by and not profile.options.get("args"):  # which may name a service without a sign-in
        found = _missing(profile, "not signed in", client.sign_in)
        return Found(**{**vars(found), "version": version})
    written = ", ".join([*([lent] if lent else []), *profile.home])
    return Found(profile.name, profile.agent, profile.model, version, by or "args", sandbox=written)


def _made_key(client: Program, home: Path, known: Mapping[str, str]) -> str:
    """Where Claude Code keeps a key that it made for itself, when it has one."""
    settings = claude_settings(home, known)
    with suppress(OSError):
        if client is CLIENTS["claude"] and b'"primaryApiKey"' in settings.read_bytes():
            return _at_home(settings, home)
    return ""


def _described(client: Program, home: Path) -> str:
    """The settings in which a client finds its services, where there are some."""
    return next((_at_home(home / name, home) for name in client.settings if (home / name).is_file()), "")


def _at_home(path: Path, home: Path) -> str:
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def _version(path: str) -> str:
    try:
        said = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_VERSION_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    number = _NUMBER.search(said.stdout)
    return number[0] if number else ""


def _probe_anthropic(profile: Profile, known: Mapping[str, str]) -> Found:
    from autoloop.agents.chat.configured import MODEL

    if not known.get("ANTHROPIC_API_KEY"):
        return _missing(profile, "ANTHROPIC_API_KEY is not set", "Set it in the environment or in .env.")
    return Found(profile.name, profile.agent, profile.model or MODEL, signed_in="ANTHROPIC_API_KEY")


def _probe_openai(profile: Profile, known: Mapping[str, str]) -> Found:
    from autoloop.agents.chat.configured import OPENAI

    url = str(profile.options.get("base_url") or known.get("OPENAI_BASE_URL") or OPENAI)
    key = "OPENAI_API_KEY" if known.get("OPENAI_API_KEY") else ""
    if url == OPENAI:
        if not key:
            remedy = "Set it in the environment or in .env, or name another endpoint in OPENAI_BASE_URL."
            return _missing(profile, "OPENAI_API_KEY is not set", remedy)
        return Found(profile.name, profile.agent, profile.model, signed_in=key)
    if problem := _unreachable(f"{url.rstrip('/')}/models"):
        return _missing(profile, problem, "Start the server, or mend OPENAI_BASE_URL.")
    return Found(profile.name, profile.agent, profile.model, signed_in=key or url)


def _probe_ollama(profile: Profile, known: Mapping[str, str]) -> Found:
    from autoloop.agents.chat.configured import endpoint

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
    return Found(profile.name, profile.agent, profile.model, signed_in=url)


_SERVICES: dict[str, Callable[[Profile, Mapping[str, str]], Found]] = {
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


def _missing(profile: Profile, problem: str, remedy: str | None) -> Found:
    return Found(profile.name, profile.agent, profile.model, problem=problem, remedy=remedy or "")
