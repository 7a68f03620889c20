"""Where a run works and who hears of it: what a process is given from outside, with the repository that it found."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from autoloop.config.places import cache_directory
from autoloop.git.repository import Repository, find
from autoloop.host.context import Context
from autoloop.host.signals import Signals
from autoloop.ports import OnProgress


@dataclass(frozen=True)
class RunContext(Context):
    """A context in a git repository; `root` is the root of its work tree."""

    repository: Repository

    @classmethod
    def at(
        cls, path: Path, environ: Mapping[str, str], on_progress: OnProgress, signals: Signals | None = None
    ) -> Self:
        """The context of the repository that a path lies in; an AutoloopError where there is none.

        Without `signals` nobody asks for an end: whoever is interrupted then is ended by the signal itself.
        """
        repository = find(path)
        return cls(repository.root, environ, signals or Signals(), on_progress, repository)

    @property
    def cache(self) -> Path:
        """The directory of this user's trees, which can all be made again."""
        return cache_directory(self.environ)
