"""The root of a work tree, found without starting git where that can be: `status` and viewers ask for it alone."""

from pathlib import Path


def root_of(path: Path) -> Path:
    """The root of the work tree that a path lies in, without starting git where that can be told without."""
    start = path.resolve()
    for directory in (start, *start.parents):
        if (directory / ".git").exists():
            return directory
    from autoloop.git.repository import find

    return find(path).root
