"""The tier `bwrap`: bubblewrap gives each command namespaces of its own.

The tree appears at the checkout's own path, so that editable installs, workspace links and absolute paths
lead to the tree in use and both arms share one path. Everything else is read-only, absent, or private to the
command. Without capabilities nothing of this can be undone from inside: with them, a bind can be unmounted.
As root the command gets another user id, because only so can it make a sandbox of its own.
"""

import os
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

from autoloop.ports import Cell, Room, Tier
from autoloop.process import executable
from autoloop.sandbox import restrict, rootfs
from autoloop.sandbox.places import RESOLVER, Places
from autoloop.sandbox.rootfs import anchors, bind, held, lies_in, masked, matching, mounted

OWN = Path("/run/autoloop")
"""The directory in which a command finds what its cell names."""
OBJECTS = OWN / "objects"
"""Where the git of a tree finds the repository's objects: their own path lies under the tree."""
PROGRAM = "bwrap"
_FILTER = 9
"""The file from which bubblewrap reads the filter of tracing."""
_UID = 1000
"""The user and group of root's commands: root cannot nest user namespaces as itself."""


@dataclass(frozen=True)
class BwrapSandbox:
    """The tier `bwrap`: commands run under bubblewrap, each in namespaces of its own."""

    places: Places
    tier: Tier = "bwrap"
    own_proc: bool = True
    """Whether `/proc` shows the command's own processes. Else it is the one around, to be read: the kernel refuses a
    fresh one to root inside of another sandbox, and in most containers. Foreign processes stay closed, because they
    belong to another user namespace."""

    def enter(self, cell: Cell) -> Room:
        """The room of a cell: how to start one command in it."""
        if cell.at not in (None, self.places.root):
            return _moved(self.places, cell.at, self.own_proc).enter(cell)
        seen = _Seen(self.places.root, cell)
        opened = () if cell.rootfs is None else rootfs.opened(self._targets(cell), self.places.hidden)
        filtering = () if cell.tracing else _filtering(os.getpid())
        mounts = [
            *(self._system if cell.rootfs is None else rootfs.words(cell.rootfs, self.places, self._targets(cell))),
            *self._devices,
            *(word for path in opened for word in rootfs.parts(path)),
            *(word for node in matching(cell.devices) for word in ("--dev-bind", node, node)),
            *self._hidden,
            *anchors(self._open, (self._home, *self._led_to(cell))),
            *bind("--bind", cell.home, self._home),
            *anchors((self._home,), self._led_to(cell)),
            *(word for path in self._tools_outside for word in bind("--ro-bind", path, path)),
            *(word for path in cell.kept for word in bind("--bind-try", path, path)),
            *bind("--bind", cell.tree, self.places.root),
            *(word for mount in cell.mounts for word in mounted(mount)),
            *held(cell.tree, self.places.root, (*self._inside(cell), *cell.fixed)),
            *(word for part in cell.fixed for word in bind("--ro-bind-try", cell.tree / part, self.places.root / part)),
            *(word for path in self._shown_inside for word in bind("--ro-bind", path, path)),
            *(word for path in self._secrets if not lies_in(path, cell.kept) for word in masked(path)),
            *(word for path in cell.shows for word in bind("--ro-bind-try", path, path)),
            *(bind("--ro-bind", self.places.objects, OBJECTS) if self.places.objects else ()),
            *(word for path in cell.reads for word in bind("--ro-bind", path, seen(path))),
            *(word for path in cell.writes for word in bind("--bind", path, seen(path))),
            *(word for path in cell.hides if path.exists() for word in masked(path, seen(path))),
            *(word for path in matching(cell.sockets) for word in ("--bind-try", path, path)),
        ]
        return Room(
            prefix=(
                *filtering,
                self._program,
                *_START,
                *mounts,
                *self._closed,
                *(word for path in opened for word in ("--remount-ro", str(path))),
                *(("--remount-ro", "/proc") if self.own_proc and not cell.tracing else ()),
                *(("--seccomp", str(_FILTER)) if filtering else ()),
                *(() if cell.network == "on" else ("--unshare-net",)),
                "--chdir",
                str(self.places.root),
                "--",
            ),
            cwd=cell.tree,
            env={"TMPDIR": "/tmp", "HOME": str(self._home)},
            seen=seen,
            wrappers=2,
        )

    @cached_property
    def _program(self) -> str:
        return executable(PROGRAM) or PROGRAM

    @cached_property
    def _home(self) -> Path:
        """Where the private home stands: in the place of the user's, if that is one."""
        home = self.places.home
        return home if home.is_dir() and home != Path(home.anchor) else OWN / "home"

    @cached_property
    def _system(self) -> tuple[str, ...]:
        """The machine as it is, to be read."""
        return bind("--ro-bind", Path("/"), Path("/"))

    @cached_property
    def _devices(self) -> tuple[str, ...]:
        """Devices and processes of the command's own."""
        # Settings of the kernel ask for the id of root alone, which root's commands still have: one of them names a
        # program that the kernel starts.
        settings = bind("--ro-bind", Path("/proc/sys"), Path("/proc/sys")) if os.geteuid() == 0 else ()
        around = bind("--ro-bind", Path("/proc"), Path("/proc"))
        processes = ("--proc", "/proc", *settings) if self.own_proc else around
        return ("--dev", "/dev", *processes)

    @cached_property
    def _hidden(self) -> tuple[str, ...]:
        words: list[str] = []
        for path in self.places.hidden:
            if path == self.places.root:
                continue
            # What anybody may write to stays so.
            words += ["--perms", "1777" if path.stat().st_mode & 0o002 else "0755", "--tmpfs", str(path)]
        return (*words, *(word for path in self._resolver for word in bind("--ro-bind", path, path)))

    @cached_property
    def _open(self) -> tuple[Path, ...]:
        """Hidden directories in which every user may write, such as /tmp."""
        return tuple(path for path in self.places.hidden if path.stat().st_mode & 0o002)

    def _led_to(self, cell: Cell) -> tuple[Path, ...]:
        """What is mounted below a directory in which a command may write, the tree itself among it."""
        return (*self._tools_outside, *cell.kept, *cell.shows, *self._targets(cell))

    def _targets(self, cell: Cell) -> tuple[Path, ...]:
        """What need not be a path of this machine."""
        return (self.places.root, *(mount.seen for mount in cell.mounts))

    @cached_property
    def _closed(self) -> tuple[str, ...]:
        """Hidden directories that no command writes to, read-only: else a folder above a mount could be renamed."""
        skipped = {self.places.root, self._home, *self._open}
        return tuple(word for path in self.places.hidden if path not in skipped for word in ("--remount-ro", str(path)))

    def _inside(self, cell: Cell) -> tuple[Path, ...]:
        """What is mounted below the tree, from its root."""
        root = self.places.root
        found = (path for path in (*self._shown_inside, *cell.shows) if path.is_relative_to(root))
        return tuple(path.relative_to(root) for path in found if path != root)

    @cached_property
    def _resolver(self) -> tuple[Path, ...]:
        real = {Path(path).resolve() for path in RESOLVER}
        return tuple(path for path in sorted(real) if path.exists() and self.places.is_hidden(path))

    @cached_property
    def _tools_outside(self) -> tuple[Path, ...]:
        return tuple(path for path in self.places.tools if not path.is_relative_to(self.places.root))

    @cached_property
    def _secrets(self) -> tuple[Path, ...]:
        """Secret files that would show; the others lie in hidden places."""
        places, shown = self.places, (*self._tools_outside, *self._shown_inside)
        return tuple(path for path in places.secret if not places.is_hidden(path) or lies_in(path, shown))

    @cached_property
    def _shown_inside(self) -> tuple[Path, ...]:
        """What of the checkout itself shows through the tree."""
        tools = (path for path in self.places.tools if path.is_relative_to(self.places.root))
        return (*tools, *self.places.shares)


@cache
def _moved(places: Places, root: Path, own_proc: bool) -> BwrapSandbox:
    """The sandbox with trees that stand elsewhere: the checkout is hidden like any other place."""
    return BwrapSandbox(replace(places, root=root), own_proc=own_proc)


@dataclass(frozen=True)
class _Seen:
    """The paths at which a command finds what is outside."""

    root: Path
    cell: Cell

    def __call__(self, path: Path) -> Path:
        """The path inside of the sandbox."""
        if path.is_relative_to(self.cell.tree):
            return self.root / path.relative_to(self.cell.tree)
        for mount in self.cell.mounts:
            if path.is_relative_to(mount.real):
                return mount.seen / path.relative_to(mount.real)
        for number, given in enumerate((*self.cell.reads, *self.cell.writes)):
            if path.is_relative_to(given):
                return OWN / str(number) / given.name / path.relative_to(given)
        return path


@cache
def _filtering(pid: int) -> tuple[str, ...]:
    """What stands before a bubblewrap that reads the filter of tracing; it becomes that bubblewrap."""
    program = restrict.filter_of_tracing()
    shell = executable("sh")
    if not program or not shell:
        return ()
    # `--seccomp` takes a descriptor, and a room is words alone: so a shell opens the program, which lies in memory as
    # long as this process lives, and then becomes bubblewrap.
    file = os.memfd_create("autoloop-filter")
    os.write(file, program)
    return (shell, "-c", f'exec "$@" {_FILTER}< "$0"', f"/proc/{pid}/fd/{file}")


def user_words() -> tuple[str, ...]:
    """The options for the user and group that the command runs as."""
    return ("--uid", str(_UID), "--gid", str(_UID)) if os.geteuid() == 0 else ()


# `--die-with-parent` is PR_SET_PDEATHSIG (prctl(2)), so that no command outlives a killed loop. `--new-session` is not
# needed: every command starts in a session of its own, away from the terminal (CVE-2017-5226: TIOCSTI).
_START = (
    "--unshare-user",
    *user_words(),
    "--unshare-pid",
    "--unshare-ipc",
    "--unshare-uts",
    "--unshare-cgroup-try",
    "--cap-drop",
    "ALL",
    "--die-with-parent",
)


def found() -> bool:
    """Whether bubblewrap is installed, and so worth trying."""
    return executable(PROGRAM) is not None
