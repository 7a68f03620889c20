"""Permissions: what each field of the program can let through a sandbox, one thing at a time.

They are granted in trials only, to find out which of them a measurement needs.
"""

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from glob import escape, glob
from pathlib import Path

from autoloop.ports import Cell, Room, Sandbox, Tier
from autoloop.sandbox.places import Places

DEVICES = (
    "/dev/nvidia*",
    "/dev/nvidia-caps/*",
    "/dev/dri/*",
    "/dev/kfd",
    "/dev/dxg",
    "/dev/accel*",
    "/dev/vfio/*",
    "/dev/infiniband/*",
    "/dev/kvm",
    "/dev/fuse",
    "/dev/net/tun",
    "/dev/cpu/*/msr",
    "/dev/video*",
    "/dev/snd/*",
)
"""Device nodes that measurements are known to use, as globs; others are tried by name."""
_COMMON = ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "console", "stdin", "stdout", "stderr")
CROWDED = 300
"""Of a place with more entries than this only the ways to other places are followed: trying each half of its entries
would take too long."""
_NEVER = ("/proc", "/dev", "/sys")
_FOR_ALL = ("/tmp", "/var/tmp")
"""Places that are private to a command under bubblewrap, and out of reach elsewhere."""
_LISTENING = 0x10000
"""The flag of a listening socket in /proc/net/unix: __SO_ACCEPTCON (0x10000), as net/unix/af_unix.c prints it."""


@dataclass(frozen=True)
class Permission:
    """One thing that a field of the program can let through a sandbox."""

    field: str
    """The field of `config.toml` that grants it; empty for writing, which none does."""
    value: str
    """The value as it stands in that field."""
    opened: Callable[[Cell], Cell]
    path: Path | None = None
    """The place that it gives access to, if it is one."""

    def is_in(self, text: str) -> bool:
        """Whether a text, such as an error, names the place or something in it."""
        return self.path is not None and re.search(rf"{re.escape(str(self.path))}(?![\w.-])", text) is not None


@dataclass(frozen=True)
class WiderSandbox:
    """A sandbox whose cells are given some permissions more."""

    sandbox: Sandbox
    permissions: tuple[Permission, ...]

    @property
    def tier(self) -> Tier:
        """The tier of the sandbox within."""
        return self.sandbox.tier

    def enter(self, cell: Cell) -> Room:
        """The room of a cell with the permissions added."""
        for one in self.permissions:
            cell = one.opened(cell)
        return self.sandbox.enter(cell)


def network() -> Permission:
    """The permission to use the network of this machine."""
    return Permission("measure_network", "on", lambda cell: replace(cell, network="on"))


def tracing() -> Permission:
    """The permission to trace processes, which also makes namespaces."""
    return Permission("measure_tracing", "true", lambda cell: replace(cell, tracing=True))


def devices() -> list[Permission]:
    """Permissions for device nodes that a command does not find."""
    known = [pattern for pattern in DEVICES if glob(pattern)]
    covered = {path for pattern in known for path in glob(pattern)}
    others = [path for path in sorted(glob("/dev/*")) if path not in covered and _is_device(path)]
    return [_device(pattern) for pattern in (*known, *others)]


def sockets(places: Places) -> list[Permission]:
    """Permissions for sockets on which somebody listens in hidden places."""
    return [
        _socket(path, places.home)
        for path in sorted(set(_listening()))
        if places.is_hidden(path) and _is_reachable(path)
    ]


def parts_of_checkout(places: Places, untracked: Iterable[str]) -> list[Permission]:
    """Permissions for what the checkout has and a tree has not."""
    return [_shown("share_paths", name.rstrip("/"), places.root / name) for name in untracked]


def hidden_parts(places: Places, apart: Iterable[Path]) -> list[list[Permission]]:
    """What lies in hidden places: what shows in the home, elsewhere, then what does not show in the home.

    Nothing of the checkout, nor of what is to stay apart. The last are often written to, and shown they cannot be.
    """
    kept_apart = {places.root, *apart}
    found = [path for place in places.hidden for path in _parts(place, kept_apart, {places.home})]
    at_home = [path for path in found if path.is_relative_to(places.home)]
    elsewhere = [path for path in found if path not in at_home]
    dotted = [path for path in at_home if path.relative_to(places.home).parts[0].startswith(".")]
    plain = [path for path in at_home if path not in dotted]
    return [
        [_shown("read_paths", _spelled(path, places.home), path) for path in paths if path not in places.tools]
        for paths in (plain, elsewhere, dotted)
    ]


def writable_parts(places: Places, apart: Iterable[Path], tier: Tier) -> list[Permission]:
    """Permissions to write, for every place where the command could without a sandbox."""
    public = () if tier == "bwrap" else map(Path, _FOR_ALL)
    kept_apart = {places.root, *map(Path, _NEVER), *apart}
    found = (*public, *_parts(Path("/"), kept_apart, {places.home, *places.hidden}))
    return [_writable(path, places.home) for path in found if os.access(path, os.W_OK) and not path.is_symlink()]


def _device(pattern: str) -> Permission:
    return Permission("devices", pattern, lambda cell: replace(cell, devices=(*cell.devices, pattern)))


def _socket(path: Path, home: Path) -> Permission:
    name = _spelled(path, home)
    return Permission("sockets", name, lambda cell: replace(cell, sockets=(*cell.sockets, escape(str(path)))), path)


def _shown(field: str, value: str, path: Path) -> Permission:
    return Permission(field, value, lambda cell: replace(cell, shows=(*cell.shows, path)), path)


def _writable(path: Path, home: Path) -> Permission:
    return Permission("", _spelled(path, home), lambda cell: replace(cell, kept=(*cell.kept, path)), path)


def _spelled(path: Path, home: Path) -> str:
    """A path as people write it, with `~` for their home."""
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) and path != home else str(path)


def _parts(place: Path, apart: set[Path], within: set[Path]) -> Iterator[Path]:
    """The entries of a place; of those that hold what is apart or are themselves places, their own entries."""
    entries: list[Path] = []
    with suppress(OSError):
        entries = sorted(place.iterdir())
    for entry in entries:
        if entry in apart:
            continue
        if any(one.is_relative_to(entry) for one in (*apart, *within)):
            yield from _parts(entry, apart, within)
        elif len(entries) <= CROWDED and _is_reachable(entry):
            yield entry


def _is_reachable(path: Path) -> bool:
    """Whether a sandbox could show it: what starts one has not root's rights over other users' directories."""
    with suppress(OSError):
        path.stat()
        return os.geteuid() != 0 or all(_is_open(parent.stat()) for parent in path.parents)
    return False


def _is_open(directory: os.stat_result) -> bool:
    others, own = directory.st_mode & stat.S_IXOTH, directory.st_mode & stat.S_IXUSR
    return bool(others or (own and directory.st_uid == 0))


def _is_device(path: str) -> bool:
    with suppress(OSError):
        name = os.path.basename(path)
        return stat.S_ISCHR(os.stat(path).st_mode) and name not in _COMMON and not name.startswith(("tty", "vcs"))
    return False


def _listening() -> Iterator[Path]:
    with suppress(OSError):
        for line in Path("/proc/net/unix").read_text(errors="surrogateescape").splitlines()[1:]:
            fields = line.split(None, 7)
            if len(fields) == 8 and fields[7].startswith("/") and int(fields[3], 16) & _LISTENING:
                yield Path(fields[7])
