"""Copying files of a suite to where an agent or a verifier finds them.

What an agent left may be in the way, such as a link. It is replaced, and no link of its is followed.
"""

import os
import shutil
import stat
from pathlib import Path

from autoloop.errors import AutoloopError
from autoloop.git.walk import make_real, remove

_OURS = stat.S_IRUSR | stat.S_IWUSR
_RUNS = 0o555


def source_in(suite: Path, source: str) -> Path:
    """A path of the suite; AutoloopError when it leads out of it or is not there."""
    path = (suite / source).resolve()
    if not path.is_relative_to(suite.resolve()):
        raise AutoloopError(f"the suite names {source!r}, which lies outside of {suite}")
    if not path.exists():
        raise AutoloopError(f"the suite has no {source!r} in {suite}")
    return path


def copy(source: Path, base: Path, below: Path) -> None:
    """Copy a file to a path below a base, or what a directory holds into it."""
    if source.is_dir() and not source.is_symlink():
        make_real(bytes(base), _inside(below))
        with os.scandir(source) as entries:
            for entry in entries:
                copy(Path(entry.path), base, below / entry.name)
        return
    target = base / below
    make_real(bytes(base), _inside(below.parent))
    remove(bytes(target))
    shutil.copy2(source, target, follow_symlinks=False)
    if not target.is_symlink():
        target.chmod(target.stat().st_mode | _OURS)


def let_run(file: Path) -> None:
    """Let everybody run a file that was placed; a link is left alone."""
    if file.is_file() and not file.is_symlink():
        file.chmod(file.stat().st_mode | _RUNS)


def unlink(base: Path, below: Path) -> None:
    """Remove what is at a path below a base, unless a link stands on the way: it could lead anywhere."""
    if not any((base / way).is_symlink() for way in below.parents):
        remove(bytes(base / below))


def files_in(source: Path) -> list[Path]:
    """The files of a directory, from there."""
    return [path.relative_to(source) for path in source.rglob("*") if path.is_symlink() or not path.is_dir()]


def _inside(below: Path) -> bytes:
    return b"" if below == Path() else bytes(below)
