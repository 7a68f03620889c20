"""Whether the trees that were placed are still there. Anyone may delete the cache directory, a run going or not."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from autoloop.trees.contents import Contents
from autoloop.trees.inspection import is_real


class Presence:
    """The trees as this process placed them. Each is held open: what is deleted and made again is another one."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._held: dict[Path, int] = {}

    def note(self, tree: Path) -> None:
        """A tree was placed."""
        if not self.intact(tree) or tree not in self._held:
            self._let_go(tree)
            self._held[tree] = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)

    def forget(self) -> bool:
        """Know nothing any more; whether something was known."""
        known = bool(self._held)
        for tree in list(self._held):
            self._let_go(tree)
        return known

    def intact(self, tree: Path, held: Contents | None = None) -> bool:
        """Whether a tree is the one that was placed, with every file that is given, and not a link to another."""
        if not is_real(os.fsencode(self._home), os.fsencode(tree.relative_to(self._home)) + b"/"):
            return False
        if tree in self._held and not os.path.samestat(os.fstat(self._held[tree]), tree.stat()):
            return False
        return all(map(os.path.lexists, _files(tree, held)))

    def _let_go(self, tree: Path) -> None:
        file = self._held.pop(tree, None)
        if file is not None:
            with suppress(OSError):
                os.close(file)

    def __del__(self) -> None:
        self.forget()


def _files(tree: Path, held: Contents | None) -> Iterator[bytes]:
    root = os.fsencode(tree) + b"/"
    folders = held.files.items() if held else ()
    return (root + folder + name for folder, names in folders for name in names)
