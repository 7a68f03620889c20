"""The Pythons that a wheel is tried on: those that the package is for, wherever this machine has them."""

import functools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
NAMED = "PYTHONS"
"""Commands to try instead, with spaces between them."""
_FOR = re.compile(r"Programming Language :: Python :: (3\.\d+)")
_VERSION = re.compile(r"python(3\.\d+)")
_PYENV = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"


def wanted() -> list[str]:
    """The commands that are named, else one for each version that the package says it is for."""
    versions = (_FOR.fullmatch(classifier) for classifier in PROJECT["project"]["classifiers"])
    return os.environ.get(NAMED, "").split() or [f"python{version[1]}" for version in versions if version]


@functools.cache
def find(name: str) -> str | None:
    """The first Python under this name that can make environments; None where there is none."""
    version = _VERSION.fullmatch(name)
    return next((python for python in _candidates(name) if _is_one(python, version[1] if version else "")), None)


def _candidates(name: str) -> Iterator[str]:
    """What the name leads to; for `python3.12` also other commands that may be of that version."""
    names = [name]
    if version := _VERSION.fullmatch(name):
        names += map(str, sorted(_PYENV.glob(f"{version[1]}.*/bin/python3"), key=_number, reverse=True))
        names += ["python3", sys.executable]
    yield from filter(None, map(shutil.which, names))


def _number(python: Path) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", python.parts[-3])]


def _is_one(python: str, version: str) -> bool:
    """By what it says of itself: a name of pyenv may lead to no version at all, and a distribution may lack `venv`."""
    code = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True)
    return done.returncode == 0 and done.stdout.strip() == (version or done.stdout.strip())
