"""Stages by tier and user: where attacks can be tried on this machine, and why not elsewhere."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from autoloop.git.walk import remove
from tests.attacks.attack import Attack

ROOT = Path(__file__).parent.parent.parent
NOBODY = 65534
TRY = """
import os, sys
from pathlib import Path
from autoloop.errors import AutoloopError
from autoloop.sandbox.choosing import choose
from autoloop.sandbox.places import survey
places = [Path(sys.argv[2], name) for name in ("checkout", "objects", "cache")]
for place in places: place.mkdir()
try: choose(sys.argv[1], survey(*places, os.environ), places[-1])
except AutoloopError as error: print(error.message)
"""


@dataclass
class Stage:
    """A process that carries out attacks in one tier, as one user."""

    tier: str
    user: str
    """`root`, `user` or the own user of whoever runs the tests."""
    running: subprocess.Popen[str] | None = field(default=None)

    def carry_out(self, name: str) -> dict[str, Any]:
        """What came of an attack."""
        folder = Path(tempfile.mkdtemp(prefix="autoloop-attack-"))
        try:
            if self.user == "user":
                os.chown(folder, NOBODY, NOBODY)
            job = self._started()
            assert job.stdin and job.stdout
            job.stdin.write(f"{name} {folder}\n")
            job.stdin.flush()
            said = job.stdout.readline()
            assert said, f"the stage died: {job.wait()}"
            found: dict[str, Any] = json.loads(said)
            return found
        finally:
            remove(os.fsencode(folder))

    def close(self) -> None:
        """End the process."""
        if self.running:
            self.running.communicate()

    def _started(self) -> subprocess.Popen[str]:
        if self.running is None or self.running.poll() is not None:
            self.running = subprocess.Popen(
                [*words(self.user), "-m", "tests.attacks.stage", self.tier],
                cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                start_new_session=True,
            )  # fmt: skip
        return self.running


def environment() -> dict[str, str]:
    """What a stage starts with: nothing of whoever runs the tests but what finds the interpreter."""
    packages = [path for path in sys.path if path.endswith("site-packages")]
    path = os.pathsep.join(
        (str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin")
    )
    return {"PATH": path, "PYTHONPATH": os.pathsep.join([str(ROOT), *packages]), "LANG": "C.UTF-8"}


def users() -> tuple[str, ...]:
    """As whom attacks are tried: root is tried as somebody else as well."""
    return ("root", "user") if os.geteuid() == 0 else ("self",)


@cache
def why_not(tier: str, user: str) -> str:
    """Why a tier cannot be tried as this user; nothing when it can."""
    if user == "user" and not words(user):
        return "no Python of this version is open to other users"
    if tier == "none":
        return ""
    with tempfile.TemporaryDirectory(prefix="autoloop-attack-") as folder:
        os.chmod(folder, 0o777)
        done = subprocess.run(
            [*words(user), "-c", TRY, tier, folder],
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    return done.stdout.strip() or done.stderr.strip()[-300:]


@cache
def words(user: str) -> tuple[str, ...]:
    """How a Python is started as this user; nothing when there is none."""
    if user != "user":
        return (sys.executable,)
    # What setpriv starts itself is found with the rights of root; what a shell starts is not.
    as_nobody = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all", "--")
    leaving = (*as_nobody, "sh", "-c", 'exec "$0" "$@"')
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, shutil.which(version, path="/usr/local/bin:/usr/bin")):
        if shutil.which("setpriv") and python:
            said = subprocess.run(
                [*leaving, python, "-c", "import tests.attacks.stage"],
                cwd=ROOT,
                env=environment(),
                capture_output=True,
                check=False,
            )
            if said.returncode == 0:
                return (*leaving, python)
    return ()


def why_not_here(attack: Attack, tier: str, user: str) -> str:
    """Why an attack cannot be tried here; nothing when it can."""
    missing = [name for name in attack.needs if not shutil.which(name)]
    return f"there is no {missing[0]} here" if missing else why_not(tier, user)
