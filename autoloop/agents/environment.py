"""The environment of an agent's processes: its variables, and which parts of the home it may write."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from autoloop.agents.profiles import Profile
from autoloop.config.fields import quoted
from autoloop.errors import AutoloopError
from autoloop.ports import Room, Task
from autoloop.process import absolute_paths
from autoloop.process.environment import PASSED_ON
from autoloop.sandbox.none import emptied

CLIENTS = ("ANTHROPIC_", "CLAUDE_", "CODEX_", "GEMINI_", "OLLAMA_", "OPENAI_", "OPENCODE_", "OPENROUTER_")
"""Variables of the clients and the services that they call begin with these."""
NETWORK = frozenset(
    [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "no_proxy",
        "all_proxy",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "CURL_CA_BUNDLE",
        "REQUESTS_CA_BUNDLE",
        "NODE_EXTRA_CA_CERTS",
        "IS_SANDBOX",
    ]
)
"""What a client needs to reach its service."""


def agents_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that an agent sees: those of a measurement, of the network and of the known clients."""
    allowed = PASSED_ON | NETWORK
    known = absolute_paths(environ)
    return {name: value for name, value in known.items() if name in allowed or name.startswith(("LC_", *CLIENTS))}


def session_room(task: Task, kept: Iterable[Path] = (), shows: Iterable[Path] = ()) -> Room:
    """The room of one session, with an empty home.

    `kept` are parts of the user's home that it may write, `shows` what else it can read at its own path.
    """
    if task.sandbox.tier != "none":
        emptied(task.cell.home)
    cell = replace(
        task.cell,
        kept=tuple(path for path in kept if path.exists()),
        shows=(*task.cell.shows, *(path for path in shows if path.exists())),
    )
    return task.sandbox.enter(cell)


def kept_paths(profile: Profile, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """The profile's parts of the home; AutoloopError for one that is not in it, or is all of it."""
    home = Path(environ.get("HOME") or Path.home())
    found = []
    for text in profile.home:
        path = Path(os.path.normpath(home / (text[2:] if text == "~" or text.startswith("~/") else text)))
        if path == home or not path.is_relative_to(home):
            raise AutoloopError(
                f"profile {quoted(profile.name)}: home holds {quoted(text)}, which is not a part of {home}",
                'Name what the agent must write, such as home = ["~/.claude"].',
            )
        found.append(path)
    return tuple(found)
