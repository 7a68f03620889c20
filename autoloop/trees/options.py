"""What a program wants of its trees."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TreeOptions:
    """What a program wants of its trees. Paths are relative to the repository's root."""

    cache_paths: tuple[str, ...] = ()
    share_paths: tuple[str, ...] = ()
    sparse: tuple[str, ...] = ()
    max_candidate_mb: float = 100
    keep_out: tuple[str, ...] = ()
    """Paths that never enter a candidate, though they may be written to."""
    bound: bool = False
    """Whether a sandbox puts what is shared in its place; else there are symlinks."""
    objects: Path | None = None
    """Where the git of a tree finds the repository's objects, if not at their own path."""
