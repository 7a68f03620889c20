"""An engine, and a base image: of this machine's programs, because no registry may be within reach."""

import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from autoloop.suites.containers.engine import SUITE_LABEL, Engine, find_engine
from tests.suites.containers.cases import BASE

PROGRAMS = (
    "bash", "cat", "cp", "mv", "rm", "mkdir", "ls", "ln", "chmod", "chown", "sleep", "grep", "env", "id", "touch",
    "setsid", "stat", "head", "wc", "dd", "mkfifo", "tee",
)  # fmt: skip
_STARTING = 30.0
_KEEPER = (
    "import ctypes, signal, subprocess, sys; ctypes.CDLL(None).prctl(36, 1, 0, 0, 0); "
    "signal.signal(signal.SIGTERM, lambda *_: None); sys.exit(subprocess.call(sys.argv[1:]))"
)
"""Takes in what the engine leaves beside each container: as orphans of the tests they would be ended with a command."""


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """The engine that answers, or one of our own where we may start it."""
    found = find_engine(os.environ)
    if found.engine is not None:
        yield found.engine
        return
    if shutil.which("dockerd") is None or os.getuid() != 0:
        pytest.skip(f"no container engine: {found.why}; start one, or install docker.io and be root")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield from _own(Path(folder))


def _own(place: Path) -> Iterator[Engine]:
    """An engine that lives as long as the tests."""
    os.environ["DOCKER_HOST"] = f"unix://{place}/docker.sock"
    words = ["dockerd", "--data-root", f"{place}/data", "--exec-root", f"{place}/exec", "--pidfile", f"{place}/pid"]
    with (place / "log").open("wb") as log:
        command = [sys.executable, "-c", _KEEPER, *words, "--host", os.environ["DOCKER_HOST"]]
        daemon = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        until = time.monotonic() + _STARTING
        while not (place / "docker.sock").exists() and daemon.poll() is None and time.monotonic() < until:
            time.sleep(0.2)
        found = find_engine({**os.environ, "DOCKER_CONTEXT": "default"})
        if found.engine is None:
            last = (place / "log").read_text(errors="replace").splitlines()[-1:]
            pytest.skip(f"dockerd does not start here: {last or found.why}")
        yield found.engine
    finally:
        os.killpg(daemon.pid, signal.SIGTERM)
        daemon.wait(30)
        del os.environ["DOCKER_HOST"]


@pytest.fixture(scope="session")
def base(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A small image with bash and a few programs."""
    archive = tmp_path_factory.mktemp("image") / "root.tar"
    files = {os.path.realpath(path) for name in PROGRAMS if (path := shutil.which(name))}
    with tarfile.open(archive, "w") as tar:
        for name in PROGRAMS:
            tar.add(os.path.realpath(shutil.which(name) or ""), f"bin/{name}")
        for library in {library for file in files for library in _libraries(file)}:
            tar.add(os.path.realpath(library), library)
        _link(tar, "bin/sh", "bash")
        _file(tar, "etc/passwd", b"root:x:0:0:root:/root:/bin/bash\n")
        for folder in ("tmp", "etc", "root", "var", "proc", "sys", "dev"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
    engine.do("import the base image", "import", str(archive), BASE)
    yield BASE
    here = tmp_path_factory.getbasetemp()
    images = engine.run("images", "--quiet", "--filter", f"label={SUITE_LABEL}").stdout.split()
    labels = {image: engine.run("image", "inspect", "--format", "{{json .Config.Labels}}", image) for image in images}
    ours = [image for image, said in labels.items() if str(here) in said.stdout]
    engine.run("rmi", "--force", *ours, BASE)


def _libraries(program: str) -> set[str]:
    done = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    words = [word for line in done.stdout.splitlines() for word in line.split()]
    return {word for word in words if word.startswith("/")}


def _link(tar: tarfile.TarFile, name: str, target: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    tar.addfile(entry)


def _file(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o644
    tar.addfile(entry, io.BytesIO(content))
