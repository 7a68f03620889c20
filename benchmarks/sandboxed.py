"""What a sandbox costs: one command in each tier beside the same command without, and a whole experiment.

    python -m benchmarks.sandboxed [--rounds 200]

The commands take turns, so that a machine that changes its speed changes it for all of them.
"""

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from autoloop import process
from autoloop.errors import AutoloopError
from autoloop.ports import Cell, Sandbox
from autoloop.sandbox.choose import TIERS, choose
from autoloop.sandbox.none import NoSandbox
from autoloop.sandbox.places import Places, survey

ALLOWED_MS = 15.0
"""What a tier may add to a command, on a machine where `git --version` takes 1.5 ms."""
COMMAND = ("bash", "-c", ":")


@dataclass(frozen=True)
class Ground:
    """A place to start commands in."""

    places: Places
    cell: Cell
    cache: Path
    environ: Mapping[str, str]

    @classmethod
    def made(cls, folder: Path) -> "Ground":
        """A repository, a tree and a home, as a run has them, with a sealed directory and one of a sample."""
        root, cache = folder / "repository", folder / "cache"
        tree, home, sealed, sample = (cache / name for name in ("tree", "home", "sealed", "sample"))
        for path in (root, tree, home, sealed, sample):
            path.mkdir(parents=True)
        subprocess.run(["git", "init", "-q", str(root)], check=True)
        environ = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
        places = survey(root, root / ".git/objects", cache, environ)
        return cls(places, Cell(tree, home, reads=(sealed,), writes=(sample,)), cache, environ)

    def seconds(self, sandbox: Sandbox) -> float:
        """The wall time of one command, made ready as for each sample."""
        began = time.perf_counter()
        room = sandbox.enter(self.cell)
        command = [*room.prefix, *COMMAND]
        done = process.run(command, cwd=room.cwd, env={**self.environ, **room.env}, wrappers=room.wrappers)
        seconds = time.perf_counter() - began
        assert done.ok, done
        return seconds


def command_ms(rounds: int) -> dict[str, float]:
    """The median wall time of a command in milliseconds, by tier; a tier that does not work here is left out."""
    with tempfile.TemporaryDirectory(prefix="autoloop-sandboxed-") as folder:
        ground = Ground.made(Path(folder))
        sandboxes: dict[str, Sandbox] = {"none": NoSandbox()}
        for tier in TIERS:
            try:
                sandboxes[tier] = choose(tier, ground.places, ground.cache).sandbox
            except AutoloopError as error:
                print(f"{tier}: {error.message}")
        taken: dict[str, list[float]] = {tier: [] for tier in sandboxes}
        for _ in range(rounds):
            for tier, sandbox in sandboxes.items():
                taken[tier].append(ground.seconds(sandbox))
        return {tier: 1000 * median(seconds) for tier, seconds in taken.items()}


def report(rounds: int, slowness: float = 1.0) -> None:
    """Measure and print. `slowness` is that of the machine."""
    found = command_ms(rounds)
    for tier, milliseconds in found.items():
        added = milliseconds - found["none"]
        bound = "" if tier == "none" else f", {added:.1f} ms more (allowed {slowness * ALLOWED_MS:.0f})"
        print(f"one command, sandbox {tier}: {milliseconds:.1f} ms{bound}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=200)
    report(parser.parse_args().rounds)
