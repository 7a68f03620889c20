"""The container engine, asked by Docker's command line, and the images of tasks: pulled by name, or built once each.

The engine is Docker itself, or what answers for it on a socket. Podman does the latter; its own command line will not
do: it leaves a process behind for each container (conmon), and what our commands leave behind is ended with them.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from filelock import FileLock

from autoloop import process
from autoloop.core.suite.tasks import Container
from autoloop.errors import AutoloopError
from autoloop.process import Finished

PROGRAM = "docker"
LABEL = "autoloop.bench"
"""Of every container: the directory of the bench that it belongs to."""
_ANSWERING = 15.0
"""Seconds for an engine to say that it is there."""
_ADVICE = ("Run 'docker", "See 'docker")
_LINES = 40
"""Lines of an engine's output before it failed that a message quotes."""
NETWORK = "bridge"
"""The network of a container when none is named."""


@dataclass(frozen=True)
class Engine:
    """One container engine, by its program."""

    program: str
    environ: Mapping[str, str] = field(repr=False, hash=False, compare=False, default_factory=dict)
    cores: int = 0
    """Processor cores of the engine's machine; 0 where it does not say."""

    @property
    def name(self) -> str:
        """The name of the engine in sentences."""
        return Path(self.program).name

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
        """The output of a command; an AutoloopError with its last words when it fails. `what` says what it is for."""
        done = self.run(*words, deadline=deadline, env=env)
        if not done.ok:
            how = f"it took longer than {deadline:g} s" if done.timed_out else last_words(done)
            raise AutoloopError(f"{self.name} could not {what}: {how}", _ending(done))
        return done.stdout.strip()


@dataclass(frozen=True)
class EngineFound:
    """The engine that answers, or the reason why none does."""

    engine: Engine | None = None
    why: str = ""


_FOUND: dict[tuple[str, ...], EngineFound] = {}


def find_engine(environ: Mapping[str, str] = os.environ) -> EngineFound:
    """The engine, if it answers; it is asked once in a process's life."""
    asked = tuple(environ.get(name, "") for name in ("PATH", "DOCKER_HOST", "DOCKER_CONTEXT"))
    if asked not in _FOUND:
        _FOUND[asked] = _find(environ)
    return _FOUND[asked]


def _find(environ: Mapping[str, str]) -> EngineFound:
    program = shutil.which(PROGRAM, path=environ.get("PATH"))
    if program is None:
        return EngineFound(why=f"{PROGRAM} is not installed")
    engine = Engine(program, dict(environ))
    done = engine.run("info", "--format", "{{.NCPU}}", deadline=_ANSWERING)
    if not done.ok:
        return EngineFound(why=f"{PROGRAM} does not answer ({last_words(done)})")
    said = done.stdout.strip()
    return EngineFound(replace(engine, cores=int(said) if said.isdigit() else 0))


def last_words(done: Finished) -> str:
    """The end of a command's output, in one line, without advice on its usage."""
    lines = [line.strip() for line in (done.stderr.strip() or done.stdout.strip()).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(_ADVICE)]
    return told[-1][:300] if told else f"exit code {done.exit_code}"


def _ending(done: Finished) -> str:
    """The last lines of all that it said, where they are more than one."""
    lines = [line.rstrip() for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
    return "\n".join(lines[-_LINES:]) if len(lines) > 1 else ""


@contextmanager
def swept(environ: Mapping[str, str], bench: Path) -> Iterator[None]:
    """No container of a bench before and after, whatever became of those who made them."""
    engine = find_engine(environ).engine
    try:
        if engine is not None:
            _sweep(engine, bench)
        yield
    finally:
        if engine is not None:
            _sweep(engine, bench)


def _sweep(engine: Engine, bench: Path) -> None:
    listed = engine.run("ps", "--all", "--quiet", "--filter", f"label={LABEL}={bench}")
    if listed.ok and (names := listed.stdout.split()):
        engine.run("rm", "--force", "--volumes", *names, deadline=120.0)


TAG = "autoloop-suite"
"""The repository of what is built here: `docker images autoloop-suite` lists it."""
SUITE_LABEL = "autoloop.suite"
"""Of every image that is built here: the directory of its suite."""


@dataclass(frozen=True)
class BuiltImage:
    """An image that the engine has."""

    name: str
    workdir: str
    """The image's workdir; empty where it says none."""
    user: str
    entrypoint: bool = False
    """Whether it has one."""

    @property
    def is_roots(self) -> bool:
        """Whether the image's user is root."""
        return self.user.partition(":")[0] in ("", "0", "root")


def ready_image(
    engine: Engine, wanted: Container, suite: Path, locks: Path, seconds: float, say: Callable[[str], None]
) -> BuiltImage:
    """The image, made or fetched within so many seconds where it is not there yet; AutoloopError when that fails."""
    name = wanted.image or f"{TAG}:{wanted.digest}"
    if (known := _inspected(engine, name)) is not None:
        return known
    locks.mkdir(parents=True, exist_ok=True)
    with FileLock(locks / f"{wanted.digest or 'pull'}.lock", timeout=seconds):  # one worker makes it for all
        if (known := _inspected(engine, name)) is not None:
            return known
        if wanted.image:
            say(f"pulling the image {name}")
            engine.do(f"pull the image {name}", "pull", "--quiet", name, deadline=seconds)
        else:
            say("building the image")
            label = ("--label", f"{SUITE_LABEL}={suite}")
            words = ("--quiet", "--force-rm", "--tag", name, *label, str(suite / wanted.context))
            engine.do(f"build the image of {wanted.context}", "build", *words, deadline=seconds)
    found = _inspected(engine, name)
    if found is None:
        raise AutoloopError(f"{engine.name} has no image {name} after it was made", f"Try `{engine.name} images`.")
    return found


def _inspected(engine: Engine, name: str) -> BuiltImage | None:
    done = engine.run("image", "inspect", "--format", "{{json .Config}}", name)
    if not done.ok:
        return None
    with suppress(ValueError):
        config = json.loads(done.stdout)
        return BuiltImage(
            name, config.get("WorkingDir") or "", config.get("User") or "", bool(config.get("Entrypoint"))
        )
    return None
