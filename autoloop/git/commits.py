"""Making a candidate of what an agent left: staged in our own index, committed under our own name.

The commit depends on the files, the parent, the message and the given time, so a repeated capture is the same commit.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from autoloop.core.run.candidate import Candidate, Capture, Change
from autoloop.git.command import Git, GitFailed, Running, display
from autoloop.git.contents import GITLINK, Contents
from autoloop.git.inspection import Findings, Layer, Rules, inspect, leads_out, names_of_ignored

PATCH_BYTES = 2_000_000
"""Of a diff that are read, to look for signs of gaming; people are shown less."""
MOST_IGNORED = 50
SYMLINK = "120000"
KINDS: dict[str, Literal["added", "modified", "deleted", "retyped"]] = {
    "A": "added", "M": "modified", "D": "deleted", "T": "retyped",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One path of a diff; lines are None for binary files."""

    path: bytes
    mode: str
    status: str
    added: int | None
    removed: int | None


@dataclass(frozen=True)
class Diff:
    """What a candidate changes against its parent, path by path, and the beginning of its patch."""

    entries: tuple[Entry, ...]
    patch: str

    def paths(self, *, gone: bool) -> list[bytes]:
        """The paths of the diff: those deleted when `gone`, else those added or changed."""
        return [entry.path for entry in self.entries if (entry.status == "D") == gone]

    def candidate(self, commit: str, parent: str) -> Candidate:
        """The diff as the journal's `Candidate`."""
        changes = tuple(
            Change(path=display(entry.path), kind=KINDS[entry.status], added=entry.added, removed=entry.removed)
            for entry in self.entries
        )
        return Candidate(commit=commit, parent=parent, changes=changes)


@dataclass(frozen=True)
class CapturedFiles:
    """A captured candidate, and the contents of its tree."""

    capture: Capture
    contents: Contents


def capture_files(
    tree: bytes, layers: list[Layer], held: Contents, rules: Rules, aside: Path, *, at: float, message: str
) -> CapturedFiles:
    """Take what lies in the tree, and commit it as a child of the first layer's commit."""
    git, parent = layers[0].git, layers[0].commit
    found = inspect(tree, layers, held, rules, aside)
    ignored = names_of_ignored(found.ignored, found.present, held, MOST_IGNORED)
    if excess := found.excess(git, rules.max_bytes):
        return CapturedFiles(Capture(None, (*found.breaches, excess), ignored), held)
    breaches = {**found.breaches, **dict.fromkeys(stage(git, found))}
    if not found.present and not found.removed:
        return CapturedFiles(Capture(None, tuple(breaches), ignored), held)
    tree_id = git("write-tree", "--missing-ok").decode("ascii").strip()
    comparing = start_diff(git, parent, tree_id)
    commit_id = commit(git, tree_id, parent, message, at)
    diff = finish_diff(comparing)
    breaches |= dict.fromkeys(breaches_of(diff, tree, rules))
    candidate = diff.candidate(commit_id, parent) if diff.entries else None
    after = held.after(diff.paths(gone=False), diff.paths(gone=True))
    return CapturedFiles(Capture(candidate, tuple(breaches), ignored, diff.patch), after)


def breaches_of(diff: Diff, tree: bytes, rules: Rules) -> Iterator[str]:
    """The breaches in a diff: changes that no candidate may hold."""
    for entry in diff.entries:
        if entry.mode == SYMLINK and leads_out(tree, entry.path, rules.shared):
            yield f"{display(entry.path)}: symlink out of the tree"
        if entry.mode == GITLINK:
            yield f"{display(entry.path)}: nested repository"


def read_tree(git: Git, layer: Layer, *options: str) -> None:
    """Make a layer's index list its commit; an index that git cannot read is made anew."""
    layer.index.parent.mkdir(exist_ok=True)
    try:
        git("read-tree", "--reset", *options, layer.commit)
    except GitFailed:
        layer.index.unlink(missing_ok=True)
        layer.index.with_name(layer.index.name + ".lock").unlink(missing_ok=True)
        git("read-tree", "--reset", *options, layer.commit)


def stage(git: Git, found: Findings) -> list[str]:
    """Bring the index up to what was found. The names that git refuses come back as breaches."""
    if found.removed:
        git("update-index", "-z", "--force-remove", "--stdin", stdin=lines(found.removed))
    if not found.present:
        return []
    return list(refused(git.start("update-index", "-z", "--add", "--replace", "--stdin", stdin=lines(found.present))))


def refused(staging: Running) -> Iterator[str]:
    """The paths that `update-index` skips: `.GIT`, and the like."""
    for line in staging.outcome().errors.splitlines():
        if line.startswith(b"Ignoring path "):
            yield f"{display(line.removeprefix(b'Ignoring path '))}: a name that git refuses"


def lines(paths: Iterable[bytes]) -> bytes:
    """Paths as NUL-terminated fields, for git's `-z` input."""
    return b"".join(path + b"\0" for path in paths)


def commit(git: Git, tree: str, parent: str, message: str, at: float) -> str:
    """Write a commit of this tree with our own name and the given time; its object name."""
    date = f"@{int(at)} +0000"
    dated = git.having(GIT_AUTHOR_DATE=date, GIT_COMMITTER_DATE=date)
    text = message.rstrip("\n").encode("utf-8", "backslashreplace") + b"\n"
    return dated("commit-tree", tree, "-p", parent, stdin=text).decode("ascii").strip()


def start_diff(git: Git, parent: str, tree: str) -> Running:
    """Start to compare a tree with its parent: that needs no commit, so both go on at once."""
    return git.start(
        "diff-tree", "-r", "-z", "--raw", "--numstat", "-p", "--no-renames", "--no-ext-diff", "--no-textconv",
        "--no-color", "--no-abbrev", "--src-prefix=a/", "--dst-prefix=b/", parent, tree,
    )  # fmt: skip


def finish_diff(running: Running) -> Diff:
    """Read the diff: every path, and as much of the patch as is looked at."""
    return parse(running.head(has_enough))


def has_enough(output: bytes) -> bool:
    """Whether the output has reached the patch, and the patch its largest size."""
    begin = output.find(b"\0\0diff --git ")
    return begin >= 0 and len(output) > begin + PATCH_BYTES


def parse(output: bytes) -> Diff:
    """Parse `git diff-tree -z --raw --numstat --patch`: raw entries, line counts, then an empty field and the patch."""
    at = 0

    def field() -> bytes:
        nonlocal at
        end = output.index(b"\0", at)
        start, at = at, end + 1
        return output[start:end]

    raw: list[tuple[bytes, str, str]] = []
    while output[at : at + 1] == b":":
        about = field().decode("ascii").split(" ")
        raw.append((field(), about[1], about[4]))
    counts: dict[bytes, tuple[int | None, int | None]] = {}
    while at < len(output) and output[at : at + 1] != b"\0":
        added, removed, path = field().split(b"\t", 2)
        counts[path] = (None, None) if added == b"-" else (int(added), int(removed))
    entries = tuple(Entry(path, mode, status, *counts.get(path, (None, None))) for path, mode, status in raw)
    return Diff(entries, clipped(output[at + 1 :]))


def clipped(patch: bytes) -> str:
    """The head of a patch, cut at the end of a line."""
    if len(patch) <= PATCH_BYTES:
        return display(patch)
    head = patch[: patch.rfind(b"\n", 0, PATCH_BYTES) + 1] or patch[:PATCH_BYTES]
    return display(head) + "[the rest of the patch is left out]\n"
