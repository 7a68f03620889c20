"""What runs, benches and leftovers hold on the disk, and what of it may go. Judged here, removed elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class State(StrEnum):
    """How the run, bench or process that holds something on the disk ended."""

    ALIVE = "alive"
    FINISHED = "finished"
    """The journal has an end, whatever the reason."""
    KILLED = "killed"
    """The journal has no end: a resume goes on from where it was."""
    GONE = "gone"
    """A run whose directory or repository does not exist any more."""
    UNFINISHED = "unfinished"
    """A bench with trials left, or of which that cannot be told."""
    NEWER = "newer"
    """Written by a newer version, which alone knows what may go."""
    LEFT_OVER = "left over"
    """Made for a while by a process that is dead."""


class Part(StrEnum):
    """One kind of data that a run or a bench holds on the disk."""

    TREES = "trees"
    """The three trees, with the git directory and the indexes behind them."""
    CACHES = "caches"
    """`cache_paths` in the trees, and private homes."""
    SCRATCH = "scratch"
    """The scratch directories of samples."""
    SEALED = "sealed"
    JOURNAL = "journal"
    """Journal, views, record and log."""
    SESSIONS = "sessions"
    """Packets, transcripts and diffs of experiments; transcripts may be counted apart."""
    TRANSCRIPTS = "transcripts"
    """Packets and transcripts of experiments that were not kept; told apart only when they are asked for."""
    LITTER = "litter"
    """Half-written files of processes that are dead."""
    WORKSPACES = "workspaces"
    """The workspaces of a bench's trials, kept for people to look at and for another grade."""
    RECORDS = "records"
    """The records of a bench: journal, results, transcripts, reports."""
    REFS = "refs"
    BRANCH = "branch"


MADE_AGAIN = frozenset({Part.TREES, Part.CACHES, Part.SCRATCH, Part.LITTER})
"""The parts that a resume makes anew, or that nobody needs."""
LASTING = frozenset({Part.SEALED, Part.JOURNAL, Part.SESSIONS, Part.TRANSCRIPTS, Part.REFS})
"""The parts without which a run is lost."""


@dataclass(frozen=True)
class CleanOptions:
    """The options of `clean`: what may be removed beyond what a resume makes again."""

    killed: bool = False
    """Also of runs that were killed."""
    everywhere: bool = False
    """Also what can be made again of other repositories."""
    transcripts: bool = False
    """Packets and transcripts of experiments that were not kept."""
    runs: bool = False
    """Whole runs: directory, journal and refs."""
    branches: bool = False
    """With `runs`: their branches."""
    workspaces: bool = False
    """Workspaces of benches that are done, but for the latest of them."""


@dataclass(frozen=True)
class Holding:
    """One run, one bench, or one leftover."""

    name: str
    state: State
    what: str = "run"
    """What it is: a run, a bench, or what left it over."""
    program: str = ""
    repository: str = ""
    """The checkout that it belongs to; empty when that is not known."""
    here: bool = True
    """Whether it belongs to this repository, to a demo, or to a repository that no longer exists."""
    own: bool = False
    """Whether it belongs to this repository."""
    sizes: Mapping[Part, int] = field(default_factory=dict)
    """Bytes on the disk."""
    refs: int = 0
    branch: str = ""
    """The run's branch, while there is one."""
    tip: str = ""
    """The commit that it is at."""
    is_latest: bool = False
    """Whether it is the latest bench that is done, whose workspaces people may still want to see."""

    def parts_to_go(self, options: CleanOptions) -> frozenset[Part]:
        """The parts that may be removed under these options."""
        if self.state in (State.ALIVE, State.NEWER) or (self.state is State.KILLED and not options.killed):
            return frozenset()
        if not self.here and not options.everywhere:
            return frozenset()
        if self.what == "bench":
            is_old = self.state is State.FINISHED and not self.is_latest
            return frozenset({Part.LITTER, Part.WORKSPACES} if options.workspaces and is_old else {Part.LITTER})
        parts: frozenset[Part] = MADE_AGAIN
        if self.state is State.LEFT_OVER:
            return parts | {Part.REFS}
        if self.own and options.transcripts:
            parts |= {Part.TRANSCRIPTS}
        if self.own and options.runs:
            parts |= LASTING | ({Part.BRANCH} if options.branches else frozenset())
        return parts

    def frees(self, options: CleanOptions) -> int:
        """Bytes that would be free afterwards. What refs hold is git's to free."""
        return sum(self.sizes.get(part, 0) for part in self.parts_to_go(options))

    def has_something_to_go(self, options: CleanOptions) -> bool:
        """Whether removing with these options would change anything."""
        parts = self.parts_to_go(options)
        loses_branch = Part.BRANCH in parts and bool(self.branch)
        return self.frees(options) > 0 or (Part.REFS in parts and self.refs > 0) or loses_branch
