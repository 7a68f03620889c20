"""The port for sandboxes: what each command may reach, and how it is started there."""

import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

Tier = Literal["bwrap", "landlock", "none", "container"]

Network = Literal["off", "loopback", "on"]
"""`off` has a loopback of its own, `loopback` shares one with the run's services, `on` has no bounds."""


@dataclass(frozen=True)
class Mount:
    """A path of this machine that a command finds at another path."""

    real: Path
    seen: Path
    writable: bool = False


@dataclass(frozen=True)
class Cell:
    """The places and rights of one command. Everything else it can read at most, and what is private not even that."""

    tree: Path
    """Its working directory, which it may write."""
    home: Path
    """A directory that takes the place of the user's home."""
    reads: tuple[Path, ...] = ()
    """What it can read although it lies in a place that is hidden."""
    writes: tuple[Path, ...] = ()
    """What it can write beside the tree."""
    fixed: tuple[Path, ...] = ()
    """Parts of the tree, from its root, that it can only read."""
    hides: tuple[Path, ...] = ()
    """Parts of what it can read that it cannot see after all."""
    shows: tuple[Path, ...] = ()
    """What it can read at its own path although it is hidden or secret."""
    kept: tuple[Path, ...] = ()
    """Parts of the user's home that it may write, at their own paths: the settings and the sign-in of a client."""
    network: Network = "off"
    devices: tuple[str, ...] = ()
    """Globs of device nodes."""
    sockets: tuple[str, ...] = ()
    """Globs of sockets."""
    tracing: bool = True
    """Whether its processes may trace each other. What measures must be safe from what it starts."""
    at: Path | None = None
    """Where the tree stands; None for the checkout's own path. Like the next two it takes the tier `bwrap`."""
    rootfs: Path | None = None
    """A directory that takes the place of `/`: what a command makes there lasts. All that `/` has is mounted in it."""
    mounts: tuple[Mount, ...] = ()
    user: str = ""
    """As whom a command runs in a container; empty for the image's own user."""

    @property
    def ground(self) -> Path | None:
        """The former name of `rootfs`, which agents of people may read for one more version."""
        warnings.warn("Cell.ground is now called Cell.rootfs", DeprecationWarning, stacklevel=2)
        return self.rootfs


@dataclass(frozen=True)
class Room:
    """A cell made ready: how to start a command in it, and where the command finds things."""

    prefix: tuple[str, ...]
    """What stands before the command."""
    cwd: Path
    """Where the process is started."""
    env: Mapping[str, str]
    """Variables that take the place of the command's own."""
    seen: Callable[[Path], Path]
    """Where the command finds a path of the cell, or one below it."""
    wrappers: int = 0
    """Processes that stand between ours and the command; what is asked to end is not these."""
    still: Callable[[], AbstractContextManager[None]] = nullcontext
    """Nothing in the cell moves meanwhile, where commands can leave something running: a path that was looked at is
    the one that is opened."""


class Sandbox(Protocol):
    """A sandbox: it starts commands, each kept in its cell."""

    @property
    def tier(self) -> Tier:
        """The name of the tier, in settings and records."""

    def enter(self, cell: Cell) -> Room:
        """How to start one command in the cell."""
