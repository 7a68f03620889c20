"""What happens once per tree and once per run: room on the disk, `prepare.sh`, `services.sh`."""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from autoloop import process
from autoloop.core.program import Program
from autoloop.errors import AutoloopError
from autoloop.ports import OnProgress, Progress, Trees

SLOTS = ("agent", "a", "b")


def require_room(bytes_needed: int, home: Path) -> None:
    """Refuse to begin what the disk cannot hold."""
    place = next(path for path in (home, *home.parents) if path.exists())
    free = shutil.disk_usage(place).free
    if bytes_needed > free:
        raise AutoloopError(
            f"the trees need {bytes_needed / 1e9:.1f} GB, and {place} has {free / 1e9:.1f} GB free",
            "Make room, limit the trees with `sparse`, or set AUTOLOOP_CACHE_DIR to a larger disk.",
        )


def prepare_trees(
    program: Program, trees: Trees, scripts: Path, commit: str, home: Path, env: Mapping[str, str], say: OnProgress
) -> None:
    """Run `prepare.sh` once in each tree. A mark beside the tree says that it is done; it goes with the tree."""
    if not program.has("prepare.sh"):
        return
    for slot in SLOTS:
        mark = home / f"prepared-{slot}"
        if mark.exists():
            continue
        say(Progress("preparing", text=f"prepare.sh in tree {slot}"))
        tree = trees.place(slot, commit)
        limit = program.measuring.build_timeout
        done = process.run(
            ["bash", scripts / "prepare.sh"],
            cwd=tree,
            env={**env, "AUTOLOOP_TREE": str(tree)},
            deadline=limit / 1000 if limit else None,
        )
        if not done.ok:
            said = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
            how = "took too long" if done.timed_out else f"ended with exit code {done.exit_code}"
            raise AutoloopError(f"prepare.sh {how}: {said[:300]}", "Run it by hand in a fresh clone.")
        mark.touch()


class Services:
    """What `services.sh` started for the run."""

    def __init__(self, scripts: Path, cwd: Path, env: Mapping[str, str], *, limit_ms: int) -> None:
        self._scripts, self._cwd, self._env = scripts, cwd, env
        self._seconds = limit_ms / 1000 if limit_ms else None

    def start(self) -> None:
        """`services.sh start`; what it leaves running is no stray."""
        self._call("start")

    def stop(self) -> None:
        """`services.sh stop`; what it leaves is swept with the run."""
        self._call("stop")

    def _call(self, verb: str) -> None:
        log = self._scripts.parent / "services.log"
        with log.open("ab") as output:
            # Not through `process`, which would kill what the script leaves running.
            job = subprocess.Popen(
                ["bash", self._scripts / "services.sh", verb],
                cwd=self._cwd,
                env=dict(self._env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            code = job.wait(self._seconds)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(job.pid, signal.SIGKILL)
            job.wait()
            raise AutoloopError(
                f"services.sh {verb} took longer than {self._seconds:g} s (build_timeout)", f"See {log}."
            ) from None
        if code and verb == "start":
            raise AutoloopError(f"services.sh start ended with exit code {code}", f"See {log}.")
