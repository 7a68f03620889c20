"""What a run takes of the disk, part by part, next to what docs/disk.md says of each."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bounds import Bound

STEADY = ("t", "caches", "index", "homes", "scratch", "aside")
"""Parts of a run's home that do not grow with its experiments."""
HOME = {*STEADY, "git", "owner", "built-a", "built-b", "built-agent"}
RUN = {"run.json", "journal.jsonl", "results.tsv", "ideas.md", "state.json", "prompt.md", "sealed", "experiments"}
RUN |= {"run.lock", "control.json"}
LARGEST = {"packet.md": 240_000, "session.jsonl": 16_000_000, "diff.patch": 200_100}
"""Bytes of what an experiment leaves. A packet has 60,000 characters, of at most four bytes each."""
IDEAS = 500
"""Lines at most: 200 that were tried, 200 that worked, 80 of advice, and titles."""
FOLDERS_OF_OBJECTS = 2_200
"""kB at most: 256 folders, twice, and a few small files."""


@dataclass(frozen=True)
class Disk:
    """At one instant."""

    sizes: dict[str, int]
    """Bytes: of single files their length, of folders what they take of the disk."""
    largest: dict[str, int]
    """Bytes of the largest of the files that each experiment has."""
    ideas: int
    """Lines in `ideas.md`."""
    objects: int
    """Loose objects in the user's repository."""
    object_bytes: int
    refs: int
    strange: tuple[str, ...]
    """What the documentation does not name."""

    @property
    def steady(self) -> int:
        return sum(self.sizes[name] for name in STEADY)

    def cells(self) -> dict[str, str]:
        """For a table; kB."""
        named = {"run": "run", "journal": "journal.jsonl", "results": "results.tsv", "ideas": "ideas.md"}
        shown = {name: f"{self.sizes[part] / 1000:.0f}" for name, part in named.items()}
        shown |= {"trees": f"{self.steady / 1000:.0f}", "git": f"{self.sizes['git'] / 1000:.0f}"}
        return shown | {
            "objects": str(self.objects),
            "obj. kB": f"{self.object_bytes / 1000:.0f}",
            "refs": f"{self.refs}",
        }

    def bounds(self, before: "Disk", experiments: int, commits: int) -> Iterator[Bound]:
        """What may have been added since, by so many experiments, of which some proposed a commit."""

        def more(name: str) -> float:
            return (self.sizes[name] - before.sizes[name]) / 1000

        said = ", ".join(self.strange[:5])
        yield Bound("files that are not documented", len(self.strange), 0, where=said, form="{:.0f}")
        for name, most in LARGEST.items():
            yield Bound(f"the largest {name}, kB", self.largest[name] / 1000, most / 1000)
        yield Bound("journal, kB an experiment", more("journal.jsonl") / experiments, 39.0)
        yield Bound("results.tsv, kB an experiment", more("results.tsv") / experiments, 3.0)
        yield Bound("ideas.md, lines", self.ideas, IDEAS, form="{:.0f}")
        yield Bound("state.json, growth in kB", more("state.json"), 1.0)
        yield Bound("trees, caches, homes and scratch, growth in kB", (self.steady - before.steady) / 1000, 100.0)
        yield Bound("the run's git beside shared objects, kB", self.sizes["git"] / 1000, FOLDERS_OF_OBJECTS)
        yield Bound("refs beside one a candidate", self.refs - before.refs - commits, 0, form="{:.0f}")
        yield Bound("objects a candidate", (self.objects - before.objects) / max(commits, 1), 8.0)


def look_at_disk(root: Path, cache: Path) -> Disk:
    """Walk through all of it. The run has to stand still."""
    (record,) = root.glob(".autoloop/runs/soak/*/run.json")
    run, home = record.parent, cache / record.parent.name
    files = [path for path, _ in walk(run / "experiments")]
    objects = [(path, info) for path, info in walk(root / ".git/objects") if len(path.parent.name) == 2]
    shared = {(info.st_dev, info.st_ino) for _, info in objects}
    refs = ["git", "for-each-ref", "refs/autoloop"]
    views = ("journal.jsonl", "results.tsv", "ideas.md", "state.json")
    beside = {path.name for path in cache.iterdir()} - {home.name}
    strange = (
        *(beside | {path.name for path in home.iterdir()} - HOME | {path.name for path in run.iterdir()} - RUN),
        *(path.name for path in files if path.name not in LARGEST),
    )
    return Disk(
        sizes={
            "run": blocks(run),
            **{name: (run / name).stat().st_size for name in views},
            **{name: blocks(home / name, shared) for name in (*STEADY, "git")},
        },
        largest={name: max((p.stat().st_size for p in files if p.name == name), default=0) for name in LARGEST},
        ideas=len((run / "ideas.md").read_bytes().splitlines()),
        objects=len(objects),
        object_bytes=sum(info.st_size for _, info in objects),
        refs=len(subprocess.run(refs, cwd=root, capture_output=True, check=True).stdout.splitlines()),
        strange=strange,
    )


def blocks(folder: Path, shared: set[tuple[int, int]] | None = None) -> int:
    """Bytes that a folder takes of the disk, without what is shared."""
    own = (info.st_blocks for _, info in walk(folder) if (info.st_dev, info.st_ino) not in (shared or ()))
    return 512 * (sum(os.lstat(above).st_blocks for above, _, _ in os.walk(folder)) + sum(own))


def walk(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Every file below a place."""
    for above, folders, names in os.walk(folder):
        for name in (*names, *(name for name in folders if os.path.islink(f"{above}/{name}"))):
            path = Path(above, name)
            yield path, path.lstat()
