"""Finding and describing the user's repository. It is read here, never written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from autoloop.errors import AutoloopError
from autoloop.git.command import GitFailed, users_git


@dataclass(frozen=True)
class Repository:
    """A checkout of the user's, as it was when it was found."""

    root: Path
    """The work tree's root."""
    git_dir: Path
    """The git directory of this worktree."""
    common_dir: Path
    """The git directory that all its worktrees share: objects, refs, config."""
    head: str
    """The commit that is checked out."""
    branch: str | None
    """None on a detached HEAD."""


def find(path: Path) -> Repository:
    """The repository that `path` lies in."""
    if not path.is_dir():
        raise AutoloopError(f"{path} is not a directory", "Name a directory inside a git repository.")
    git = users_git(path)
    try:
        answer = git.text("rev-parse", "--path-format=absolute", "--is-bare-repository", "--is-inside-work-tree",
                          "--git-dir", "--git-common-dir")  # fmt: skip
    except GitFailed as error:
        if "not a git repository" not in error.message:
            raise
        raise AutoloopError(f"{path} is not in a git repository", "Go to one, or start one: `git init`.") from error
    bare, inside, git_dir, common_dir = answer.split("\n", 3)
    if inside != "true":
        kind = "a bare repository" if bare == "true" else "inside a git directory"
        raise AutoloopError(f"{path} is {kind}, without files to work on", "Go to a checkout of it.")
    root = Path(git.text("rev-parse", "--show-toplevel"))
    head = git.text("rev-parse", "--verify", "--quiet", "HEAD^{commit}", accept=(0, 1))
    if not head:
        raise AutoloopError(f"{root} has no commit yet", "Commit what is there: a run starts from a commit.")
    branch = git.text("symbolic-ref", "--quiet", "--short", "HEAD", accept=(0, 1)) or None
    return Repository(root, Path(git_dir), Path(common_dir), head, branch)


def is_dirty(repository: Repository) -> bool:
    """Whether tracked files differ from HEAD. A run starts from HEAD, so it does not see those edits."""
    git = users_git(repository.root)
    return bool(git("status", "--porcelain", "--untracked-files=no", "--ignore-submodules=dirty"))


def is_tracked(repository: Repository, path: str) -> bool:
    """Whether git has a path, given from the repository's root: in the index or in HEAD, where an agent can read it."""
    git = users_git(repository.root)
    return bool(git.text("ls-files", "--", path) or git.text("ls-tree", "HEAD", "--", path))


def last_commit_of(repository: Repository, path: str) -> str:
    """The newest commit in the history of HEAD that has touched a path; nothing when there is none."""
    return users_git(repository.root).text("log", "--max-count=1", "--format=%h", "HEAD", "--", path)


def untracked_places(repository: Repository) -> list[str]:
    """Files and directories that git does not track, ignored ones included; directories once, with a slash."""
    git = users_git(repository.root)
    listed = git.text("ls-files", "--others", "--directory", "--no-empty-directory")
    return [line for line in listed.splitlines() if line]


def read_at_head(repository: Repository, path: str) -> str:
    """The text of a file as HEAD has it; FileNotFoundError when it has none."""
    try:
        return users_git(repository.root)("show", f"{repository.head}:{path}").decode("utf-8", "replace")
    except GitFailed as error:
        raise FileNotFoundError(path) from error


def tree_of(repository: Repository, commit: str) -> str:
    """The tree of a commit: what its files are, whatever its history."""
    return users_git(repository.root).text("rev-parse", f"{commit}^{{tree}}")
