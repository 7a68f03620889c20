"""A copy of one tree's caches, and bringing the caches back to it: only what differs is written.

A file is as it was while its signature is: mode, size, inode and both times. A program can set one of the times back,
not the other. A copy is whole or there is none: its contents are written first, then the list of them takes its name.
"""

import json
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from itertools import count
from json import JSONDecodeError
from pathlib import Path
from typing import NamedTuple

from autoloop.errors import AutoloopError
from autoloop.trees.files import children, lying, mend_folder, open_readable, outlast, write_new
from autoloop.trees.gitdirs import boot_id
from autoloop.trees.walk import open_up, remove

FORM = 1


class Item(NamedTuple):
    """One thing in a cache."""

    mode: int
    size: int
    modified: int
    changed: int
    inode: int
    content: str = ""
    """Of a file its name in the copy, of a symlink where it leads."""
    kept: int = 0
    """When the file in the copy was last changed."""

    @classmethod
    def of(cls, about: os.stat_result, content: str = "", kept: int = 0) -> "Item":
        """What the system says about it."""
        times = about.st_mtime_ns, about.st_ctime_ns
        return cls(about.st_mode, about.st_size, *times, about.st_ino, content, kept)

    def is_still(self, about: os.stat_result) -> bool:
        """Whether nobody has touched the file since."""
        return self[:5] == (about.st_mode, about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino)


class Copy:
    """The caches of one tree as they were when they were last trusted."""

    def __init__(self, folder: Path, caches: tuple[bytes, ...]) -> None:
        self.folder, self.caches = folder, caches
        self._contents, self._list = os.fsencode(folder / "contents") + b"/", folder / "list.json"
        self._known: dict[bytes, Item] | None = None
        self._prefix, self._numbers = secrets.token_hex(4), count()

    @property
    def is_whole(self) -> bool:
        """Whether there is a copy that can be used."""
        return self._items is not None

    def take(self, tree: bytes) -> None:
        """Make the copy equal to what lies in the tree. Fifos, sockets and devices are left out."""
        os.makedirs(self._contents, exist_ok=True)
        old, new = self._items or {}, dict[bytes, Item]()
        for path, about in lying(tree, self.caches):
            if stat.S_ISDIR(about.st_mode):
                new[path] = Item.of(about)
            elif stat.S_ISLNK(about.st_mode):
                new[path] = Item.of(about, text(os.readlink(tree + b"/" + path)))
            elif stat.S_ISREG(about.st_mode):
                known = old.get(path)
                new[path] = known if known and known.is_still(about) else self._taken(tree + b"/" + path)
        if self._items != new:
            self._save(new)
        wait_after(item for path, item in new.items() if item is not old.get(path))

    def put_back(self, tree: bytes) -> None:
        """Make what lies in the tree equal to the copy; without one the caches are emptied. They are real folders."""
        items = self._items or {}
        missing = sorted(items.keys() - set(self._still_there(tree, items)))
        for path in missing:
            items[path] = self._given_back(items[path], tree + b"/" + path)
        folders = [path for path, item in items.items() if stat.S_ISDIR(item.mode)]
        # The innermost first: a folder may let nobody in.
        for path in sorted(folders, reverse=True):
            mend_folder(tree + b"/" + path, items[path].mode, items[path].modified)
        wait_after(items[path] for path in missing)

    def drop(self) -> None:
        """Have no copy any more."""
        self._known = None
        remove(os.fsencode(self.folder))

    def _still_there(self, tree: bytes, items: dict[bytes, Item]) -> Iterator[bytes]:
        """What is as it was. Everything else is removed."""
        folders = list(self.caches)
        while folders:
            folder = folders.pop()
            yield folder
            open_up(tree + b"/" + folder)
            for path, about in children(tree, folder):
                item, at = items.get(path), tree + b"/" + path
                if item is None or stat.S_IFMT(item.mode) != stat.S_IFMT(about.st_mode):
                    remove(at)
                elif stat.S_ISDIR(item.mode):
                    folders.append(path)
                elif text(os.readlink(at)) == item.content if stat.S_ISLNK(item.mode) else item.is_still(about):
                    yield path
                else:
                    os.unlink(at)

    def _taken(self, path: bytes) -> Item:
        """Copy one file of the tree."""
        source = open_readable(path)
        try:
            # Looked at before it is read: what is written meanwhile shows as a change.
            about, name = os.fstat(source), f"{self._prefix}-{next(self._numbers):x}"
            kept = write_new(self._contents + raw(name), source)
        finally:
            os.close(source)
        return Item.of(about, name, kept.st_ctime_ns)

    def _given_back(self, item: Item, path: bytes) -> Item:
        """Write one thing into the tree; it, as it lies there now."""
        if stat.S_ISDIR(item.mode):
            os.mkdir(path, 0o700)
            return item
        if stat.S_ISLNK(item.mode):
            os.symlink(raw(item.content), path)
            return item
        source = self._open_content(item)
        try:
            about = write_new(path, source, stat.S_IMODE(item.mode), item.modified)
        finally:
            os.close(source)
        return Item.of(about, item.content, item.kept)

    def _open_content(self, item: Item) -> int:
        try:
            content = os.open(self._contents + raw(item.content), os.O_RDONLY | os.O_NOFOLLOW)
            if os.fstat(content).st_ctime_ns == item.kept:
                return content
            os.close(content)
        except FileNotFoundError:
            pass
        self.drop()
        raise AutoloopError(
            f"{self.folder}: the copy of the caches was changed by someone",
            "Resume: the caches are emptied, and prepared again.",
        )

    @property
    def _items(self) -> dict[bytes, Item] | None:
        if self._known is None:
            self._known = self._read()
        return self._known

    def _read(self) -> dict[bytes, Item] | None:
        """The list, if it and every file that it names are as they were written."""
        try:
            found = json.loads(self._list.read_bytes())
            if found["head"] != self._head():
                return None
            items = {raw(path): Item(*fields) for path, fields in found["items"].items()}
            with os.scandir(self._contents) as files:
                changed = {text(file.name): file.stat(follow_symlinks=False).st_ctime_ns for file in files}
        except (OSError, JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError):
            return None
        is_file = (item for item in items.values() if stat.S_ISREG(item.mode))
        return items if all(changed.get(item.content) == item.kept for item in is_file) else None

    def _save(self, items: dict[bytes, Item]) -> None:
        """Let these be the copy from now on, then forget the contents that it no longer names."""
        new = self._list.with_suffix(".new")
        content = {"head": self._head(), "items": {text(path): item for path, item in items.items()}}
        new.write_text(json.dumps(content, separators=(",", ":")))
        os.replace(new, self._list)
        self._known = items
        named = {raw(item.content) for item in items.values() if stat.S_ISREG(item.mode)}
        for name in set(os.listdir(self._contents)) - named:
            os.unlink(self._contents + name)

    def _head(self) -> list[object]:
        # Nothing is flushed: after a power loss a file may be less than it was.
        return [FORM, text(boot_id()), [text(cache) for cache in self.caches]]


def wait_after(items: Iterable[Item]) -> None:
    """Wait until a change of any of these files would show."""
    outlast(max((item.changed for item in items if stat.S_ISREG(item.mode)), default=0))


def text(path: bytes) -> str:
    """Bytes as JSON can hold them."""
    return path.decode("utf-8", "surrogateescape")


def raw(path: str) -> bytes:
    """The bytes of `text`."""
    return path.encode("utf-8", "surrogateescape")
