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

from autoloop import process
from autoloop.core.run.state import RunState
from autoloop.errors import AutoloopError
from autoloop.git.caches import AGENT, BUILD, PREPARE, mark
from autoloop.measure.sampler import SlotSampler
from autoloop.measure.scripts import forget_old_samples
from autoloop.ports import OnProgress, Progress
from autoloop.process import Finished
from autoloop.sandbox.loopback import shared_loopback

SLOTS = (AGENT, "a", "b")


def require_room(bytes_needed: int, home: Path) -> None:
    """Refuse to begin when the disk has too little room for the trees."""
    place = next(path for path in (home, *home.parents) if path.exists())
    free = shutil.disk_usage(place).free
    if bytes_needed > free:
        raise AutoloopError(
            f"the trees need {bytes_needed / 1e9:.1f} GB, and {place} has {free / 1e9:.1f} GB free",
            "Make room, limit the trees with `sparse`, or set AUTOLOOP_CACHE_DIR to a larger disk.",
        )


def vacant_slots(state: RunState) -> tuple[str, ...]:
    """The trees that may be overwritten: not the agent's while its session is over and its files were not captured."""
    current = state.current
    waits = current is not None and current.session is not None and current.captured is None
    return tuple(slot for slot in SLOTS if not (waits and slot == AGENT))


def prepare_trees(
    sampler: SlotSampler, commit: str, home: Path, say: OnProgress, slots: tuple[str, ...] = SLOTS
) -> None:
    """Run `prepare.sh` once in each tree. A mark beside the tree says that it is done; it goes with the tree."""
    for slot in _undone(sampler, PREPARE, home, slots):
        done = _run_once(sampler, PREPARE, slot, commit, say)
        if not done.ok:
            said = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
            how = "took too long" if done.timed_out else f"ended with exit code {done.exit_code}"
            raise AutoloopError(f"prepare.sh {how}: {said[:300]}", "Run it by hand in a fresh clone.")
        sampler.trees.trust(slot, True)
        mark(home, PREPARE, slot).touch()


def build_trees(sampler: SlotSampler, commit: str, home: Path, say: OnProgress, slots: tuple[str, ...] = SLOTS) -> None:
    """Run `build.sh` once in each tree that has caches: candidates and agents begin from there, not from nothing."""
    if not sampler.program.scope.cache_paths:
        return
    for slot in _undone(sampler, BUILD, home, slots):
        # Whoever measures the commit will say what is wrong with it.
        sampler.trees.trust(slot, _run_once(sampler, BUILD, slot, commit, say).ok)
        mark(home, BUILD, slot).touch()


def _undone(sampler: SlotSampler, script: str, home: Path, slots: tuple[str, ...]) -> list[str]:
    has = sampler.program.has(script)
    return [slot for slot in slots if has and not mark(home, script, slot).exists()]


def _run_once(sampler: SlotSampler, script: str, slot: str, commit: str, say: OnProgress) -> Finished:
    say(Progress("preparing", text=f"{script} in tree {slot}"))
    tree = sampler.trees.place(slot, commit)
    sampler.scripts.empty_home(slot)
    done = sampler.scripts.run([script], tree, slot, limit_ms=sampler.program.measuring.build_timeout)
    if done.cancelled:
        raise KeyboardInterrupt
    return done


@contextmanager
def services(sampler: SlotSampler, root: Path) -> Iterator[None]:
    """Run `services.sh start`, then `services.sh stop` at the end. Whatever is left of the run then is killed."""
    forget_old_samples(sampler.scratch)
    try:
        if not sampler.program.has("services.sh"):
            yield
            return
        with _loopback(sampler):
            try:
                _call_services(sampler, root, "start")
                yield
            finally:
                _call_services(sampler, root, "stop")
    finally:
        sampler.close()


@contextmanager
def _loopback(sampler: SlotSampler) -> Iterator[None]:
    """One loopback for services and samples, where the program wants that and a sandbox can enforce it."""
    if sampler.program.measuring.measure_network != "loopback" or sampler.sandbox.tier != "bwrap":
        yield
        return
    with shared_loopback() as entering:
        sampler.share(entering)
        try:
            yield
        finally:
            sampler.share(())


def _call_services(sampler: SlotSampler, root: Path, verb: str) -> None:
    limit = sampler.program.measuring.build_timeout
    with tempfile.TemporaryFile() as output:
        # Not by `process.run`, which would kill what the script leaves running.
        job = process.start(
            [*sampler.loopback, "bash", sampler.sealed.directory / "services.sh", verb],
            cwd=root,
            env=sampler.scripts.environment(root),
            stdout=output,
            stderr=output,
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
