"""Repositories of unusual shapes, and runs in them through the command line as a person would type it."""

import hashlib
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from autoloop import api
from autoloop.core.run.events import Decided
from autoloop.core.run.reasons import Reason
from autoloop.core.run.results import Row
from tests.real_git import git, write

SOURCE = Path(__file__).parents[2]
"""Where autoloop itself is."""

CONFIG = """\
rule = "median"
metric_field = "score"
direction = "higher"
noise_threshold = 0.01
repeats = 1
warmup = 0
max_experiments = 1
min_free_gb = 0
"""


class Strange:
    """A user's checkout, the program `p` in it, and an agent that is a shell script."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.said = ""

    def program(self, scripts: Mapping[str, str], config: str = "") -> None:
        """The program, not committed: it is read from the checkout as it is."""
        files = {"config.toml": CONFIG + config, "program.md": "Raise the score.\n", **scripts}
        write(self.root / "programs/p", files)

    def run(self, agent: str, *options: str, accept: tuple[int, ...] = (0, 3)) -> str:
        """A run with this agent; what it said."""
        script = self.root.parent / "agent.sh"
        script.write_text(agent)
        settings = {"AUTOLOOP_AGENT": "command", "AUTOLOOP_COMMAND": f"sh '{script}'"}
        return self.autoloop("run", "p", "--seed", "7", *options, settings=settings, accept=accept)

    def autoloop(self, *words: str, settings: Mapping[str, str] | None = None, accept: tuple[int, ...] = (0,)) -> str:
        """Type a command; what it said. The checkout has to be the same afterwards."""
        before = self.everything()
        command = [sys.executable, "-m", "autoloop", "-C", str(self.root), *words]
        path = f"{SOURCE}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        environment = {**os.environ, **(settings or {}), "PYTHONPATH": path}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
        self.said = done.stdout + done.stderr
        assert done.returncode in accept, self.said
        assert self.everything() == before, "the checkout changed"
        return self.said

    def refused(self) -> str:
        """Start a run that has to be refused before its first experiment; the message."""
        said = self.run("true", accept=(2,))
        assert not list((self.root / ".autoloop/runs").glob("*/*/run.json")), "a refused run leaves nothing"
        return said

    def decided(self, *reasons: Reason) -> Row:
        """The last experiment of the latest run, whose experiments ended with these reasons."""
        decided = [event.decision for event in api.events(self.root) if isinstance(event, Decided)]
        assert [decision.reason for decision in decided] == list(reasons), (decided, self.said)
        return api.results(self.root)[-1]

    def everything(self) -> dict[str, object]:
        """All that is the user's: files, index, HEAD, config, branches, and what `git status` says."""
        folder = Path(git(self.root, "rev-parse", "--path-format=absolute", "--git-dir"))
        branches = git(self.root, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        own = ("refs/autoloop/", "refs/heads/autoloop/")
        return {
            "status": self.status(),
            "branches": [branch for branch in branches if not branch.startswith(own)],
            **{name: (folder / name).read_bytes() for name in ("index", "HEAD", "config")},
            "files": _digest(self.root),
        }

    def status(self) -> str:
        """`git status`, without refreshing the index."""
        quiet = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
        command = ["git", "status", "--porcelain", "--branch"]
        return subprocess.run(command, cwd=self.root, env=quiet, capture_output=True, text=True, check=True).stdout


def _digest(root: Path) -> str:
    """Names, kinds and contents of all files but git's own and autoloop's."""
    digest = hashlib.sha256()
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in (".git", ".autoloop"))
        for name in sorted({*files, *folders}):
            path = os.path.join(folder, name)
            mode = os.lstat(path).st_mode
            digest.update(os.fsencode(f"{path}\0{mode}\0"))
            if stat.S_ISREG(mode) and name != ".git":
                digest.update(Path(path).read_bytes())
    return digest.hexdigest()


def need(*tools: str) -> None:
    """Skip the test when a tool is missing."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")


def fetch(command: list[str], cwd: Path, what: str) -> None:
    """Run something that needs the network; skip the test where there is none."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        pytest.skip(f"{what} cannot be reached: {' '.join(words)}")
