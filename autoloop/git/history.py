"""The history of the user's repository, for the verbs that show it to people: read by GitPython, with the programs off.

Refuses to look at work files, to fetch and to write: a git command that is not listed here is not run. GitPython alone
would hand the whole environment and every setting to git, so each of its commands passes one place that replaces both.
Importing this module imports GitPython, which takes longer than most verbs do: only verbs that read history may.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoloop.errors import AutoloopError
from autoloop.git.command import GitFailed, bare_environment, failed, git_program
from autoloop.process import executable


@contextmanager
def _found(program: str) -> Iterator[None]:
    """GitPython runs `git version` when it is imported: the git that the loop runs, and no traceback without one."""
    chosen = {"GIT_PYTHON_GIT_EXECUTABLE": program, "GIT_PYTHON_REFRESH": "quiet"}
    before = {name: os.environ.get(name) for name in chosen}
    os.environ.update(chosen)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


with _found(git_program()):
    import git as gitpython

_SETTINGS = (
    "core.fsmonitor=false", "core.hooksPath=/dev/null",
    "gpg.program=/dev/null", "gpg.x509.program=/dev/null", "gpg.ssh.program=/dev/null",
)  # fmt: skip
_OPTIONS = ("--no-pager", *(word for setting in _SETTINGS for word in ("-c", setting)))
_COMMANDS: dict[str, tuple[str, ...]] = {
    "rev-parse": (),
    "log": ("--no-ext-diff", "--no-textconv", "--no-show-signature", "--no-color", "--encoding=UTF-8"),
}
"""What may be run, each with the flags that keep it from starting a program which a repository's config names."""
_OFFLINE = {"GIT_ALLOW_PROTOCOL": "", "GIT_NO_LAZY_FETCH": "1"}
"""A partial clone that lacks an object would fetch it, by programs that its config names."""


@dataclass(frozen=True)
class LoggedCommit:
    """A commit as the log has it."""

    commit: str
    parents: tuple[str, ...]
    """None where a shallow clone ends, although the commit itself names some."""
    subject: str


class History:
    """Commits of a repository. GitPython's own objects know no SHA-256 and no end of a shallow clone; git's words do.

    `git_dir` is where somebody has found it: git's answer to whose it is was asked for there.
    """

    def __init__(self, root: Path, git_dir: Path) -> None:
        self.root = root
        self.git = _Guarded(git_dir)

    def resolve(self, revision: str) -> str:
        """The commit that a revision names."""
        words = ("--verify", "--quiet", "--end-of-options", revision + "^{commit}")
        commit = self._ask("rev-parse", *words, accept=(0, 1, 128)).strip()
        if not commit:
            raise AutoloopError(f"{revision!r} names no commit of {self.root}", "See `git log --oneline --all`.")
        return commit

    def log(self, base: str, branch: str) -> list[LoggedCommit]:
        """The commits of a branch that are not in base, oldest first, along first parents."""
        words = ("-z", "--first-parent", "--reverse", "--format=%H%n%P%n%s", f"{base}..{branch}", "--")
        records = self._ask("log", *words).split("\0")
        fields = (record.split("\n", 2) for record in records if record)
        return [LoggedCommit(commit, tuple(parents.split()), subject) for commit, parents, subject in fields]

    def _ask(self, command: str, *words: str, accept: Sequence[int] = (0,)) -> str:
        ask = getattr(self.git, command)
        try:
            code, output, errors = ask(*words, with_extended_output=True, with_exceptions=False, stdout_as_string=False)
        except (gitpython.CommandError, OSError) as error:
            raise GitFailed(f"git cannot be started in {self.root}: {error.__cause__ or error}") from error
        if code not in accept:
            raise failed(command, code, errors.encode("utf-8", "surrogateescape"))
        text: str = output.decode("utf-8", "replace")
        return text


class _Guarded(gitpython.Git):
    """GitPython's way of running git, each command with an environment, options and flags of ours."""

    def __init__(self, git_dir: Path) -> None:
        super().__init__(git_dir)
        # Named, the directory needs no search, and no leave by a `safe.directory` that is not read here.
        variables = bare_environment() | _OFFLINE | {"GIT_DIR": os.fspath(git_dir)}
        settings = (f"{name}={value}" for name, value in variables.items())
        self._start = (executable("env") or "/usr/bin/env", "-i", *settings, git_program(), *_OPTIONS)

    def execute(self, command: Any, *arguments: Any, **how: Any) -> Any:
        """Run what is listed. `env -i`, because GitPython adds to the environment and cannot take away."""
        _, name, *words = command
        guarded = [*self._start, name, *_COMMANDS[name], *words]
        return super().execute(guarded, *arguments, process_group=0, **how)
