"""The objects of candidates: written to a store of the run's own, then given to the user's repository.

`git gc --prune=now` removes whatever no ref held when it began to look, and so also what was pinned meanwhile (NOTES in
git-gc(1)). So the run keeps a copy of every object that it gives, reads that copy itself through its alternates
(gitrepository-layout(5)), and gives again what was taken.
"""

import errno
import os
import shutil
import stat
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from autoloop.git.command import GitFailed, refs_git

_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.EACCES}
_Result = TypeVar("_Result")
_TRIES = 100
_LOOKED_AFTER = 4
"""The number of newest candidates whose objects are checked regularly."""


@dataclass(frozen=True)
class Objects:
    """Loose objects of one run. They go by their names in a store: two letters, a slash, the rest."""

    own: Path
    """The run's git directory, which writes to `objects` and finds `kept` as well."""
    common_dir: Path
    """The user's git directory."""
    newest: deque[tuple[str, ...]] = field(default_factory=lambda: deque(maxlen=_LOOKED_AFTER))

    @property
    def kept(self) -> Path:
        """The store with copies of all objects that were given."""
        return self.own / "kept"

    def alternates(self) -> bytes:
        """The content of the run's `objects/info/alternates`: the stores in which its git finds objects of others."""
        self.kept.mkdir(parents=True, exist_ok=True)
        return b"".join(os.fsencode(store) + b"\n" for store in (self._theirs, self.kept))

    def pinned(self, pin: Callable[[], None]) -> None:
        """Give the objects that git has written to the user's repository, and have them pinned there."""
        fresh = self.own / "objects"
        names = tuple(_loose(fresh))
        for name in names:
            _give(fresh / name, self._theirs / name)
        self.newest.append(names)
        self.persist(pin)
        for name in names:
            (self.kept / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(fresh / name, self.kept / name)

    def look_after(self) -> int:
        """Repair the newest candidates: a gc that began before a pin may end long after it."""
        return self.repair(name for names in self.newest for name in names)

    def persist(self, step: Callable[[], _Result]) -> _Result:
        """Run a step that needs refs to the newest candidates, and again where a gc removed their objects meanwhile."""
        for _ in range(_TRIES):
            try:
                done = step()
                self.look_after()
                return done
            except GitFailed:
                if not self.look_after():
                    raise
        return step()

    def repair(self, names: Iterable[str] | None = None) -> int:
        """Give again which of these objects (by default: of all) the user's repository has lost; how many that were."""
        names = _loose(self.kept) if names is None else names
        lost = self._missing([name for name in names if not (self._theirs / name).exists()])
        copies = [(store / name, name) for name in lost for store in (self.kept, self.own / "objects")]
        there = [(copy, name) for copy, name in copies if copy.exists()]
        for copy, name in there:
            _give(copy, self._theirs / name)
        return len(there)

    @property
    def _theirs(self) -> Path:
        return self.common_dir / "objects"

    def _missing(self, names: list[str]) -> list[str]:
        """The objects that the user's repository has neither loose nor in a pack."""
        if not names:
            return []
        asked = "".join(f"{name.replace('/', '')}\n" for name in names).encode()
        answers = refs_git(self.common_dir)("cat-file", "--batch-check", stdin=asked).decode().splitlines()
        return [name for name, answer in zip(names, answers, strict=True) if answer.endswith(" missing")]


def _loose(store: Path) -> Iterator[str]:
    """The names of the loose objects in a store."""
    with suppress(FileNotFoundError), os.scandir(store) as folders:
        for folder in folders:
            names = os.listdir(folder.path) if len(folder.name) == 2 else ()
            yield from (f"{folder.name}/{name}" for name in names if not name.startswith("tmp_"))


def _give(source: Path, target: Path) -> None:
    """Put an object into the user's store. git gc removes folders that it finds empty: then they are made again."""
    for left in reversed(range(_TRIES)):
        try:
            _make_folder(target.parent)
            _link(source, target)
            return
        except FileExistsError:
            return
        except FileNotFoundError:
            if not left or not source.exists():
                raise


def _link(source: Path, target: Path) -> None:
    """A hard link to a file, or a copy where they are on different disks."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        _copy(source, target)


def _make_folder(folder: Path) -> None:
    with suppress(FileExistsError):
        folder.mkdir()
        # As git does where a repository is shared: who may write to the store may write to its folders.
        os.chmod(folder, stat.S_IMODE(folder.parent.stat().st_mode))


def _copy(source: Path, target: Path) -> None:
    # Not under a name that a sweep takes for what a dead git left.
    handle, beside = tempfile.mkstemp(prefix="autoloop-", dir=target.parent.parent)
    try:
        with os.fdopen(handle, "wb") as file, source.open("rb") as original:
            shutil.copyfileobj(original, file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, stat.S_IMODE(source.stat().st_mode))
        os.replace(beside, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(beside)
        raise
