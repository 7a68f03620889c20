"""The programs of coding agents: their names, where they are installed, and by what people sign in."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Program:
    """One client."""

    name: str
    package: str
    """On npm."""
    keys: tuple[str, ...]
    """Variables that stand in for a sign-in."""
    files: tuple[str, ...]
    """At home, where a sign-in is kept."""
    sign_in: str
    """What to do about a missing one."""


CLAUDE = Program(
    "claude",
    "@anthropic-ai/claude-code",
    ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"),
    (".claude/.credentials.json",),
    "Sign in with `claude` and /login, or set CLAUDE_CODE_OAUTH_TOKEN (`claude setup-token`) or ANTHROPIC_API_KEY.",
)
CODEX = Program(
    "codex",
    "@openai/codex",
    ("CODEX_API_KEY",),
    (".codex/auth.json", ".codex/config.toml"),
    "Sign in with `codex login`, or set CODEX_API_KEY.",
)
OPENCODE = Program(
    "opencode",
    "opencode-ai",
    ("OPENCODE_CONFIG_CONTENT",),
    (".local/share/opencode/auth.json", ".config/opencode/opencode.json"),
    "Sign in with `opencode auth login`, or set OPENCODE_CONFIG_CONTENT.",
)
CLIENTS = {program.name: program for program in (CLAUDE, CODEX, OPENCODE)}


@dataclass(frozen=True)
class Located:
    """An installed client."""

    path: Path
    """Its real executable."""
    needs: tuple[Path, ...]
    """Directories that it is made of."""


def located(program: Program, env: Mapping[str, str]) -> Located | None:
    """Where a client is installed; None when PATH does not lead to it."""
    found = shutil.which(program.name, path=env.get("PATH"))
    if found is None:
        return None
    real = Path(found).resolve()
    parts = real.parts
    if "node_modules" in parts:  # a package finds the others beside it
        return Located(real, (Path(*parts[: parts.index("node_modules") + 1]),))
    return Located(real, (real.parent,))
