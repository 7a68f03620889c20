"""The engine that makes containers: Docker or Podman, whichever answers, asked by its command line."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from autoloop import process
from autoloop.errors import AutoloopError
from autoloop.process import Finished

PROGRAMS = ("docker", "podman")
LABEL = "autoloop.bench"
"""Of every container: the bench that it belongs to."""
_ANSWERING = 15.0
"""Seconds for an engine to say that it is there."""
_DEFAULT_NETWORK = {"docker": "bridge", "podman": "podman"}


@dataclass(frozen=True)
class Engine:
    """One engine, by its program."""

    program: str
    environ: Mapping[str, str] = field(repr=False, hash=False, compare=False, default_factory=dict)

    @property
    def name(self) -> str:
        """Docker or Podman."""
        return Path(self.program).name

    @property
    def network(self) -> str:
        """The network that a container has when nothing is said."""
        return _DEFAULT_NETWORK.get(self.name, "bridge")

    def run(self, *words: str, deadline: float = 60.0, env: Mapping[str, str] | None = None) -> Finished:
        """Run one command of the engine to its end, whatever that is."""
        return process.run(
            [self.program, *words],
            cwd=Path("/"),
            env={**self.environ, **(env or {})},
            deadline=deadline,
            keep=1 << 18,
        )

    def do(self, what: str, *words: str, deadline: float = 60.0, env: Mapping[str, str] | None = None) -> str:
        """Its output; an AutoloopError with its last words when it fails. `what` says what it was to do."""
        done = self.run(*words, deadline=deadline, env=env)
        if not done.ok:
            how = f"it took longer than {deadline:g} s" if done.timed_out else last_words(done)
            raise AutoloopError(f"{self.name} could not {what}: {how}")
        return done.stdout.strip()


@dataclass(frozen=True)
class Found:
    """The engine that answers, or why there is none."""

    engine: Engine | None = None
    why: str = ""


_FOUND: dict[tuple[str, ...], Found] = {}


def find_engine(environ: Mapping[str, str] = os.environ) -> Found:
    """The first engine that answers; each is asked once in a process's life."""
    asked = tuple(environ.get(name, "") for name in ("PATH", "DOCKER_HOST", "DOCKER_CONTEXT"))
    if asked not in _FOUND:
        _FOUND[asked] = _find(environ)
    return _FOUND[asked]


def _find(environ: Mapping[str, str]) -> Found:
    why = []
    for name in PROGRAMS:
        program = shutil.which(name, path=environ.get("PATH"))
        if program is None:
            continue
        engine = Engine(program, dict(environ))
        done = engine.run("info", "--format", "ok", deadline=_ANSWERING)
        if done.ok:
            return Found(engine)
        why.append(f"{name} does not answer ({last_words(done)})")
    return Found(why="; ".join(why) or "neither docker nor podman is installed")


def last_words(done: Finished) -> str:
    """The end of what it said, in one line."""
    lines = [line.strip() for line in (done.stderr.strip() or done.stdout.strip()).splitlines() if line.strip()]
    return lines[-1][:300] if lines else f"exit code {done.exit_code}"


@contextmanager
def swept(environ: Mapping[str, str], bench_id: str) -> Iterator[None]:
    """No container of a bench before and after, whatever became of those who made them."""
    engine = find_engine(environ).engine
    try:
        if engine is not None:
            _sweep(engine, bench_id)
        yield
    finally:
        if engine is not None:
            _sweep(engine, bench_id)


def _sweep(engine: Engine, bench_id: str) -> None:
    listed = engine.run("ps", "--all", "--quiet", "--filter", f"label={LABEL}={bench_id}")
    if listed.ok and (names := listed.stdout.split()):
        engine.run("rm", "--force", "--volumes", *names, deadline=120.0)
