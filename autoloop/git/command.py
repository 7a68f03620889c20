"""Running git: our own git directory with nothing inherited, and the user's for the little we ask of it.

Refuses to let a user's, a system's or an agent's settings decide what a candidate holds.
"""

import os
import subprocess
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from autoloop import process
from autoloop.errors import AutoloopError
from autoloop.process import absolute_paths, executable

NAME, EMAIL = "autoloop", "autoloop@localhost"

HINTS = {
    "No space left": "Free some disk space and resume.",
    "Disk quota exceeded": "Free some disk space and resume.",
    "dubious ownership": "Run as the owner of the repository, or add it to git's safe.directory.",
    "Read-only file system": "Make the repository writable: candidates are pinned in it.",
    "insufficient permission": "Make the repository writable: candidates are pinned in it.",
    "Permission denied": "Make the repository writable: candidates are pinned in it.",
    ".lock': File exists": "Another git process is at work there; when none is, remove the lock file it names.",
    "object file": "Look at the repository with `git fsck`.",
    "unable to read": "Look at the repository with `git fsck`.",
    "bad object": "Look at the repository with `git fsck`.",
    "missing": "Look at the repository with `git fsck`.",
}

LOCAL_TO_A_REPOSITORY = {
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_CONFIG", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE",
    "GIT_REPLACE_REF_BASE", "GIT_NO_REPLACE_OBJECTS", "GIT_INTERNAL_SUPER_PREFIX", "GIT_IMPLICIT_WORK_TREE",
    "GIT_QUARANTINE_PATH", "GIT_LITERAL_PATHSPECS",
}  # fmt: skip


class GitFailed(AutoloopError):
    """A git command that failed, with git's own words."""


@dataclass(frozen=True)
class Git:
    """One way of running git: its git directory, settings and environment. Call it with the words of a command line."""

    folder: Path
    environment: Mapping[str, str] = field(repr=False)
    options: tuple[str, ...] = ()

    def __call__(self, *arguments: str, stdin: bytes | None = None, accept: Collection[int] = (0,)) -> bytes:
        """Standard output; a `GitFailed` for an exit code that is not in `accept`."""
        return self.start(*arguments, stdin=stdin).finish(accept)

    def start(self, *arguments: str, stdin: bytes | None = None) -> "Running":
        """Start a command and do something else meanwhile."""
        try:
            running = process.start(
                [git_program(), *self.options, *arguments],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                own_session=False,  # a group of its own: a Ctrl-C is the loop's to heed; git would die of it
            )
        except OSError as error:
            raise GitFailed(f"git cannot be started in {self.folder}: {error.strerror}") from error
        return Running(running, arguments[0], stdin)

    def text(self, *arguments: str, accept: Collection[int] = (0,)) -> str:
        """One line of standard output, as a path or a name."""
        return os.fsdecode(self(*arguments, accept=accept).removesuffix(b"\n"))

    def having(self, **environment: str | Path) -> "Git":
        """The same git with some environment variables set."""
        added = {name: str(value) for name, value in environment.items()}
        return Git(self.folder, {**self.environment, **added}, self.options)

    def setting(self, *options: str) -> "Git":
        """The same git with some settings of its own."""
        words = [word for option in options for word in ("-c", option)]
        return Git(self.folder, self.environment, (*self.options, *words))

    def over(self, tree: Path, index: Path) -> "Git":
        """The same git for the files of a tree, through an index of its own."""
        added = {"GIT_WORK_TREE": str(tree), "GIT_INDEX_FILE": str(index)}
        return Git(tree, {**self.environment, **added}, self.options)


@dataclass(frozen=True)
class Running:
    """A git command that was started and has not ended."""

    process: subprocess.Popen[bytes]
    name: str
    stdin: bytes | None

    def finish(self, accept: Collection[int] = (0,)) -> bytes:
        """Wait for the command to end; its standard output."""
        return self.outcome(accept).output

    def outcome(self, accept: Collection[int] = (0,)) -> "GitResult":
        """Wait for the command to end; output and errors, since git complains about some paths and goes on."""
        output, errors = self.process.communicate(self.stdin)
        return GitResult(self._judge(output, errors, accept), errors)

    def head(self, enough: Callable[[bytes], bool]) -> bytes:
        """Read until `enough`, then stop the command: for outputs without a bound."""
        output = b""
        with self.process:
            assert self.process.stdout and self.process.stderr
            while chunk := os.read(self.process.stdout.fileno(), 1 << 18):
                output += chunk
                if enough(output):
                    self.process.kill()
                    return output
            errors = self.process.stderr.read()
        return self._judge(output, errors, (0,))

    def _judge(self, output: bytes, errors: bytes, accept: Collection[int]) -> bytes:
        if self.process.returncode in accept:
            return output
        raise failed(self.name, self.process.returncode, errors)


@dataclass(frozen=True)
class GitResult:
    """What a git command that succeeded has written."""

    output: bytes
    errors: bytes


def failed(name: str, code: int, errors: bytes) -> GitFailed:
    """The error of a git command: git's words in one line, and a hint."""
    said = errors.decode("utf-8", "backslashreplace")
    lines = [line for line in said.splitlines() if line.startswith(("fatal:", "error:"))] or said.splitlines()
    hint = next((hint for sign, hint in HINTS.items() if sign in said), "")
    return GitFailed(f"git {name}: {lines[0] if lines else f'ended with {code}'}", hint)


_NEEDED = ("PATH", "HOME", "TMPDIR", "USER", "LOGNAME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""What git may need of the environment to run at all."""


@cache
def git_program() -> str:
    """The git on the path, looked up once."""
    return executable("git") or "git"


def outer_environment() -> dict[str, str]:
    """The user's own environment, for the user's own git: only a borrowed repository is left out."""
    kept = {name: value for name, value in os.environ.items() if name not in LOCAL_TO_A_REPOSITORY}
    # Without optional locks `git status` does not rewrite the user's index.
    return kept | {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


def bare_environment() -> dict[str, str]:
    """No git variable, no system or global setting: the same answer on every machine."""
    kept = absolute_paths({name: os.environ[name] for name in _NEEDED if name in os.environ})
    return kept | {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_AUTHOR_NAME": NAME,
        "GIT_AUTHOR_EMAIL": EMAIL,
        "GIT_COMMITTER_NAME": NAME,
        "GIT_COMMITTER_EMAIL": EMAIL,
        "LC_ALL": "C",
    }


def users_git(folder: Path) -> Git:
    """The user's git with the user's settings: to look, and to fetch what a partial clone lacks."""
    return Git(folder, outer_environment(), ("-c", "core.fsmonitor=false"))


def refs_git(common_dir: Path) -> Git:
    """The user's git directory for `update-ref` alone: hooks off, patient with another git's lock."""
    return Git(common_dir, bare_environment() | {"GIT_DIR": str(common_dir)}).setting(
        "core.hooksPath=/dev/null",
        "core.fsync=loose-object,reference",
        "core.filesRefLockTimeout=3000",
        "core.packedRefsTimeout=5000",
    )


def display(path: bytes) -> str:
    """A path for people and for globs: bytes that are not UTF-8 as `\\xNN`."""
    return path.decode("utf-8", "backslashreplace")
