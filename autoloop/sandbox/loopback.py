"""One network for a run's services and its samples: a loopback interface, and nothing beyond it.

A network namespace lives as long as something refers to it (namespaces(7)): here two open files of this process. So no
process has to hold it, and none can be left over.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE

from autoloop import process
from autoloop.errors import AutoloopError
from autoloop.process import executable
from autoloop.sandbox.bwrap import PROGRAM, user_words

ENTERING = "nsenter"
_HELD = ("net", "user")
_TOLD = "echo $$; read -r line"
"""A shell that prints its process id, and waits until its namespaces were opened."""


@contextmanager
def shared_loopback() -> Iterator[tuple[str, ...]]:
    """What stands before a command that shares the loopback; AutoloopError where there can be none."""
    bwrap, nsenter = _required(PROGRAM, "bubblewrap"), _required(ENTERING, "util-linux")
    files = _opened(bwrap)
    try:
        yield _entering(nsenter, files)
    finally:
        for file in files.values():
            os.close(file)


def _required(name: str, package: str) -> str:
    found = executable(name)
    if found is None:
        raise _impossible(f"there is no `{name}`", f"Install it: it is part of {package}.")
    return found


def _opened(bwrap: str) -> dict[str, int]:
    """The namespaces of a command that has a network of its own, which outlive it once they are open."""
    words = [bwrap, "--unshare-user", *user_words(), "--unshare-net", "--dev-bind", "/", "/", "sh", "-c", _TOLD]
    with process.start(words, stdin=PIPE, stdout=PIPE, stderr=PIPE) as job:
        assert job.stdout and job.stderr
        told = job.stdout.readline().decode().strip()
        if not told:
            raise _impossible(job.stderr.read().decode(errors="replace").strip() or "no network of its own")
        return {kind: os.open(Path("/proc", told, "ns", kind), os.O_RDONLY) for kind in _HELD}


def _entering(nsenter: str, files: dict[str, int]) -> tuple[str, ...]:
    """Root keeps its rights over other users' files where it can enter without becoming the namespace's own user."""
    # setns(2) to a network takes CAP_SYS_ADMIN in the user namespace that owns it: root has it, others enter it.
    own = f"/proc/{os.getpid()}/fd"
    plain = (nsenter, f"--net={own}/{files['net']}", "--")
    as_user = (nsenter, f"--user={own}/{files['user']}", f"--net={own}/{files['net']}", "--preserve-credentials", "--")
    said = ""
    for words in (plain, as_user) if os.geteuid() == 0 else (as_user,):
        done = process.run([*words, "true"], cwd=Path("/"), env=os.environ)
        if done.ok:
            return words
        said = done.stderr.strip()
    raise _impossible(said)


def _impossible(
    why: str, hint: str = 'Use measure_network = "on", or "off" with services that listen on sockets.'
) -> AutoloopError:
    return AutoloopError(f'measure_network = "loopback" does not work here: {why}', hint)
