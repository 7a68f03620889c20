"""The image of a task: pulled by its name, or built from its directory once for each content."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from autoloop.containers.engine import Engine
from autoloop.core.suite.task import Container
from autoloop.errors import AutoloopError

TAG = "autoloop-suite"
"""The repository of what is built here: `docker images autoloop-suite` lists it."""
SUITE_LABEL = "autoloop.suite"
"""Of every image that is built here: the directory of its suite."""


@dataclass(frozen=True)
class Image:
    """An image that is there."""

    name: str
    workdir: str
    """Empty where it says none."""
    user: str
    entrypoint: bool = False
    """Whether it has one."""

    @property
    def is_roots(self) -> bool:
        """Whether its user is root."""
        return self.user.partition(":")[0] in ("", "0", "root")


def ready_image(
    engine: Engine, wanted: Container, suite: Path, locks: Path, seconds: float, say: Callable[[str], None]
) -> Image:
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


def _inspected(engine: Engine, name: str) -> Image | None:
    done = engine.run("image", "inspect", "--format", "{{json .Config}}", name)
    if not done.ok:
        return None
    with suppress(ValueError):
        config = json.loads(done.stdout)
        return Image(name, config.get("WorkingDir") or "", config.get("User") or "", bool(config.get("Entrypoint")))
    return None
