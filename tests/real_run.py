"""A real repository with a program and an agent, and runs of it through the api, for the tests of whole runs."""

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from copy import copy
from pathlib import Path
from typing import Any

import pytest

from autoloop import api
from autoloop.core.run.events import Event
from autoloop.core.run.results import Row
from autoloop.host.signals import Signals
from autoloop.ports import Progress
from autoloop.runs.directory import RunDirectory
from autoloop.runs.find import find_run
from autoloop.runs.record import read_events
from autoloop.runs.resume import RunEnd
from tests.real_git import commit_all, git, write
from tests.restored import Restored

READ = "read -r _ _ x < code.py"
"""Takes 100 from the line `x = 100`, as quickly as a shell can start."""
CONFIG: Mapping[str, object] = {
    "metric_field": "ms",
    "direction": "lower",
    "rule": "median",
    "noise_threshold": 0.02,
    "repeats": 1,
    "warmup": 0,
    "max_experiments": 3,
    "min_free_gb": 0,
}
CODE = "x = 100\n"


def move_in(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Let this folder hold home, settings and cache, and forget what is set for whoever runs the tests."""
    inherited = [name for name in os.environ if name.startswith(("AUTOLOOP_", "GIT_"))]
    for name in (*inherited, "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV"):
        patch.delenv(name, raising=False)
    live_in(folder, patch)
    (folder / "home").mkdir()


def live_in(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Let home, settings and cache be those of a folder that somebody has moved into."""
    patch.setenv("HOME", str(folder / "home"))
    patch.setenv("XDG_CACHE_HOME", str(folder / "home/.cache"))
    patch.setenv("XDG_CONFIG_HOME", str(folder / "home/.config"))
    patch.setenv("AUTOLOOP_CACHE_DIR", str(folder / "cache"))
    patch.setenv("AUTOLOOP_SANDBOX", "none")


class Checkout:
    """A user's checkout. Its agent is a shell script at home."""

    def __init__(self, root: Path, cache: Path) -> None:
        self.root, self.cache = root, cache
        self.program = root / "programs/p"
        self.seen: list[Progress] = []
        root.mkdir(parents=True)
        git(root, "init", "--quiet")
        write(root, {"code.py": CODE, "programs/p/program.md": "Lower x.\n"})
        self.configure()
        self.measure('echo "{\\"ms\\": $x}"')
        self.agent("")
        commit_all(root)

    def configure(self, **fields: object) -> None:
        """Write the program's config, uncommitted: it is read from the checkout as it is."""
        values = {**CONFIG, **fields}
        text = "".join(f"{name} = {toml(value)}\n" for name, value in values.items())
        write(self.root, {"programs/p/config.toml": text})

    def script(self, name: str, text: str) -> None:
        """One of the program's scripts."""
        write(self.program, {name: text})

    def measure(self, *lines: str) -> None:
        """What measure.sh does, once it has read `$x` from the first line of code.py."""
        self.script("measure.sh", "".join(f"{line}\n" for line in (READ, *lines)))

    def agent(self, script: str) -> None:
        """What the agent does, in the language of the shell; `$n` is the experiment's number."""
        Path.home().joinpath("agent.sh").write_text(f"n=$AUTOLOOP_EXPERIMENT\n{script}\n")
        profile = {"agent": "command", "command": 'sh "$HOME/agent.sh"'}
        lines = "".join(f"{name} = {toml(value)}\n" for name, value in profile.items())
        write(self.root, {"autoloop.toml": f'default_profile = "mine"\n[profiles.mine]\n{lines}'})

    def run(self, **options: Any) -> RunEnd:
        """Start a run in this process and carry it to its end."""
        return self._call(api.run, options)

    def resume(self, **options: Any) -> RunEnd:
        """Go on with the latest run."""
        return self._call(lambda root, slug, *rest, **named: api.resume(root, slug, None, *rest, **named), options)

    def _call(self, function: Callable[..., RunEnd], options: dict[str, Any]) -> RunEnd:
        signals = options.pop("signals", Signals())
        on_progress = options.pop("on_progress", self.seen.append)
        root = options.pop("root", self.root)
        chosen = api.RunOptions(seed=7, **options)
        return function(root, "p", chosen, signals=signals, on_progress=on_progress)

    @property
    def directory(self) -> RunDirectory:
        """The latest run."""
        return find_run(self.root, None)

    @property
    def events(self) -> list[Event]:
        """The journal of the latest run."""
        return list(read_events(self.directory.journal))

    @property
    def rows(self) -> list[Row]:
        """The rows of the latest run, the baseline first."""
        return api.results(self.root)

    @property
    def reasons(self) -> list[str]:
        """Of each experiment in turn."""
        return [row.reason for row in self.rows[1:]]

    def row(self, experiment: int) -> Row:
        """One experiment's row."""
        return self.rows[experiment]

    def status(self) -> dict[str, Any]:
        """The latest run in one look."""
        return api.status(self.root)

    def said(self, phase: str) -> list[str]:
        """What was said of a phase."""
        return [sign.text for sign in self.seen if sign.phase == phase]

    def refs(self) -> dict[str, str]:
        """Every ref that autoloop made, and its commit."""
        listing = git(
            self.root, "for-each-ref", "--format=%(refname) %(objectname)", "refs/autoloop", "refs/heads/autoloop"
        )
        return dict(line.split(" ") for line in listing.splitlines())

    def head(self) -> str:
        """The commit of what was kept."""
        return self.refs()[f"refs/autoloop/{self.directory.run_id}/head"]

    def files_of(self, commit: str) -> list[str]:
        """The paths in a commit."""
        return git(self.root, "-c", "core.quotePath=false", "ls-tree", "-r", "--name-only", commit).splitlines()

    def snapshot(self) -> dict[str, object]:
        """What of a user's repository must never change: its files, index, HEAD, config, branches."""
        kept = {name: (self.root / ".git" / name).read_bytes() for name in ("index", "HEAD", "config")}
        branches = git(self.root, "for-each-ref", "refs/heads", "refs/tags", "--format=%(refname) %(objectname)")
        own = [line for line in branches.splitlines() if "refs/heads/autoloop/" not in line]
        return {**kept, "branches": own, "files": self._files()}

    def _files(self) -> dict[str, object]:
        found = (
            path
            for path in sorted(self.root.rglob("*"))
            if path.relative_to(self.root).parts[0] not in (".git", ".autoloop")
        )
        return {str(path): path.read_bytes() if path.is_file() else path.lstat().st_mode for path in found}

    def status_text(self) -> str:
        """`git status`, as the user sees it, without touching the index."""
        quiet = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
        command = ["git", "status", "--porcelain"]
        return subprocess.run(command, cwd=self.root, env=quiet, capture_output=True, text=True, check=True).stdout


class MadeOnce:
    """A checkout that has come far, by runs for example, made once for the tests of a module."""

    def __init__(self, folder: Path, make: Callable[[Checkout], object]) -> None:
        place = folder / "place"
        place.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            move_in(place, patch)
            self._checkout = Checkout(place / "checkout", place / "cache")
            make(self._checkout)
        self._place = Restored(place)

    def again(self, patch: pytest.MonkeyPatch) -> Checkout:
        """The checkout as it was made, for a test to do with as it likes."""
        self._place.restore()
        live_in(self._place.folder, patch)
        found = copy(self._checkout)
        found.seen = []
        return found


def toml(value: object) -> str:
    """A value as TOML has it: JSON, but for tables."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(name)} = {toml(inner)}" for name, inner in value.items()) + "}"
    return json.dumps(value)
