"""Search paths without what is relative: that counts from a command's directory, where agents and candidates write."""

import os
import shutil
from collections.abc import Iterable, Mapping

SEARCHED = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""An empty entry is relative too: it is the working directory."""


def absolute_paths(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment, its search paths without relative entries; a variable that has no other goes."""
    kept = {name: _absolute(value.split(os.pathsep)) for name, value in environ.items() if name in SEARCHED}
    return {name: kept.get(name, value) for name, value in environ.items() if kept.get(name) != ""}


def executable(name: str) -> str | None:
    """The absolute path of a program on the search path; None when there is none."""
    return shutil.which(name, path=_absolute(os.environ.get("PATH", os.defpath).split(os.pathsep)))


def _absolute(entries: Iterable[str]) -> str:
    return os.pathsep.join(entry for entry in entries if entry.startswith("/"))


PASSED_ON = frozenset(
    [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "LANG",
        "TZ",
        "TMPDIR",
        "TERM",
        "VIRTUAL_ENV",
        "CONDA_PREFIX",
        "PYENV_ROOT",
        "PYENV_VERSION",
        "JAVA_HOME",
        "CARGO_HOME",
        "RUSTUP_HOME",
        "GOPATH",
        "GOROOT",
        "GOCACHE",
        "NVM_DIR",
        "LD_LIBRARY_PATH",
        "CC",
        "CXX",
    ]
)
"""What a measurement needs to find its tools. Not PYTHONDONTWRITEBYTECODE: imports would recompile at each sample."""
