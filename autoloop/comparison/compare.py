"""Two revisions and one command, no program: is one better than the other, worse, or noise?

Each revision stands in a tree of its own, in paths of equal length, in the user's cache directory; nothing is left
there, and the checkout is never touched. The command stands for itself: there is no seal and no sandbox.

`audit` asks it of every commit of a branch against its parent, then of the branch as a whole: for the kept experiments
of any tool. The parent of a commit already stands in one of the two trees, so a branch costs one placing a commit; what
its pairs teach of the noise serves the commits after it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from autoloop import process
from autoloop.comparison.arena import Arena, Compared, CompareOptions, Known, Revision
from autoloop.comparison.stopwatch import CommandFailed, Measure, Stopwatch
from autoloop.config.places import cache_directory
from autoloop.core.evidence.comparison import Difference
from autoloop.core.evidence.paired import confirmed
from autoloop.errors import AutoloopError
from autoloop.git.git_trees import GitTrees, TreeOptions
from autoloop.git.history import History
from autoloop.git.homes import occupied
from autoloop.git.repository import Repository, find
from autoloop.measure.prepare import require_room
from autoloop.ports import OnProgress

if TYPE_CHECKING:
    from autoloop.host.signals import Signals


def compare(
    path: Path,
    a: str,
    b: str,
    command: Sequence[str],
    options: CompareOptions,
    *,
    signals: Signals,
    on_progress: OnProgress,
    environ: Mapping[str, str] = os.environ,
) -> Compared:
    """Whether revision `b` is better than `a`, worse, or noise. One word of `command` is a line for the shell."""
    repository = find(path)
    history = History(repository.root, repository.git_dir)
    first, second = (Revision(name, history.resolve(name)) for name in (a, b))
    with arena(repository, first, command, options, environ, on_progress, signals) as place:
        known = place.learn(first)
        compared = place.compare(1, first, second, known)
    return replace(compared, warnings=(*place.warnings, *known.warnings))


@contextmanager
def arena(
    repository: Repository,
    start: Revision,
    command: Sequence[str],
    options: CompareOptions,
    environ: Mapping[str, str],
    on_progress: OnProgress,
    signals: Signals,
) -> Iterator[Arena]:
    """Trees to compare revisions in. They are gone afterwards, with what runs in them and the refs that hold them."""
    _refuse(options)
    name = f"compare-{secrets.token_hex(4)}"
    home = cache_directory(environ) / name
    trees = GitTrees(repository, home, name, f"autoloop/{name}", TreeOptions(share_paths=options.share))
    stopwatch = Stopwatch(
        tuple(command),
        options.measure,
        options.metric,
        options.timeout,
        environ,
        options.env,
        name,
        cancelled=lambda: signals.stop,
    )
    with occupied(home, repository.root):
        try:
            opening = trees.open(start.commit)
            require_room(opening.bytes_needed, home)
            seed = secrets.randbits(31) if options.seed is None else options.seed
            yield Arena(trees, stopwatch, options, seed, on_progress, opening.warnings)
        finally:
            process.sweep_run(name)
            trees.forget(pins=True)


def _refuse(options: CompareOptions) -> None:
    rule = options.rule
    if not 0 < rule.alpha < 0.5:
        raise AutoloopError(f"--alpha is {rule.alpha:g}; allowed: a number above 0 and below 0.5")
    if not 0 <= rule.threshold < 1:
        raise AutoloopError(f"--threshold is {rule.threshold:g}; allowed: a fraction from 0 to below 1")
    if rule.max_pairs < rule.fewest_pairs:
        raise AutoloopError(
            f"{rule.max_pairs} pairs can show nothing at an alpha of {rule.alpha:g}",
            f"Allow --max-pairs {rule.fewest_pairs} or more, or a larger --alpha.",
        )
    if options.metric is not None and options.measure is not Measure.OUTPUT:
        raise AutoloopError("--metric names a metric that the command prints", "Add --measure output.")


FALSE_DISCOVERIES = 0.10
"""Of the commits labelled confirmed, at most this share is not better, on average over audits."""
_SHORT = 10


@dataclass(frozen=True)
class Audited:
    """The result of one commit of the branch."""

    commit: str
    subject: str
    compared: Compared | None
    """None when the command fails in it or in its parent."""
    failure: str = ""
    confirmed: bool = False
    """Better, also when all commits are looked at together (e-BH)."""


@dataclass(frozen=True)
class Audit:
    """The result of a branch, commit by commit and as a whole."""

    commits: tuple[Audited, ...]
    whole: Compared | None
    """None when the branch as it is, or where it began, cannot be measured."""
    failure: str
    sum_of_gains: float
    """What the better and the worse commits claim together: their gains multiplied, or added where metrics are."""
    warnings: tuple[str, ...]


OnCommit = Callable[[int, int, Audited], None]
"""Told of each commit that is done: its number, how many there are, and what was found."""


@dataclass(frozen=True)
class _Link:
    """A commit and its first parent."""

    parent: str
    commit: str
    subject: str


def audit(
    path: Path,
    span: str,
    command: Sequence[str],
    options: CompareOptions,
    *,
    signals: Signals,
    on_progress: OnProgress,
    on_commit: OnCommit = lambda number, of, found: None,
    environ: Mapping[str, str] = os.environ,
) -> Audit:
    """Which commits of `BASE..BRANCH` are real, each against its parent, oldest first, and what they are together."""
    repository = find(path)
    history = History(repository.root, repository.git_dir)
    base, branch = _ends(history, span)
    chain = _chain(history, base, branch)
    start = Revision(base.name if chain[0].parent == base.commit else chain[0].parent[:_SHORT], chain[0].parent)
    warnings = [] if start.commit == base.commit else [f"the branch does not begin at {base.name}, but at {start.name}"]
    with arena(repository, start, command, options, environ, on_progress, signals) as place:
        known = place.learn(start)
        commits: list[Audited] = []
        failed: dict[str, str] = {}
        for number, link in enumerate(chain, 1):
            place.label = f"{number}/{len(chain)}:"
            a, b = (Revision(commit[:_SHORT], commit) for commit in (link.parent, link.commit))
            compared, failure = _attempt(place, number, a, b, known, failed)
            commits.append(Audited(link.commit, link.subject, compared, failure))
            on_commit(number, len(chain), commits[-1])
        place.label = "as a whole:"
        whole, failure = _attempt(place, len(chain) + 1, start, branch, known, failed)
    warnings += [*place.warnings, *known.warnings]
    return Audit(_labelled(commits), whole, failure, _sum_of_gains(commits, known), tuple(warnings))


def _attempt(
    place: Arena, question: int, a: Revision, b: Revision, known: Known, failed: dict[str, str]
) -> tuple[Compared | None, str]:
    """A comparison, unless one of its commits failed before; a failure is remembered and not tried again."""
    for revision in (a, b):
        if revision.commit in failed:
            return None, failed[revision.commit]
    try:
        compared = place.compare(question, a, b, known)
    except CommandFailed as failure:
        commit = a.commit if failure.revision == a.name else b.commit
        failed[commit] = failure.message
        return None, failure.message
    known.pool.add([known.scale.gain(pair.a, pair.b) for pair in compared.pairs])
    return compared, ""


def _labelled(commits: Sequence[Audited]) -> tuple[Audited, ...]:
    measured = [entry.compared.comparison for entry in commits if entry.compared]
    for_gain = [(found.for_gain or (0.0,))[-1] for found in measured]
    sure = iter(confirmed(for_gain, len(measured), FALSE_DISCOVERIES))
    return tuple(
        replace(entry, confirmed=next(sure) and entry.compared.comparison.difference is Difference.BETTER)
        if entry.compared
        else entry
        for entry in commits
    )


def _sum_of_gains(commits: Sequence[Audited], known: Known) -> float:
    found = [entry.compared.comparison for entry in commits if entry.compared]
    claims = [comparison.gain for comparison in found if comparison.difference is not Difference.NOISE]
    return known.scale.fraction(sum(known.scale.from_fraction(max(claim, -0.999)) for claim in claims)) + 0.0


def _ends(history: History, span: str) -> tuple[Revision, Revision]:
    base, dots, branch = span.partition("..")
    if not (base and dots) or branch.startswith("."):
        raise AutoloopError(f"{span!r} is not a range of commits", "Give it as BASE..BRANCH, such as main..feature.")
    branch = branch or "HEAD"
    return Revision(base, history.resolve(base)), Revision(branch, history.resolve(branch))


def _chain(history: History, base: Revision, branch: Revision) -> list[_Link]:
    """The commits of the branch that are not in base, oldest first, along first parents."""
    entries = history.log(base.commit, branch.commit)
    chain = [_Link(entry.parents[0], entry.commit, entry.subject) for entry in entries if entry.parents]
    if not chain:
        raise AutoloopError(
            f"{branch.name} has no commit with a parent that {base.name} lacks",
            f"Is it the other way round? `git log {base.name}..{branch.name}` shows what is compared.",
        )
    return chain
