"""The caches of a run's trees (`cache_paths`): which commits may leave something in them, and what later ones get.

A tree's caches are trusted as the start commit or a kept one left them, while nobody else was there: then a copy is
taken. Whatever else happened there is undone before the next commit comes, after a kill as well: who was there last is
known in memory alone, and a process that does not know it brings the copy back, writing only what differs.

A file is taken for unchanged while its mode, size, inode and both times are: a program can set the modification time
back (`utimensat`), not the change time. A copy is whole or there is none: its contents are written first, then the list
of them takes its name. Never follows a symlink, and writes to no file that exists: it may be a hard link from outside.
"""

import json
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import count
from json import JSONDecodeError
from pathlib import Path
from typing import NamedTuple

from autoloop.errors import AutoloopError
from autoloop.git.gitdirs import boot_id
from autoloop.git.walk import entries, is_real_folder, make_real, open_up, remove

AGENT = "agent"
PREPARE, BUILD = "prepare.sh", "build.sh"
_MARKS = {PREPARE: "prepared", BUILD: "built"}


def mark(home: Path, script: str, slot: str) -> Path:
    """A file that says that a script has run once in a tree; it goes with the copy of the tree's caches."""
    return home / f"{_MARKS[script]}-{slot}"


class Item(NamedTuple):
    """One file, folder or symlink in a cache."""

    mode: int
    size: int
    modified: int
    changed: int
    inode: int
    content: str = ""
    """For a file its name in the copy, for a symlink its target."""
    kept: int = 0
    """When the file in the copy was last changed."""

    @classmethod
    def of(cls, about: os.stat_result, content: str = "", kept: int = 0) -> "Item":
        """The item that the system's `stat` describes."""
        times = about.st_mtime_ns, about.st_ctime_ns
        return cls(about.st_mode, about.st_size, *times, about.st_ino, content, kept)

    def is_still(self, about: os.stat_result) -> bool:
        """Whether the file is unchanged since, by mode, size, inode and times."""
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
            restore_folder(tree + b"/" + path, items[path].mode, items[path].modified)
        wait_after(items[path] for path in missing)

    def drop(self) -> None:
        """Remove the copy, so that there is none."""
        self._known = None
        remove(os.fsencode(self.folder))

    def _still_there(self, tree: bytes, items: dict[bytes, Item]) -> Iterator[bytes]:
        """The items of the tree that are unchanged. Everything else is removed."""
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
        """Write one item of the copy into the tree; the item as it lies there now."""
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
        """The list of items, if it and every file that it names are as they were written; else None."""
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
        """Make these items the copy from now on, then remove contents that it no longer names."""
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
        """Make the caches of a tree ready for a commit. With `keep` false the caller empties them afterwards."""
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
        """Trust the commit that was kept, and what it left in its caches."""
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
        """Forget what is trusted: the files are gone."""
        self._copies.clear()
        self._only.clear()

    def _take(self, slot: str) -> None:
        self._copy(slot).take(self._root(slot))

    def _copy(self, slot: str) -> Copy:
        return self._copies.setdefault(slot, Copy(self.home / "caches" / slot, self.paths))

    def _root(self, slot: str) -> bytes:
        return os.fsencode(self._path(slot))


FORM = 1


def wait_after(items: Iterable[Item]) -> None:
    """Wait until a change of any of these files would show in its times."""
    outlast(max((item.changed for item in items if stat.S_ISREG(item.mode)), default=0))


def text(path: bytes) -> str:
    """Bytes of a path as text that JSON can hold; `raw` turns it back."""
    return path.decode("utf-8", "surrogateescape")


def raw(path: str) -> bytes:
    """The bytes of a path that `text` made into text."""
    return path.encode("utf-8", "surrogateescape")


LISTABLE = stat.S_IRUSR | stat.S_IXUSR
CHUNK = 1 << 17
GRAIN, COARSE_GRAIN = 20_000_000, 2_000_000_000
"""Nanoseconds in which two changes may get the same time: by the kernel's clock, and where times are whole seconds."""


def lying(tree: bytes, folders: tuple[bytes, ...]) -> Iterator[tuple[bytes, os.stat_result]]:
    """Everything below some folders, and these; a folder comes before what is in it. Closed ones are closed again."""
    left = [(path, os.lstat(tree + b"/" + path)) for path in folders if is_real_folder(tree + b"/" + path)]
    yield from left
    closed: list[tuple[bytes, int]] = []
    while left:
        folder, about = left.pop()
        if about.st_mode & LISTABLE != LISTABLE:
            closed.append((tree + b"/" + folder, stat.S_IMODE(about.st_mode)))
            open_up(tree + b"/" + folder)
        for path, about in children(tree, folder):
            yield path, about
            if stat.S_ISDIR(about.st_mode):
                left.append((path, about))
    for at, mode in reversed(closed):
        os.chmod(at, mode)


def children(tree: bytes, folder: bytes) -> Iterator[tuple[bytes, os.stat_result]]:
    """The entries of a folder, each with its `lstat`."""
    for entry in entries(tree + b"/" + folder):
        yield folder + b"/" + entry.name, entry.stat(follow_symlinks=False)


def open_readable(path: bytes) -> int:
    """Open a file to read it, also where its mode does not allow that."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        return os.open(path, flags)
    except PermissionError:
        os.chmod(path, stat.S_IMODE(os.lstat(path).st_mode) | stat.S_IRUSR)
        return os.open(path, flags)


def write_new(path: bytes, source: int, mode: int = 0o600, modified: int | None = None) -> os.stat_result:
    """Write a new file from an open one; its `stat`."""
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        copy_bytes(source, target)
        if mode != 0o600:
            os.fchmod(target, mode)
        if modified is not None:
            os.utime(target, ns=(modified, modified))
    finally:
        os.close(target)
    # Now that it is closed: a file system over the network settles a file's times then.
    return os.lstat(path)


def copy_bytes(source: int, target: int) -> None:
    """Copy a whole file; where the file system can (btrfs, xfs), both share its blocks until one is written to."""
    chunk = os.read(source, CHUNK)
    if len(chunk) == CHUNK:
        os.lseek(source, 0, os.SEEK_SET)
        with suppress(OSError, AttributeError):
            while os.copy_file_range(source, target, 1 << 30):
                pass
        # What it has copied it has also passed by. On macOS, and across file systems, that is nothing.
        chunk = os.read(source, CHUNK)
    while chunk:
        written = memoryview(chunk)
        while written:
            written = written[os.write(target, written) :]
        chunk = os.read(source, CHUNK)


def restore_folder(path: bytes, mode: int, modified: int) -> None:
    """Give a folder back its mode and its time."""
    about = os.lstat(path)
    if about.st_mtime_ns != modified:
        os.utime(path, ns=(about.st_atime_ns, modified), follow_symlinks=False)
    if about.st_mode != mode:
        os.chmod(path, stat.S_IMODE(mode))


def outlast(changed: int) -> None:
    """Wait until a file changed now would get a later time than one that changed at `changed`."""
    grain = COARSE_GRAIN if changed % 1_000_000_000 == 0 else GRAIN
    left = changed + grain - time.time_ns()
    if 0 < left <= grain:
        time.sleep(left / 1e9)
