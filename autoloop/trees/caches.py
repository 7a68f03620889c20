"""The caches of a run's trees: which commits may leave something in them, and what later ones begin from.

A tree's caches are trusted as the start or a kept commit left them, and nobody else was there: then a copy is taken.
Whatever else happened there is undone before the next commit comes, after a kill as well: who was there last is known
in memory alone, and a process that does not know it brings the copy back.
"""

import os
from collections.abc import Callable
from pathlib import Path

from autoloop.trees.copies import Copy
from autoloop.trees.walk import make_real

AGENT = "agent"
PREPARE, BUILD = "prepare.sh", "build.sh"
_MARKS = {PREPARE: "prepared", BUILD: "built"}


def mark(home: Path, script: str, slot: str) -> Path:
    """A file that says that a script has run once in a tree; it goes with the copy of the tree's caches."""
    return home / f"{_MARKS[script]}-{slot}"


class Caches:
    """The caches of all trees of a run. Costs nothing where a program has none."""

    def __init__(self, home: Path, paths: tuple[bytes, ...], path: Callable[[str], Path]) -> None:
        self.home, self.paths, self._path = home, paths, path
        self._copies: dict[str, Copy] = {}
        self._trusted: set[str] = set()
        """Commits whose own code may write into caches that last."""
        self._only: dict[str, str] = {}
        """The commit in each tree beside which nothing has touched the caches since they were as they should be."""

    def open(self, start: str) -> None:
        """Begin with a commit that is trusted. What was done in trees whose caches are lost is to be done again."""
        self._trusted.add(start)
        if not self.paths:
            return
        for script in _MARKS:
            for done in self.home.glob(mark(self.home, script, "*").name):
                if not self._copy(done.name.partition("-")[2]).is_whole:
                    done.unlink()

    def place(self, slot: str, commit: str, *, keep: bool) -> None:
        """Make the caches of a tree ready for a commit. With `keep` false someone empties them for it afterwards."""
        if not self.paths:
            return
        before = self._only.pop(slot, commit)
        for path in self.paths:
            make_real(self._root(slot), path)
        # The same commit again: something went wrong with it, or was not for others to see.
        if before != commit and before in self._trusted:
            self._take(slot)
        elif keep:
            self._copy(slot).put_back(self._root(slot))
        if keep and slot != AGENT:
            self._only[slot] = commit

    def settle(self, head: str, previous: str) -> None:
        """Trust what is kept, and what it left."""
        if not self.paths or head in self._trusted:
            return
        self._trusted |= {head, previous}
        for slot, commit in self._only.items():
            if commit == head:
                self._take(slot)

    def trust(self, slot: str, trusted: bool) -> None:
        """Say whether the caches of a tree, as they are now, are what later commits may begin from."""
        if not trusted:
            self._only.pop(slot, None)
        elif self.paths:
            self._take(slot)

    def forget(self) -> None:
        """Know nothing any more: the files are gone."""
        self._copies.clear()
        self._only.clear()

    def _take(self, slot: str) -> None:
        self._copy(slot).take(self._root(slot))

    def _copy(self, slot: str) -> Copy:
        return self._copies.setdefault(slot, Copy(self.home / "caches" / slot, self.paths))

    def _root(self, slot: str) -> bytes:
        return os.fsencode(self._path(slot))
