"""Which tier is in force: the best that passes a trial on this machine, never the mere presence of a program.

The trial is a small hostile command. It tries what a cheat would try, and has to fail.
"""

import os
import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from autoloop import process
from autoloop.errors import AutoloopError
from autoloop.git.walk import remove
from autoloop.ports import Cell, Room, Sandbox
from autoloop.sandbox import bwrap
from autoloop.sandbox.bwrap import BwrapSandbox
from autoloop.sandbox.landlock import LandlockSandbox
from autoloop.sandbox.none import NoSandbox
from autoloop.sandbox.places import Places

TIERS = ("bwrap", "landlock")
"""The best first."""
_TRIAL = """
echo "tree is writable" > "$AUTOLOOP_TREE/.autoloop-trial" && rm "$AUTOLOOP_TREE/.autoloop-trial" || echo "no tree"
cat "$SECRET" /proc/[0-9]*/root"$SECRET"
for file in "$VICTIM" "$SHOWN"; do
  umount "$file"; umount -l "$file"; umount "${file%/*}"
  mount -o remount,bind,rw "${file%/*}"; mount -o remount,bind,rw /
  unshare -rm umount "$file"
  echo moved > "$file"; rm -f "$file"; mv "$file" "$file.moved"
  ln -f "$file" "$AUTOLOOP_TREE/linked" && echo x > "$AUTOLOOP_TREE/linked"
done
rm -f "$AUTOLOOP_TREE/linked"
sh -c 'true 3<> /proc/$PPID/mem' && echo "it can be traced"
echo "trial over"
"""
_APPARMOR = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
WARNING = (
    "no sandbox is in force: agents and candidates run with your rights, and violations are found but not prevented"
)

_PROC_REFUSED = "Can't mount proc"
"""What bubblewrap says where the kernel allows no fresh one, because parts of the one around are covered."""
_SEEN = (
    "the sandbox bwrap is in force with the /proc of what is around it: its commands see names and arguments of "
    "processes outside, and /proc has other numbers for their own"
)


@dataclass(frozen=True)
class Choice:
    """The sandbox that a run uses, and what to say of it."""

    sandbox: Sandbox
    warning: str = ""
    """A warning that is shown before the run begins; empty when there is none."""


@cache
def choose(wanted: str, places: Places, scratch: Path) -> Choice:
    """The sandbox that `wanted` names, or the best one that works for `auto`; AutoloopError when it does not work."""
    if wanted == "none":
        return Choice(NoSandbox(), f'{WARNING} (`sandbox = "none"`)')
    failures: dict[str, str] = {}
    for tier in TIERS if wanted == "auto" else [wanted]:
        for sandbox, caution in _made(tier, places):
            problem = sandbox if isinstance(sandbox, str) else on_trial(sandbox, scratch)
            if not isinstance(sandbox, str) and problem is None:
                return Choice(sandbox, caution or _second_best(tier, failures))
            failures.setdefault(tier, problem or "")
            if _PROC_REFUSED not in failures[tier]:
                break
    if wanted != "auto":
        raise AutoloopError(f"the sandbox {wanted} does not work here: {failures[wanted]}", _remedy(failures))
    if sys.platform != "linux":
        return Choice(NoSandbox(), f"{WARNING}; there is none for {sys.platform} so far")
    said = "; ".join(f"{tier}: {problem}" for tier, problem in failures.items())
    return Choice(NoSandbox(), f"{WARNING}. {said}. {_remedy(failures)}")


def on_trial(sandbox: Sandbox, scratch: Path) -> str | None:
    """Let a hostile command try; what is wrong with the sandbox, if anything."""
    place = scratch / f"trial-{secrets.token_hex(4)}"
    tree, home, shown, victim = (place / name for name in ("tree", "home", "shown/file", "victim/file"))
    word = secrets.token_hex(8)
    for folder in (tree, home, shown.parent, victim.parent):
        folder.mkdir(parents=True)
    shown.write_text("untouched")
    victim.write_text(word)
    try:
        room = sandbox.enter(Cell(tree=tree, home=home, reads=(shown,), tracing=False))
        done = _attempt(room, tree, shown, victim)
        if "trial over" not in done.stdout:
            said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.exit_code}").splitlines()
            return f"a command cannot be started in it ({said[-1][:200]})"
        if "no tree" in done.stdout:
            return "a command in it cannot write to its tree"
        if word in done.stdout:
            return "a command in it can read what is private"
        if "it can be traced" in done.stdout:
            return "a command in it can change the one that started it"
        changed = [file for file, text in ((shown, "untouched"), (victim, word)) if _text(file) != text]
        return "a command in it can change what it must not" if changed else None
    finally:
        remove(bytes(place))


def _attempt(room: Room, tree: Path, shown: Path, victim: Path) -> process.Finished:
    env = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "AUTOLOOP_TREE": str(room.seen(tree)),
        "SHOWN": str(room.seen(shown)),
        "VICTIM": str(victim),
        "SECRET": str(victim),
    }
    command = [*room.prefix, "sh", "-c", _TRIAL]
    return process.run(command, cwd=room.cwd, env={**env, **room.env}, deadline=20, wrappers=room.wrappers)


def _text(file: Path) -> str:
    return file.read_text() if file.is_file() else ""


def _made(tier: str, places: Places) -> Iterator[tuple[Sandbox | str, str]]:
    """The sandboxes of a tier, the best first, each with what should be said of it; or why there is none."""
    if tier == "bwrap" and bwrap.found():
        yield BwrapSandbox(places), ""
        yield BwrapSandbox(places, own_proc=False), _SEEN
        return
    if tier == "bwrap":
        yield "bubblewrap is not installed", ""
        return

    yield LandlockSandbox(places) if LandlockSandbox.abi() else "this kernel has no Landlock", ""


def _second_best(tier: str, failures: dict[str, str]) -> str:
    """What to say where a better tier did not work."""
    if not failures:
        return ""
    said = "; ".join(f"{better}: {problem}" for better, problem in failures.items())
    return f"sandbox {tier} is in force, which leaves more open than bwrap. {said}. {_remedy(failures)}"


def _remedy(failures: dict[str, str]) -> str:
    said = failures.get("bwrap", "")
    if "not installed" in said:
        return "Install it: `apt install bubblewrap`, `dnf install bubblewrap`, `pacman -S bubblewrap`."
    if said and _is_within():
        return (
            "This is inside of a sandbox of autoloop. bwrap works there when it is bwrap on the outside as well, "
            "and in a measurement with `measure_tracing = true`."
        )
    if said and _APPARMOR.exists() and _APPARMOR.read_text().strip() == "1":
        return (
            "AppArmor keeps users from namespaces here: `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`"
            ", or give bwrap a profile with `userns,` in /etc/apparmor.d."
        )
    if said:
        docker = "`--security-opt seccomp=unconfined --security-opt systempaths=unconfined`"
        return f"In a container, allow user namespaces (Docker: {docker}), or use landlock."
    return "Linux 5.13 or newer has it; it must be in the list of `lsm=` that the kernel was started with."


def _is_within() -> bool:
    """Whether this process is itself in a cell: who works for a run knows its tree, and cannot gain rights here."""
    status = Path("/proc/self/status")
    return "AUTOLOOP_TREE" in os.environ and status.exists() and "\nNoNewPrivs:\t1\n" in status.read_text()
