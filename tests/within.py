"""A sandbox inside of a sandbox: `python -m tests.within OUTER TRACING FOLDER` says what the inner one comes to."""

import json
import os
import subprocess
import sys
from pathlib import Path

from autoloop import process
from autoloop.ports import Cell
from autoloop.sandbox.choose import choose
from autoloop.sandbox.places import Places, survey

ROOT = Path(__file__).parent.parent
SECRET = "of another trial"
PACKAGES = [path for path in sys.path if path.endswith("site-packages")]


def place_in(folder: Path) -> tuple[Places, Path]:
    """A checkout, its cache with a tree and a home, and something private."""
    root, cache = folder / "checkout", folder / "cache"
    for place in (root, cache / "tree", cache / "home"):
        place.mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    (cache / "private").write_text(SECRET)
    return survey(root, root / ".git/objects", cache, os.environ, read_paths=[str(ROOT), *PACKAGES]), cache


def outside(tier: str, tracing: bool, folder: Path) -> None:
    """Start the inner one in a cell."""
    places, cache = place_in(folder)
    sandbox = choose(tier, places, cache).sandbox
    room = sandbox.enter(Cell(cache / "tree", cache / "home", tracing=tracing))
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join([str(ROOT), *PACKAGES]), "LANG": "C.UTF-8"}
    command = [*room.prefix, sys.executable, "-m", "tests.within"]
    given = {**environ, "AUTOLOOP_TREE": str(cache / "tree"), **room.env}
    done = process.run(command, cwd=room.cwd, env=given, wrappers=room.wrappers)
    print(done.stdout, done.stderr)


def inside() -> None:
    """Take the best sandbox that works, and start a command in it that works and one that pries."""
    places, cache = place_in(Path.cwd() / "within")
    choice = choose("auto", places, cache)
    room = choice.sandbox.enter(Cell(cache / "tree", cache / "home", tracing=False))
    private = f"{cache}/private /proc/[0-9]*/root{cache}/private"
    pry = f"cat {private}; for file in {private}; do echo > $file; done; kill -9 {os.getpid()}"
    script = f"echo worked > made && cat made; {pry}"
    environ = {"PATH": os.environ["PATH"], **room.env}
    done = process.run([*room.prefix, "sh", "-c", script], cwd=room.cwd, env=environ, wrappers=room.wrappers)
    kept = (cache / "private").read_text() == SECRET
    found = {"tier": choice.sandbox.tier, "said": done.stdout.split("\n"), "kept": kept, "warning": choice.warning}
    print(json.dumps(found))


if __name__ == "__main__":
    outside(sys.argv[1], sys.argv[2] == "True", Path(sys.argv[3])) if sys.argv[1:] else inside()
