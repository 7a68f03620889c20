"""What happens once per tree and once per run: room on the disk, `prepare.sh`, `services.sh`."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from autoloop.bench import SlotBench
from autoloop.errors import AutoloopError
from autoloop.ports import OnProgress, Progress

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


def prepare_trees(bench: SlotBench, commit: str, home: Path, say: OnProgress) -> None:
    """Run `prepare.sh` once in each tree. A mark beside the tree says that it is done; it goes with the tree."""
    if not bench.program.has("prepare.sh"):
        return
    for slot in SLOTS:
        mark = home / f"prepared-{slot}"
        if mark.exists():
            continue
        say(Progress("preparing", text=f"prepare.sh in tree {slot}"))
        tree = bench.trees.place(slot, commit)
        limit = bench.program.measuring.build_timeout
        bench.scripts.empty_home(slot)
        # It fetches what the tree needs; what is measured has the network that the program says.
        done = bench.scripts.run(["prepare.sh"], tree, slot, limit_ms=limit, network="on")
        if not done.ok:
            if done.cancelled:
                raise KeyboardInterrupt
            said = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
            how = "took too long" if done.timed_out else f"ended with exit code {done.exit_code}"
            raise AutoloopError(f"prepare.sh {how}: {said[:300]}", "Run it by hand in a fresh clone.")
        mark.touch()


@contextmanager
def services(bench: SlotBench, root: Path) -> Iterator[None]:
    """What `services.sh start` starts, until it is told to stop. Whatever is left of the run then is killed."""
    try:
        if not bench.program.has("services.sh"):
            yield
            return
        try:
            _call_services(bench, root, "start")
            yield
        finally:
            _call_services(bench, root, "stop")
    finally:
        bench.close()


def _call_services(bench: SlotBench, root: Path, verb: str) -> None:
    limit = bench.program.measuring.build_timeout
    with tempfile.TemporaryFile() as output:
        # Not through `process`, which would kill what the script leaves running.
        job = subprocess.Popen(
            ["bash", bench.sealed.directory / "services.sh", verb],
            cwd=root,
            env=bench.scripts.environment(root),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            code = job.wait(limit / 1000 if limit else None)
            how = f"ended with exit code {code}"
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(job.pid, signal.SIGKILL)
            code = job.wait()
            how = f"took longer than {limit / 1000:g} s (build_timeout)"
        if code and verb == "start":
            raise AutoloopError(f"services.sh {verb} {how}: {_last_words(output)}", "Run it by hand in your checkout.")


def _last_words(output: IO[bytes]) -> str:
    end = output.seek(0, os.SEEK_END)
    output.seek(max(0, end - 4000))
    lines = output.read().decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "no output"
