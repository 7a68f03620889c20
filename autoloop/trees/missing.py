"""Fetching what a partial clone lacks, once, through the user's own git."""

from autoloop.errors import AutoloopError
from autoloop.git import Git, GitFailed
from autoloop.trees.contents import GITLINK, Tracked, in_cone, parse_tree


def promisor(git: Git) -> str | None:
    """The remote that promised the objects which a partial clone left out; None for a whole clone."""
    listing = git("config", "-z", "--get-regexp", r"^(extensions\.partialclone|remote\..*\.promisor)$", accept=(0, 1))
    for entry in listing.decode("utf-8", "replace").split("\0"):
        key, _, value = entry.partition("\n")
        if key == "extensions.partialclone":
            return value
        if key.startswith("remote.") and value == "true":
            return key[len("remote.") : -len(".promisor")]
    return None


def complete(own: Git, users: Git, remote: str, commit: str, cone: tuple[bytes, ...]) -> None:
    """Fetch the trees of a commit, then its files as far as the cone goes: one batch each."""
    listing = ("rev-list", "--objects", "--no-walk", "--filter=blob:none", "--missing=print", commit)
    asked: set[str] = set()
    while trees := set(lacking(own(*listing))) - asked:
        fetch(users, remote, sorted(trees))
        asked |= trees
    tracked = parse_tree(own("ls-tree", "-r", "-z", commit))
    wanted = sorted({entry.oid for entry in tracked if is_needed(entry, cone)})
    names = "".join(f"{oid}\n" for oid in wanted).encode()
    answers = own("cat-file", "--batch-check", stdin=names).decode().splitlines()
    if absent := [answer.split(" ")[0] for answer in answers if answer.endswith(" missing")]:
        fetch(users, remote, absent)


def is_needed(entry: Tracked, cone: tuple[bytes, ...]) -> bool:
    """Whether a tree cannot be written without this entry."""
    return entry.mode != GITLINK and in_cone(cone, entry.path)


def lacking(listing: bytes) -> list[str]:
    """The objects that `rev-list --missing=print` marks."""
    return [line[1:].split(" ")[0] for line in listing.decode("utf-8", "replace").splitlines() if line.startswith("?")]


def fetch(users: Git, remote: str, oids: list[str]) -> None:
    """As git itself fetches promised objects, but all at once."""
    try:
        users.setting("fetch.negotiationAlgorithm=noop", "gc.auto=0", "maintenance.auto=false")(
            "fetch", remote, "--quiet", "--no-tags", "--no-write-fetch-head",
            "--recurse-submodules=no", "--filter=blob:none", "--stdin",
            stdin="".join(f"{oid}\n" for oid in oids).encode(),
        )  # fmt: skip
    except GitFailed as error:
        raise AutoloopError(
            f"this is a partial clone, and {len(oids)} objects could not be fetched from {remote}: {error.message}",
            f"Reach the remote, or complete the clone: `git fetch --refetch {remote}`.",
        ) from error
