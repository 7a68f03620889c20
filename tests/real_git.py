"""Real repositories in temporary directories, for the tests of trees."""

import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

from autoloop.core.run.candidate import Capture
from autoloop.git.git_trees import GitTrees, TreeOptions
from autoloop.git.repository import Repository, find

AT = 1_700_000_000.0
SETTINGS = (
    "user.name=Tester", "user.email=tester@example.org", "gc.auto=0", "maintenance.auto=false",
    "protocol.file.allow=always", "init.defaultBranch=main",
)  # fmt: skip


def git(folder: Path | str, *arguments: str, accept: tuple[int, ...] = (0,)) -> str:
    """Run git as a person would, but quietly."""
    options = [word for setting in SETTINGS for word in ("-c", setting)]
    done = subprocess.run(["git", *options, *arguments], cwd=folder, capture_output=True, text=True, errors="replace")
    assert done.returncode in accept, done.stderr
    return done.stdout.strip()


def write(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def make_repository(folder: Path, files: dict[str, str] | None = None, *options: str) -> Path:
    """A repository with one commit."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", *options)
    git(folder, "config", "uploadpack.allowFilter", "true")
    git(folder, "config", "uploadpack.allowAnySHA1InWant", "true")
    write(
        folder, {"app.py": "print(1)\n", "src/lib.py": "x = 1\n", "src/deep/a.txt": "a\n"} if files is None else files
    )
    commit_all(folder)
    return folder


def commit_all(folder: Path, message: str = "a commit") -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", message)
    return git(folder, "rev-parse", "HEAD")


def open_trees(repository: Repository, home: Path, run: str = "r1", **options: object) -> GitTrees:
    trees = GitTrees(repository, home, run, f"autoloop/speed/{run}", TreeOptions(**options))  # type: ignore[arg-type]
    trees.open(repository.head)
    return trees


class Case:
    """A repository, its trees, and the agent's tree placed at the start."""

    def __init__(self, folder: Path, repository: Path | None = None, **options: object) -> None:
        self.folder = folder
        self.checkout = repository or make_repository(folder / "repo")
        self.repository = find(self.checkout)
        self.start = self.repository.head
        self.options = options
        self.trees = open_trees(self.repository, folder / "run-home", **options)
        self.tree = self.trees.place("agent", self.start)

    def again(self) -> "GitTrees":
        """As after a restart of the process."""
        self.trees = open_trees(self.repository, self.folder / "run-home", **self.options)
        return self.trees

    def capture(self, experiment: int = 1) -> Capture:
        return self.trees.capture(experiment, self.start, at=AT, message="experiment")

    def commit(self) -> str:
        candidate = self.capture().candidate
        assert candidate
        return candidate.commit

    def git(self, *arguments: str, accept: tuple[int, ...] = (0,)) -> str:
        return git(self.checkout, *arguments, accept=accept)


def look(folder: Path, skip: Callable[[str], bool] = lambda path: path == ".git") -> dict[str, tuple[object, ...]]:
    """Everything in a folder: kinds, executable bits and contents."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if skip(name.split("/")[0]):
            continue
        about = path.lstat()
        if stat.S_ISLNK(about.st_mode):
            found[name] = ("link", os.readlink(path))
        elif stat.S_ISREG(about.st_mode):
            found[name] = ("file", bool(about.st_mode & 0o100), path.read_bytes())
        else:
            found[name] = (stat.filemode(about.st_mode)[0],)
    return found


def kinds(capture: Capture) -> dict[str, str]:
    """The changes of a candidate."""
    assert capture.candidate, capture
    return {change.path: change.kind for change in capture.candidate.changes}
