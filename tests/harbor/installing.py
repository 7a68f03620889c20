"""The format's own package, in an environment of its own in the cache: it takes a newer Python than autoloop does.

`python -m tests.harbor.installing` makes it where it is not there yet, and prints its Python; where it cannot be had
it prints nothing, and says why.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "harbor==0.26.0"
"""What the tests were written against: they look into its inside."""
PLACE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "autoloop-test-harbor"
OLDEST = (3, 12)


def candidates() -> Iterator[str]:
    """Pythons that may be new enough: the one that is named, those in PATH, those of pyenv."""
    named = [os.environ.get("PYTHON312", ""), sys.executable, *(f"python3.{minor}" for minor in range(12, 20))]
    yield from filter(None, (shutil.which(name) for name in named if name))
    yield from map(str, sorted((Path.home() / ".pyenv/versions").glob("3.*/bin/python3")))


def is_new_enough(python: str) -> bool:
    """By what it says of itself: a name of pyenv may lead to no version at all."""
    words = [python, "-c", f"import sys; sys.exit(sys.version_info < {OLDEST})"]
    return subprocess.run(words, capture_output=True).returncode == 0


def install() -> Path | None:
    """The Python that has the package; None where no Python is new enough."""
    python, stamp = PLACE / "bin/python", PLACE / "installed"
    if python.exists() and stamp.exists() and stamp.read_text() == PACKAGE:
        return python
    found = next(filter(is_new_enough, candidates()), None)
    if found is None:
        return None
    subprocess.run([found, "-m", "venv", "--clear", PLACE], check=True, stdout=sys.stderr)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, PACKAGE], check=True, stdout=sys.stderr)
    stamp.write_text(PACKAGE)
    return python


if __name__ == "__main__":
    made = install()
    if made is None:
        print(
            "no Python 3.12 or newer was found: install one, or name it as PYTHON312=/path/to/python", file=sys.stderr
        )
    else:
        print(made)
