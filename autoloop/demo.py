"""The demo: a whole campaign on a shipped example, in a repository of its own, without key or network.

Nothing in it is staged: the example is a small program with settings that were never tuned, the tuner
searches them, and every sample is a measurement on this machine. The repository is kept for the user.
"""

import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autoloop import api
from autoloop.agents.making import make_agent
from autoloop.carrying import Outcome
from autoloop.core.results import Row
from autoloop.core.summary import Summary
from autoloop.errors import AutoloopError
from autoloop.git import Git, bare_environment
from autoloop.ports import OnNews, OnProgress
from autoloop.profiles import Profile
from autoloop.prompts import shipped
from autoloop.steering import Signals
from autoloop.trees.homes import DEMO

EXAMPLE = "word-index"
BRANCH = "main"
SEED = 11
"""The same search every time, as far as this machine measures the same."""

_AGENT = "tuner"
_PROJECT = "project"
_LITTER = shutil.ignore_patterns("__pycache__", "*.pyc")


@dataclass(frozen=True)
class Pointer:
    """Something to type next, and what it shows."""

    command: str
    shows: str


@dataclass(frozen=True)
class DemoOutcome:
    """What a demo leaves."""

    root: Path
    """The demo's repository; it stays."""
    rows: tuple[Row, ...]
    """The results, the baseline first."""
    outcome: Outcome
    where_to_look: tuple[Pointer, ...]
    """In the order in which to type them."""
    in_your_repository: Pointer

    @property
    def gain(self) -> float | None:
        """The kept tree over the code as it was, as a fraction."""
        return self.outcome.summary.gain

    @property
    def branch(self) -> str:
        """Where the kept changes are."""
        return self.outcome.summary.branch

    @property
    def lines(self) -> tuple[str, ...]:
        """What to tell a person below the table of results."""
        width = max(len(pointer.command) for pointer in (*self.where_to_look, self.in_your_repository))
        return (
            *_headline(self.outcome),
            "",
            "Where to look next:",
            *(f"  {pointer.command:{width}}  {pointer.shows}" for pointer in self.where_to_look),
            "",
            "In a repository of your own:",
            f"  {self.in_your_repository.command:{width}}  {self.in_your_repository.shows}",
        )


def demonstrate(
    *,
    on_progress: OnProgress,
    signals: Signals,
    environ: Mapping[str, str],
    directory: Path | None = None,
    on_news: OnNews = lambda rows, summary: None,
    experiments: int | None = None,
    seed: int = SEED,
) -> DemoOutcome:
    """Set the example up in a fresh directory, run its campaign, and say where to look next."""
    surroundings = _surroundings(environ)
    make_agent(Profile(name=_AGENT, agent=_AGENT), Path.cwd(), surroundings)  # what it lacks is said before all else
    root = set_up(directory)
    limits = {} if experiments is None else {"max_experiments": experiments}
    outcome = api.run(
        root,
        EXAMPLE,
        api.RunOptions(profile=_AGENT, seed=seed, limits=limits),
        signals=signals,
        on_progress=on_progress,
        on_news=on_news,
        environ=surroundings,
    )
    summary = outcome.summary
    return DemoOutcome(
        root=root,
        rows=tuple(api.results(root, summary.run_id)),
        outcome=outcome,
        where_to_look=(*_to_find_autoloop(environ), *_where_to_look(root, summary)),
        in_your_repository=Pointer("autoloop init", "writes a first program from what it finds there"),
    )


def set_up(directory: Path | None = None) -> Path:
    """A repository with the example's project and program, committed; in a temporary directory unless one is named."""
    example = shipped("programs") / EXAMPLE
    if not (example / _PROJECT).is_dir():
        raise AutoloopError(f"the example {EXAMPLE} is not in {example}", "Install autoloop again: files are missing.")
    root = _fresh(directory)
    try:
        shutil.copytree(example / _PROJECT, root, ignore=_LITTER, dirs_exist_ok=True)
        shutil.copytree(example, root / "programs" / EXAMPLE, ignore=_program_only)
    except (OSError, shutil.Error) as error:
        raise AutoloopError(f"the demo cannot be written to {root}: {error}", "Name another directory.") from error
    git = Git(root, bare_environment())
    git("-c", f"init.defaultBranch={BRANCH}", "init", "--quiet")
    git("add", "--all")
    git("commit", "--quiet", "--no-verify", "--message", "An index of words, and a program that measures it")
    return root


def _surroundings(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of the demo: settings of the user's own work have no say in it, nor has another Python."""
    personal = {"HOME", "XDG_CONFIG_HOME"}  # where an autoloop.toml is looked for
    kept = {
        name: value
        for name, value in environ.items()
        if name not in personal and (not name.startswith("AUTOLOOP_") or name == "AUTOLOOP_CACHE_DIR")
    }
    return {**kept, "PATH": f"{Path(sys.executable).parent}:{environ.get('PATH', '/usr/bin:/bin')}"}


def _fresh(directory: Path | None) -> Path:
    try:
        if directory is None:
            return Path(tempfile.mkdtemp(prefix=DEMO)).resolve()
        directory.mkdir(parents=True, exist_ok=True)
        taken = any(directory.iterdir())
    except OSError as error:
        where = directory or tempfile.gettempdir()
        raise AutoloopError(f"no directory for the demo at {where}: {error.strerror}", "Name another one.") from error
    if taken:
        raise AutoloopError(f"{directory} is not empty", "Name a new directory for the demo, or none.")
    return directory.resolve()


def _program_only(directory: str, names: list[str]) -> set[str]:
    return {name for name in names if name == _PROJECT} | _LITTER(directory, names)


def _headline(outcome: Outcome) -> tuple[str, ...]:
    summary = outcome.summary
    counts = f"{summary.experiments} experiments: {summary.kept} kept, {summary.discarded + summary.crashed} not."
    if not summary.kept or summary.gain is None:
        return (counts, *(f"  {sentence}" for sentence in outcome.why_nothing_kept))
    headline = f"Gain: {summary.gain:.1%} in {summary.metric_field}, on the branch {summary.branch}."
    found = summary.verified
    if found is None or found.gain is None or found.low is None or found.high is None:
        return (counts, headline)
    fresh = f"Verified: {found.gain:.1%} ({found.low:.1%} to {found.high:.1%}), original against head, measured afresh."
    return (counts, headline, fresh)


def _to_find_autoloop(environ: Mapping[str, str]) -> list[Pointer]:
    """Where the user's shell would not find `autoloop`, as when its environment is not activated."""
    if shutil.which("autoloop", path=environ.get("PATH", "")):
        return []
    return [Pointer(f'export PATH="{Path(sys.executable).parent}:$PATH"', "so that your shell finds autoloop")]


def _where_to_look(root: Path, summary: Summary) -> tuple[Pointer, ...]:
    shown = summary.best_experiment or summary.experiment
    pointers = [
        Pointer(f"cd {root}", "the demo's repository; delete it when you have seen enough"),
        Pointer("autoloop results", "this table again, read from the journal"),
        Pointer(f"autoloop show {shown}", "one experiment: its samples, its diff, its reason"),
        Pointer("autoloop ideas", "what was tried, what worked, what did not"),
    ]
    if summary.kept:
        pointers.append(Pointer(f"git diff {BRANCH}...{summary.branch}", "what a merge would bring"))
    return tuple(pointers)
