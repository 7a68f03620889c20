"""An sdist of the checkout, a wheel from that sdist, and for each Python an environment with nothing but that wheel."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.wheel.pythons import NAMED, PROJECT, ROOT, find, wanted

BUILD = "build>=1.2"
_HERE = Path(__file__).parent
_IMPORTS, _OFFLINE = _HERE / "modules.py", _HERE / "offline.py"
_INSTALLERS = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
"""For pip: the proxies, the settings and the cache of whoever runs the tests."""
_LONGEST = 600.0

Done = subprocess.CompletedProcess[str]
EXTRAS = {
    re.split(r"[\[<>=]", needed)[0]: extra
    for extra, several in PROJECT["project"]["optional-dependencies"].items()
    for needed in several
}
"""The extra that brings a package."""


def carry_out(*words: str | Path, cwd: Path, env: dict[str, str] = _INSTALLERS) -> str:
    """What a command prints; it has to end well."""
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, timeout=_LONGEST)
    assert done.returncode == 0, f"{[str(word) for word in words]}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Environment:
    """An empty environment of a Python, and a home and a working directory that know nothing of the checkout."""

    folder: Path

    @property
    def bin(self) -> Path:
        """Where its commands are."""
        return self.folder / "env/bin"

    @property
    def empty(self) -> Path:
        """Where it works."""
        return self.folder / "empty"

    @property
    def environ(self) -> dict[str, str]:
        """All that its commands are told."""
        outside = [place for place in os.environ["PATH"].split(":") if not Path(place).is_relative_to(ROOT)]
        places = {"HOME": str(self.folder / "home"), "TMPDIR": str(self.folder / "temporary")}
        return {**places, "PATH": ":".join([str(self.bin), *outside])}

    def make(self, python: str) -> None:
        """Make the environment, and the directories."""
        for name in ("empty", "home", "temporary"):
            (self.folder / name).mkdir()
        carry_out(python, "-m", "venv", self.folder / "env", cwd=self.folder)

    def pip(self, *words: str | Path) -> str:
        """Have its pip do something, with network."""
        return carry_out(self.bin / "python", "-m", "pip", "--disable-pip-version-check", *words, cwd=self.folder)

    def tries(self, command: str, *words: str | Path, cwd: Path | None = None, **variables: str) -> Done:
        """What becomes of one of its commands."""
        return subprocess.run(
            [self.bin / command, *words],
            cwd=cwd or self.empty,
            env=self.environ | variables,
            capture_output=True,
            text=True,
            timeout=_LONGEST,
        )

    def says(self, command: str, *words: str | Path, cwd: Path | None = None) -> str:
        """What a command prints that has to end well."""
        return carry_out(self.bin / command, *words, cwd=cwd or self.empty, env=self.environ)

    def imports(self) -> Any:
        """What came of importing every module."""
        return json.loads(self.says("python", "-I", _IMPORTS))


@dataclass(frozen=True)
class Demo:
    """A demo that was played where nothing else is."""

    told: str
    facts: dict[str, Any]
    root: Path
    asked: str
    """What it wanted of the network."""


@pytest.fixture(scope="session")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """What builds."""
    environment = Environment(tmp_path_factory.mktemp("builder"))
    environment.make(sys.executable)
    environment.pip("install", "--quiet", BUILD)
    return environment


@pytest.fixture(scope="session")
def sdist(builder: Environment) -> Path:
    """What is built from the checkout."""
    made = builder.folder / "sdist"
    carry_out(builder.bin / "python", "-m", "build", "--sdist", "--outdir", made, ROOT, cwd=builder.folder)
    return next(made.iterdir())


@pytest.fixture(scope="session")
def wheel(builder: Environment, sdist: Path) -> Path:
    """What is built from the sdist alone."""
    made = builder.folder / "wheel"
    builder.pip("wheel", "--quiet", "--no-deps", "--wheel-dir", made, sdist)
    return next(made.iterdir())


@pytest.fixture(scope="session", params=wanted())
def installed(
    request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Environment]:
    """The wheel in an empty environment, with what it depends on and no more."""
    python = find(request.param)
    if python is None and os.environ.get(NAMED):
        pytest.fail(f"{request.param}, of {NAMED}, is no Python that can make an environment", pytrace=False)
    if python is None:
        pytest.skip(f"{request.param} was found neither in PATH nor in pyenv: install it, or name one in {NAMED}")
    environment = Environment(tmp_path_factory.mktemp("installed"))
    environment.make(python)
    environment.pip("install", "--quiet", wheel)
    yield environment
    shutil.rmtree(environment.folder / "env")


@pytest.fixture(scope="session")
def demo(installed: Environment) -> Demo:
    """The demo, as it is typed into an empty directory by somebody without a network."""
    with _without_network(installed) as asked:
        done = installed.tries("autoloop", "demo", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        facts = json.loads(done.stdout)
        return Demo(done.stderr, facts, Path(facts["repository"]), asked.read_text() if asked.exists() else "")


@pytest.fixture(scope="session")
def extended(installed: Environment, wheel: Path) -> Environment:
    """The same environment, with the extras that modules ask for."""
    extras = {EXTRAS[package] for package in installed.imports()["absent"].values() if package}
    if extras:
        installed.pip("install", "--quiet", f"{wheel}[{','.join(sorted(extras))}]")
    return installed


@contextmanager
def _without_network(environment: Environment) -> Iterator[Path]:
    """Meanwhile no Python of the environment has one; the file that tells who asked, once somebody does."""
    (packages,) = environment.folder.glob("env/lib/python3*/site-packages")
    guard = Path(shutil.copy(_OFFLINE, packages))
    line, asked = guard.with_suffix(".pth"), guard.with_suffix(".asked")
    line.write_text(f"import {guard.stem}\n")
    try:
        ask = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"
        refused = environment.tries("python", "-I", "-c", ask)
        assert "there is no network" in refused.stderr and "192.0.2.1" in asked.read_text()
        asked.unlink()
        yield asked
    finally:
        line.unlink()
