"""The places that autoloop uses on this machine (cache directory, user's settings), and the versions of its tools."""

import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def cache_directory(environ: Mapping[str, str]) -> Path:
    """Where trees live: `$AUTOLOOP_CACHE_DIR`, else `autoloop` in the user's cache directory."""
    if chosen := environ.get("AUTOLOOP_CACHE_DIR"):
        return Path(chosen).expanduser().resolve()
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/autoloop"
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "autoloop"


def versions() -> dict[str, str]:
    """The versions of autoloop and Python, and the platform, for the record of a run."""
    try:
        own = version("autoloop-engine")
    except PackageNotFoundError:
        own = "unknown"
    return {"autoloop": own, "python": sys.version.split()[0], "platform": sys.platform}


FILE = "autoloop.toml"


def user_config(environ: Mapping[str, str]) -> Path | None:
    """Where the user's own `autoloop.toml` would be."""
    configured = environ.get("XDG_CONFIG_HOME", "")
    if configured.startswith("/"):  # the standard has others ignored
        return Path(configured) / "autoloop" / FILE
    home = environ.get("HOME")
    return Path(home) / ".config" / "autoloop" / FILE if home else None
