"""The container of one trial: made when the first command needs it, removed when the trial is over.

Its processes all end when it is halted; its files stay. While it stands still, what is mounted can be changed. Where
its task names a health check, the container is ready once that succeeds.
"""

import csv
import io
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from autoloop.core.suite.tasks import Container, Healthcheck
from autoloop.errors import AutoloopError
from autoloop.ports import Mount
from autoloop.suites.containers.engine import LABEL, NETWORK, BuiltImage, Engine
from autoloop.suites.containers.exec import is_passed_on

_MAKING = 120.0
"""Seconds for a container to be made, copied from, or removed."""
_INSIDE = "/autoloop-mounted"
_BEGINNING = 5.0
"""Seconds for an entrypoint to come to the command that it is given."""
_LOOKS = """
for file in /proc/[0-9]*/cmdline; do
  read -r line < $file; case "$line" in "sleep$1" | "sh-csleep $1") exit 0;; esac
done 2> /dev/null; exit 41
"""
"""Whether a process sleeps so many seconds, in words that every shell knows; the words of a process have no blanks."""
_NOT_YET = 41
_LOOK = 0.05


@dataclass
class Box:
    """The container of one trial, by its name."""

    engine: Engine
    image: BuiltImage
    name: str
    bench: str
    wanted: Container
    workdir: str
    lasts: float
    """Seconds after which it ends by itself, should nobody be left to end it."""
    mounts: tuple[Mount, ...] = ()
    made: bool = False
    running: bool = False
    online: bool = False
    entrypoint: tuple[str, ...] = ()
    """In the place of the image's own, where that cannot run a command."""

    def fill(self, tree: Path) -> None:
        """Copy what the image has in the workdir."""
        line = f'mkdir -p "$1" && cp -a "$1"/. {_INSIDE}/'
        self._aside("copy the workdir out of the image", [Mount(tree, Path(_INSIDE), True)], line, self.workdir)

    def ready(self, mounts: Sequence[Mount], *, online: bool) -> None:
        """Start it, unless it is running, with these mounts and with or without the network."""
        if not self.made:
            self._make(tuple(mounts), online)
        elif lacking := [mount for mount in mounts if mount not in self.mounts]:
            raise AutoloopError(f"the container of the trial was made without {lacking[0].real}")
        if not self.running:
            self._start()
        if self.online != online:
            verb = "connect" if online else "disconnect"
            self.engine.do(f"{verb} the network", "network", verb, NETWORK, self.name)
            self.online = online

    def halt(self) -> None:
        """End every process in it."""
        if self.running:
            self.engine.do("halt a container", "stop", "--time", "0", self.name, deadline=_MAKING)
            self.running = False

    @contextmanager
    def still(self) -> Iterator[None]:
        """Pause its processes while this lasts."""
        if not self.running:
            yield
            return
        self.engine.do("pause a container", "pause", self.name)
        try:
            yield
        finally:
            self.engine.do("let a container go on", "unpause", self.name)

    def changes(self) -> tuple[str, ...]:
        """The paths that differ from the image, apart from what is mounted."""
        if not self.made:
            return ()
        places = [str(mount.seen) for mount in self.mounts]
        lines = self.engine.run("diff", self.name).stdout.splitlines()
        return tuple(line for line in lines if not any(_leads(line[2:], place) for place in places))

    def give_back(self, *places: Path, harmless: bool = True) -> None:
        """Make what it left in mounted directories the host user's own, and harmless: nothing there gives rights."""
        owner = f"{os.getuid()}:{os.getgid()}"
        mounts = [Mount(place, Path(f"{_INSIDE}/{number}"), True) for number, place in enumerate(places)]
        line = f'chown -R "$1" {_INSIDE} && chmod -R {"ug-s," if harmless else ""}u+rwX {_INSIDE}'
        self._aside("take the files of a container over", mounts, line, owner)

    def remove(self) -> None:
        """Remove it, whether it exists or not."""
        self.engine.run("rm", "--force", "--volumes", self.name, deadline=_MAKING)
        self.made = self.running = False

    def _make(self, mounts: tuple[Mount, ...], online: bool) -> None:
        self.remove()
        self.mounts, self.online = mounts, online
        self._run()
        if self.image.entrypoint and not self._carries_on():
            self.remove()
            self.entrypoint = ("--entrypoint", "")
            self._run()
        self._wait_until_healthy()

    def _carries_on(self) -> bool:
        """Whether the entrypoint comes to run our command, or at least goes on running."""
        until = time.monotonic() + _BEGINNING
        while time.monotonic() < until:
            looked = self.engine.run("exec", self.name, "sh", "-c", _LOOKS, "sh", f"{self.lasts:.0f}")
            if looked.exit_code != _NOT_YET:
                return looked.ok
            time.sleep(_LOOK)
        return True

    @property
    def _rest(self) -> str:
        return f"sleep {self.lasts:.0f}"

    def _run(self) -> None:
        cores = self.wanted.cpus and min(self.wanted.cpus, self.engine.cores or self.wanted.cpus)
        limits = {"--cpus": cores, "--memory": self.wanted.memory_mb}
        words = [f"{name}={value:g}{'m' if name == '--memory' else ''}" for name, value in limits.items() if value]
        words += [word for mount in self.mounts for word in ("--mount", mount_word(mount))]
        self._have_places()
        env = self.wanted.env  # the engine's program finds none of them that could lead it elsewhere
        quiet = {name: env[name] for name in env if is_passed_on(name) and name not in self.engine.environ}
        self.engine.do(
            "make a container",
            "create", "--init", "--name", self.name, "--label", f"{LABEL}={self.bench}", "--network", NETWORK,
            "--cap-drop", "MKNOD", "--workdir", self.workdir,
            *(word for name, value in env.items() for word in ("--env", name if name in quiet else f"{name}={value}")),
            *words, *self.entrypoint, self.image.name, "sh", "-c", self._rest,
            deadline=_MAKING, env=quiet,
        )  # fmt: skip
        if not self.online:  # and not made without, because such a one can never be connected
            self.engine.do("disconnect the network", "network", "disconnect", NETWORK, self.name)
        self.engine.do("start a container", "start", self.name, deadline=_MAKING)
        self.made = self.running = True

    def _start(self) -> None:
        self._have_places()
        self.engine.do("start a container again", "start", self.name, deadline=_MAKING)
        self.running = True
        self._wait_until_healthy()

    def _have_places(self) -> None:
        """Make the directories that are mounted; between two starts they may have been removed."""
        for mount in self.mounts:
            if not mount.real.exists():
                mount.real.mkdir(parents=True)

    def _wait_until_healthy(self) -> None:
        if (check := self.wanted.healthcheck) is not None and (said := unhealthy(self.engine, self.name, check)):
            raise AutoloopError(f"the container is not healthy: {said}")

    def _aside(self, what: str, mounts: Sequence[Mount], line: str, word: str) -> None:
        """Run a line of sh in a container of its own, of the same image, as its root."""
        bound = [part for mount in mounts for part in ("--mount", mount_word(mount))]
        self.engine.do(
            what, "run", "--rm", "--network", "none", "--user", "0", "--label", f"{LABEL}={self.bench}", *bound,
            "--entrypoint", "sh", self.image.name, "-c", line, "sh", word, deadline=_MAKING,
        )  # fmt: skip


def mount_word(mount: Mount) -> str:
    """The mount as `--mount` has it: a line of CSV."""
    fields = ["type=bind", f"source={mount.real}", f"target={mount.seen}", *([] if mount.writable else ["readonly"])]
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()


def _leads(path: str, place: str) -> bool:
    """Whether a path is a place, below it, or on the way to it."""
    return f"{path}/".startswith(f"{place}/") or f"{place}/".startswith(f"{path}/")


def unhealthy(engine: Engine, name: str, check: Healthcheck) -> str:
    """Ask until the check succeeds; what it said when it did not, after all tries."""
    began, failed = time.monotonic(), 0
    while True:
        done = engine.run("exec", name, "sh", "-c", check.command, deadline=check.timeout)
        if done.ok:
            return ""
        early = time.monotonic() - began < check.start_period
        failed += not early
        if failed >= check.retries:
            return (done.stderr.strip() or done.stdout.strip() or f"exit code {done.exit_code}")[-300:]
        time.sleep(check.start_interval if early else check.interval)
