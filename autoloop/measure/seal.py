"""The seal: the measurement files as they were when the run began, and any change to them.

Content, mode, type and additions count. A file whose stat says that it was not touched since it was
last read is not read again: the change time cannot be set by a program (utimensat(2)). What was changed
is put back from memory, so that it spoils one experiment and not the rest of the night. Compiled Python
beside what judges may be planted, so it is removed before it can be used; Python makes it again.
"""

import hashlib
import os
import shutil
import stat
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autoloop.core.globs import matches
from autoloop.errors import AutoloopError, refused
from autoloop.git.walk import is_real_folder, open_up, remove

HELD_BYTES = 64 << 20
"""Of sealed files that are held in memory, at most; of larger ones nothing can be put back."""


class SealedProgram:
    """The sealed copy of a program's directory; measuring runs from it."""

    def __init__(self, directory: Path, digests: Mapping[str, str], held_bytes: int = HELD_BYTES) -> None:
        self.directory = directory
        self._digests = dict(digests)
        self._looked: dict[str, tuple[tuple[int, ...], str]] = {}
        self._held = self._contents(held_bytes)

    def violations(self) -> tuple[str, ...]:
        """The sealed files that changed since the run began.

        Compiled Python goes on the way: it may be planted, and is made again when needed.
        """
        found = dict(self._entries())
        gone = [f"{path} (gone)" for path in self._digests.keys() - found.keys()]
        added = [f"{path} (added)" for path in found.keys() - self._digests.keys()]
        changed = [path for path, digest in found.items() if self._digests.get(path, digest) != digest]
        return tuple(sorted(f"sealed {text}" for text in (*gone, *added, *changed)))

    def restore(self) -> None:
        """Put back whatever was changed, or say with an AutoloopError what cannot be."""
        if not self.violations():
            return
        found = dict(self._entries())
        altered = sorted(path for path, digest in self._digests.items() if found.get(path) != digest)
        if beyond := [path for path in altered if path not in self._held]:
            raise AutoloopError(
                f"the sealed {beyond[0]} was changed or removed, and what it was is not known any more",
                f"Restore {self.directory / beyond[0]} as it was when the run began, or start a new run.",
            )
        try:
            make_folder(self.directory)
            for path in found.keys() - self._digests.keys():
                unseal_path(self.directory / path)
            for path in altered:
                self._put_back(path)
        except OSError as error:
            raise refused(error, f"{error.filename or self.directory} cannot be restored: {error.strerror}") from error
        if left := self.violations():
            raise AutoloopError(f"{left[0]} cannot be restored", "Start a new run.")

    def _put_back(self, path: str) -> None:
        place, held = self.directory / path, self._held[path]
        for folder in reversed(place.relative_to(self.directory).parents):
            make_folder(self.directory / folder)
        unseal_path(place)
        with open(place, "wb") as file:
            file.write(held.content)
            os.fchmod(file.fileno(), held.mode)
            file.flush()
            os.fsync(file.fileno())

    def _contents(self, limit: int) -> dict[str, "_Held"]:
        """The files that are as they were sealed, when they are few enough to be held."""
        there = {path: self.directory / path for path, digest in self._entries() if self._digests.get(path) == digest}
        if sum(path.stat().st_size for path in there.values()) > limit:
            return {}
        return {name: _Held(path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) for name, path in there.items()}

    def _entries(self) -> Iterator[tuple[str, str]]:
        root = str(self.directory)
        for path, info in walk(root, purge=True):
            name = path[len(root) + 1 :]
            signature = signature_of(info)
            known = self._looked.get(name)
            if known is None or known[0] != signature:
                known = (signature, digest_of(path, info))
                self._looked[name] = known
            yield name, known[1]


@dataclass(frozen=True)
class _Held:
    """A sealed file that is held in memory."""

    content: bytes
    mode: int


def make_folder(path: Path) -> None:
    """Make a path a real directory that we can enter and change."""
    if path.is_symlink() or not path.is_dir():
        unseal_path(path)
        path.mkdir()
    if path.stat().st_mode & stat.S_IRWXU != stat.S_IRWXU:
        path.chmod(0o755)


def unseal_path(path: Path) -> None:
    """Remove whatever is at a path, if anything is."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def seal(source: Path, destination: Path) -> dict[str, str]:
    """Copy a program's directory and return the digest of each file, by its path in the copy.

    Symlinks are followed, so that the copy holds what they point at. `runs` is where AutoAuto keeps its results.
    """

    def left_out(folder: str, names: list[str]) -> set[str]:
        return {FOLDER, ".git", *(["runs"] if Path(folder) == source else [])} & set(names)

    if destination.exists():
        shutil.rmtree(destination)
    try:
        shutil.copytree(source, destination, ignore=left_out)
    except shutil.Error as error:
        raise AutoloopError(f"{source} cannot be sealed: {error.args[0][0][2]}", "Fix or remove that file.") from None
    start = len(str(destination)) + 1
    for path, _ in walk(str(destination)):
        _flush(path)
    return {path[start:]: digest_of(path, info) for path, info in walk(str(destination))}


def _flush(path: str) -> None:
    """Make a file durable: after a power cut a seal that is half there would look like tampering."""
    with suppress(OSError):
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            os.fsync(file)
        finally:
            os.close(file)


class ProtectedFiles:
    """The protected files of one tree, as its commit has them."""

    def __init__(self, tree: Path, is_protected: "Protected") -> None:
        self._tree = tree
        self._is_protected = is_protected
        self._expected = dict(self._entries())

    def violations(self) -> tuple[str, ...]:
        """The protected files that changed since this was made. Compiled Python of them is removed at the same time."""
        found = dict(self._entries())
        names = sorted(found.keys() | self._expected.keys())
        return tuple(name for name in names if found.get(name) != self._expected.get(name))

    def _entries(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        start = len(str(self._tree)) + 1
        found: list[str] = []
        for root in self._is_protected.roots:
            for path, info in walk(str(self._tree / root)):
                name = os.fsencode(path[start:]).decode("utf-8", "backslashreplace")
                if self._is_protected(name):
                    found.append(path)
                    yield name, signature_of(info)
        remove_compiled(found)


class Protected:
    """The `protected` globs, and the directories that hold all they can match."""

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self._patterns = patterns
        self.roots = _outermost({_fixed_part(pattern) for pattern in patterns})

    def __call__(self, path: str) -> bool:
        """Whether a path, from the tree's root, is protected."""
        return matches(path, self._patterns)


def _fixed_part(pattern: str) -> str:
    """The leading parts of a glob that hold no wildcard."""
    parts = pattern.removeprefix("./").strip("/").split("/")
    fixed = next((index for index, part in enumerate(parts) if set(part) & set("*?[")), len(parts))
    return "/".join(parts[:fixed])


def _outermost(roots: set[str]) -> tuple[str, ...]:
    return tuple(sorted(root for root in roots if not any(root != other and _within(root, other) for other in roots)))


def _within(path: str, directory: str) -> bool:
    return directory == "" or path.startswith(directory + "/")


def walk(path: str, *, purge: bool = False) -> Iterator[tuple[str, os.stat_result]]:
    """Everything at or below a path that is not a directory, links not followed; bytecode is left out, or removed.

    Plain strings: this runs twice for each sample, and building paths would be most of its cost.
    """
    with suppress(OSError):
        info = os.lstat(path)
        if not stat.S_ISDIR(info.st_mode):
            yield path, info
            return
    folders = [path]
    while folders:
        # What is closed, or deeper than a path can say, is as good as gone: that is a violation as well.
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.name in (FOLDER, ".git"):
                    if purge and entry.name == FOLDER:
                        remove_all(entry.path)
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    yield entry.path, entry.stat(follow_symlinks=False)


def signature_of(info: os.stat_result) -> tuple[int, ...]:
    """The fields of a file's `stat` that change whenever the file does."""
    return info.st_mode, info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino


def digest_of(path: str, info: os.stat_result) -> str:
    """Type, permission bits and content as one text."""
    kind, mode = stat.S_IFMT(info.st_mode), stat.S_IMODE(info.st_mode)
    if stat.S_ISLNK(info.st_mode):
        content = hashlib.sha256(os.fsencode(os.readlink(path))).hexdigest()
    elif stat.S_ISREG(info.st_mode):
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
    else:
        content = "special"
    return f"{kind:o}:{mode:o}:{content}"


FOLDER = "__pycache__"


def remove_all(folder: str) -> None:
    """Remove a folder of compiled Python, or whatever stands in its place."""
    with suppress(OSError):
        remove(os.fsencode(folder))


def remove_compiled(sources: Iterable[str]) -> None:
    """Remove what was compiled of these files, or passes for it; what stands beside it stays, since it is dear."""
    by_folder: defaultdict[str, list[str]] = defaultdict(list)
    for source in sources:
        folder, name = os.path.split(source)
        if name.endswith(".py"):
            by_folder[f"{folder}/{FOLDER}"].append(name.removesuffix("py"))
    for folder, stems in by_folder.items():
        if not is_real_folder(os.fsencode(folder)):  # nothing, or a link, which Python would follow
            remove_all(folder)
            continue
        with suppress(OSError):
            open_up(os.fsencode(folder))
            for name in os.listdir(folder):
                if name.startswith(tuple(stems)):
                    remove(os.fsencode(f"{folder}/{name}"))
