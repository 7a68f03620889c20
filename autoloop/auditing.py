"""Which commits of a branch are real: each against its parent, then the branch as a whole against where it began.

For the kept experiments of any tool. The parent of a commit already stands in one of the two trees, so a branch
costs one placing a commit; what its pairs teach of the noise serves the commits after it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from autoloop.arena import Arena, Compared, CompareOptions, Known, Revision
from autoloop.comparing import arena
from autoloop.core.comparison import Difference
from autoloop.core.evidence import confirmed
from autoloop.errors import AutoloopError
from autoloop.git import users_git
from autoloop.ports import OnProgress
from autoloop.repository import Repository, resolve
from autoloop.stopwatch import CommandFailed

FALSE_DISCOVERIES = 0.10
"""Of the commits labelled confirmed, at most this share is not better, on average over audits."""
_SHORT = 10


@dataclass(frozen=True)
class Audited:
    """One commit of the branch."""

    commit: str
    subject: str
    compared: Compared | None
    """None when the command fails in it or in its parent."""
    failure: str = ""
    confirmed: bool = False
    """Better, also when all commits are looked at together (e-BH)."""


@dataclass(frozen=True)
class Audit:
    """A branch, commit by commit and as a whole."""

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
    repository: Repository,
    span: str,
    command: tuple[str, ...],
    options: CompareOptions,
    *,
    environ: Mapping[str, str],
    on_progress: OnProgress,
    on_commit: OnCommit,
    cancelled: Callable[[], bool],
) -> Audit:
    """Compare every commit of `BASE..BRANCH` with its parent, oldest first."""
    base, branch = _ends(repository, span)
    chain = _chain(repository, base, branch)
    start = Revision(base.name if chain[0].parent == base.commit else chain[0].parent[:_SHORT], chain[0].parent)
    warnings = [] if start.commit == base.commit else [f"the branch does not begin at {base.name}, but at {start.name}"]
    with arena(repository, start, command, options, environ, on_progress, cancelled) as place:
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
    """What fails in one commit says nothing of the others; it is remembered, and not tried again."""
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


def _ends(repository: Repository, span: str) -> tuple[Revision, Revision]:
    base, dots, branch = span.partition("..")
    if not (base and dots) or branch.startswith("."):
        raise AutoloopError(f"{span!r} is not a range of commits", "Give it as BASE..BRANCH, such as main..feature.")
    branch = branch or "HEAD"
    return Revision(base, resolve(repository, base)), Revision(branch, resolve(repository, branch))


def _chain(repository: Repository, base: Revision, branch: Revision) -> list[_Link]:
    """The commits of the branch that are not in base, oldest first, along first parents."""
    listing = users_git(repository.root)(
        "log", "--first-parent", "--reverse", "--no-show-signature", "--no-color", "--format=%H%x00%P%x00%s",
        f"{base.commit}..{branch.commit}",
    )  # fmt: skip
    rows = [line.split("\0", 2) for line in listing.decode("utf-8", "replace").splitlines()]
    chain = [_Link(parents.split(" ")[0], commit, subject) for commit, parents, subject in rows if parents]
    if not chain:
        raise AutoloopError(
            f"{branch.name} has no commit with a parent that {base.name} lacks",
            f"Is it the other way round? `git log {base.name}..{branch.name}` shows what is compared.",
        )
    return chain
