"""The programs of coding agents: their names, where they are installed, and by what people sign in."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ClientProgram:
    """The program of one client: its name, its package, its files and how people sign in."""

    name: str
    package: str
    """The name of its package on npm."""
    keys: tuple[str, ...]
    """Variables that stand in for a sign-in."""
    folder: str
    """The directory of its files, from the home."""
    elsewhere: str
    """The variable that names another directory for them."""
    store: str
    """The file of that folder that holds the sign-in."""
    sign_in: str
    """The advice when no sign-in is found."""
    settings: tuple[str, ...] = ()
    """Files of the home that describe services, one of which may need no sign-in."""

    def signed_in(self, home: Path, env: Mapping[str, str]) -> Path:
        """Where a sign-in of the user's is kept, whether there is one or not."""
        other = env.get(self.elsewhere, "")
        return (Path(other) if other.startswith("/") else home / self.folder) / self.store


CLAUDE = ClientProgram(
    name="claude",
    package="@anthropic-ai/claude-code",
    keys=("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"),
    folder=".claude",
    elsewhere="CLAUDE_CONFIG_DIR",
    store=".credentials.json",
    sign_in="Sign in with `claude` and /login, or set CLAUDE_CODE_OAUTH_TOKEN (`claude setup-token`) or "
    "ANTHROPIC_API_KEY.",
)
CODEX = ClientProgram(
    name="codex",
    package="@openai/codex",
    keys=("CODEX_API_KEY",),
    folder=".codex",
    elsewhere="CODEX_HOME",
    store="auth.json",
    sign_in="Sign in with `codex login`, or set CODEX_API_KEY.",
)
OPENCODE = ClientProgram(
    name="opencode",
    package="opencode-ai",
    keys=(
        "OPENCODE_CONFIG_CONTENT",
        "OPENCODE_API_KEY",
        "ANTHROPIC_API_KEY",
        "OPENAI_API_KEY",
        "OPENROUTER_API_KEY",
        "GEMINI_API_KEY",
    ),
    folder=".local/share/opencode",
    elsewhere="",
    store="auth.json",
    sign_in="Sign in with `opencode auth login`, set the key of a service, or describe one in "
    "~/.config/opencode/opencode.json.",
    settings=(".config/opencode/opencode.json", ".config/opencode/opencode.jsonc"),
)


def claude_settings(home: Path, env: Mapping[str, str]) -> Path:
    """Where Claude Code keeps its settings, and a key that it made for itself."""
    other = env.get(CLAUDE.elsewhere, "")
    return (Path(other) if other.startswith("/") else home) / ".claude.json"


CLIENTS = {program.name: program for program in (CLAUDE, CODEX, OPENCODE)}


@dataclass(frozen=True)
class Located:
    """The place of an installed client."""

    path: Path
    """Its real executable."""
    needs: Path
    """The file or the directory that holds the whole installation."""


def located(program: ClientProgram, env: Mapping[str, str]) -> Located | None:
    """Where a client is installed; None when PATH does not lead to it."""
    found = shutil.which(program.name, path=env.get("PATH"))
    if found is None:
        return None
    real = Path(found).resolve()
    parts = real.parts
    if "node_modules" in parts:  # a package finds the others beside it
        return Located(real, Path(*parts[: parts.index("node_modules") + 1]))
    return Located(real, real)
