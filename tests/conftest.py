"""No test sees the home, the cache or the settings of whoever runs it."""

import os
from pathlib import Path

import pytest

from tests.real_run import Checkout


@pytest.fixture(autouse=True)
def _places_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inherited = [name for name in os.environ if name.startswith(("AUTOLOOP_", "GIT_"))]
    for name in (*inherited, "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home/.cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home/.config"))
    monkeypatch.setenv("AUTOLOOP_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "home").mkdir()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A repository with a program that measures `code.py`, and an agent that makes it faster."""
    return Checkout(tmp_path / "checkout", tmp_path / "cache")
