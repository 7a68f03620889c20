"""A run and a bench that an earlier version began and that were killed: read as they were, and carried to their end.

What they are known by is files and commands, so that no move inside the package touches this: data/before/README.md.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import autoloop

DATA = Path(__file__).parent / "data/before"
PLACE = "/the/project"
"""Stands in the data for the directory that they are unpacked into."""
IDS = {"run": "20261201-030649-287c0", "bench": "20261201-030653-f6a9"}
"""As they were begun. A test gives them others, since a resume ends whatever runs under its id on this machine."""
LOOKING = """
import io, json, runpy, sys
from contextlib import redirect_stdout
said = []
for line in sys.argv[1:]:
    sys.argv = ["autoloop", *line.split()]
    with redirect_stdout(io.StringIO()) as out:
        try:
            runpy.run_module("autoloop", run_name="__main__")
        except SystemExit as end:
            assert not end.code, line
    said.append(out.getvalue())
json.dump(said, sys.stdout)
"""
"""Types several commands in one process, which spares the imports of all but one."""
EXPERIMENTS = ".autoloop/runs/speed/*/experiments/*/*"
BENCH = "results/words"
UNLIKE = {"started", "finished", "started_at", "updated_at", "commit"}
"""What no two processes do alike. Nor anything in seconds; and a commit has its time in it."""


@dataclass(frozen=True)
class Kept:
    """A project in which something was killed."""

    root: Path
    data: Path
    """Its archive, and what the version that began it printed of it."""
    names: dict[str, str]
    """What stands here for what stands in the data."""

    def type(self, *words: str) -> str:
        return self._run("-m", "autoloop", *words)

    def look(self, *lines: str) -> Iterator[str]:
        """What each of these commands prints."""
        return map(self.as_it_was, json.loads(self._run("-c", LOOKING, *lines)))

    def as_it_was(self, text: str) -> str:
        """In the names of the data."""
        return renamed(text, {here: there for there, here in self.names.items()})

    def _run(self, *words: str) -> str:
        environ = {**os.environ, "PYTHONPATH": str(Path(autoloop.__file__).parents[1])}
        done = subprocess.run(
            [sys.executable, *words], cwd=self.root, env=environ, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def golden(self, name: str) -> Any:
        return facts((self.data / name).read_text())

    def journal(self) -> bytes:
        """All of its whole lines."""
        (path,) = self.root.rglob("journal.jsonl")
        return b"".join(line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n"))

    def files(self, *patterns: str) -> dict[str, bytes]:
        found = (path for pattern in patterns for path in self.root.glob(pattern) if path.is_file())
        return {str(path.relative_to(self.root)): path.read_bytes() for path in found}

    def git(self, *words: str) -> str:
        command = ["git", "-c", "init.defaultBranch=main", *words]
        return subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=True).stdout.strip()

    def pins(self) -> dict[str, str]:
        """The commits that a run holds on to, by the last part of their refs."""
        listing = self.git("for-each-ref", "refs/autoloop", "--format=%(refname:lstrip=3) %(objectname)")
        return dict(line.split() for line in listing.splitlines())

    def settled(self) -> dict[str, Any]:
        """The records of the trials of a bench that came to something, by the directory of their files."""
        trials = map(json.loads, self.files(f"{BENCH}/runs/*.json").values())
        return {
            f"{BENCH}/iterations/{one['iteration']:03d}/{one['arm']}/{one['test_id']}": one
            for one in trials
            if one["outcome"] != "error"
        }


def unpacked(kind: str, folder: Path) -> Kept:
    root, known = folder.resolve() / "project", IDS[kind]
    kept = Kept(root, DATA / kind, {PLACE: str(root), known: known[:-4] + secrets.token_hex(2)})
    shutil.unpack_archive(kept.data / "unfinished.tar.gz", root, filter="data")
    for path in sorted(root.rglob("*"), reverse=True):
        if path.is_file() and path.suffix != ".bundle":
            path.write_text(renamed(path.read_text(), kept.names))
        path.rename(path.with_name(renamed(path.name, kept.names)))
    return kept


def renamed(text: str, names: dict[str, str]) -> str:
    for old, new in names.items():
        text = text.replace(old, new)
    return text


@pytest.fixture
def run(tmp_path: Path) -> Kept:
    kept = unpacked("run", tmp_path)
    own = kept.names[known := IDS["run"]]
    refs = ("heads/main", f"heads/autoloop/speed/{known}", f"autoloop/{known}/*")
    kept.git("init", "--quiet")
    kept.git(
        "fetch", "--quiet", "--update-head-ok", "repository.bundle",
        *(f"refs/{ref}:refs/{ref.replace(known, own)}" for ref in refs),
    )  # fmt: skip
    kept.git("reset", "--quiet", "--hard", "main")
    return kept


@pytest.fixture
def bench(tmp_path: Path) -> Kept:
    return unpacked("bench", tmp_path)


def facts(text: str) -> Any:
    """What is in a text of JSON, in digits that all machines agree on."""
    return json.loads(text, parse_float=lambda digits: float(f"{float(digits):.9g}"))


def timeless(value: Any) -> Any:
    match value:
        case dict():
            lasting = [name for name in value if name not in UNLIKE and not name.endswith("seconds")]
            return {name: timeless(value[name]) for name in lasting}
        case list():
            return [timeless(inner) for inner in value]
    return value


def figures(report: str) -> list[str]:
    """The rows of a report's tables; what is said around them may be said better."""
    return [line for line in report.splitlines() if line.startswith("|")]


def test_an_unfinished_run_is_read_as_it_was(run: Kept) -> None:
    shown = ("status", "results", "show 3", "show 5")
    *found, ideas, report = run.look(*(f"{line} --json" for line in shown), "ideas", "report --markdown -")
    for line, text in zip(shown, found, strict=True):
        assert facts(text) == run.golden(f"{line.replace(' ', '-')}.json"), line
    assert ideas == (run.data / "ideas.md").read_text()
    assert figures(report) == figures((run.data / "report.md").read_text())


def test_an_unfinished_run_goes_on_and_keeps_every_experiment_and_sample(run: Kept) -> None:
    journal, records, pins = run.journal(), run.files(EXPERIMENTS), run.pins()
    checkout = run.files("*", "programs/**/*")
    run.type("run", "speed", "--resume")
    assert run.journal().startswith(journal)
    assert records.items() <= run.files(EXPERIMENTS).items()
    assert run.files("*", "programs/**/*") == checkout
    rows, status = map(facts, run.look("results --json", "status --json"))
    assert rows[:6] == run.golden("results.json")
    assert {"results": timeless(rows), "status": timeless(status)} == run.golden("finished.json")
    kept = pins.pop("head")
    assert pins.items() <= run.pins().items()
    branch = run.git("for-each-ref", "refs/heads/autoloop", "--format=%(objectname)")
    assert branch == run.pins()["head"] == status["head"] == pins["6"]
    assert kept in run.git("rev-list", branch)


def test_an_unfinished_bench_is_read_as_it_was(bench: Kept) -> None:
    status, report = bench.look("status --json", f"report {BENCH} --markdown -")
    assert facts(status) == bench.golden("status.json")
    assert figures(report) == figures((bench.data / "report.md").read_text())


def test_an_unfinished_bench_goes_on_and_keeps_every_trial(bench: Kept) -> None:
    journal, settled = bench.journal(), bench.settled()
    records = bench.files(*(f"{place}/**/*" for place in settled))
    assert facts(bench.type("bench", "--resume", BENCH, "--json")) == bench.golden("metrics.json")
    assert bench.journal().startswith(journal)
    assert records.items() <= bench.files(f"{BENCH}/iterations/**/*").items()
    assert settled.items() <= bench.settled().items()
    assert len(bench.settled()) == 16, "the other four are of a task that cannot be set up"
    summary = facts(bench.as_it_was((bench.root / BENCH / "summary.json").read_text()))
    assert timeless(summary) == bench.golden("summary.json")
