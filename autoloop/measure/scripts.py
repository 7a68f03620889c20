"""The scripts' environment and their output: what a program's scripts may see, and how to read what they leave behind.

All of a measurement's standard output is kept while it is short, then only lines of metrics.
"""

import json
import os
import shutil
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from autoloop.process import Finished

_DIAGNOSTICS_BYTES = 8_000
WARM_UP = "-warmup"
"""The suffix that makes a sample's key that of its warm-up."""
CASES = "cases.json"
"""The file of a sample's directory with the kept code's scores by case."""


def how_it_failed(script: str, done: Finished, limit_ms: int) -> str:
    """The failure of a script in one line: its exit and its last words."""
    if done.timed_out:
        return f"{script} took longer than {limit_ms / 1000:g} s and was ended"
    memory = ", as the system does when memory runs out" if done.exit_code in (-9, 137) else ""
    words = [line.strip() for line in (done.stderr.strip() or done.stdout.strip()).splitlines() if line.strip()]
    last = f": {words[-1][:300]}" if words else " without a word"
    if done.exit_code < 0:
        return f"{script} was killed by {signal_name(-done.exit_code)}{memory}{last}"
    killed = f" (killed by SIGKILL{memory})" if memory else ""
    return f"{script} ended with exit code {done.exit_code}{killed}{last}"


def signal_name(number: int) -> str:
    """The name of a signal's number: `SIGKILL` for 9."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def leave_cases(directory: Path, cases: Mapping[str, float]) -> None:
    """Write the kept code's scores by case where the next script finds them."""
    if cases:
        (directory / CASES).write_text(json.dumps(dict(cases)))


def remove(directory: Path) -> None:
    """Remove a directory, which is mostly empty."""
    try:
        os.rmdir(directory)
    except OSError:
        shutil.rmtree(directory, ignore_errors=True)


def forget_old_samples(scratch: Path) -> None:
    """Remove the directories of samples that nobody will continue: only the newest one may be in progress."""
    if scratch.is_symlink() or not scratch.is_dir():
        return
    directories = sorted(scratch.iterdir(), key=lambda path: path.lstat().st_mtime)
    for directory in directories:
        # A sample's warm-up has a directory beside that of the sample.
        if directory.name.removesuffix(WARM_UP) != directories[-1].name.removesuffix(WARM_UP):
            remove(directory)


def read_diagnostics(*paths: Path) -> str:
    """The text of the first file that exists; both are removed."""
    text = ""
    for path in paths:
        # Neither a link, which may lead anywhere, nor a pipe, which may never answer.
        with suppress(OSError), open(path, "rb", opener=_without_following) as file:
            text = text or file.read(_DIAGNOSTICS_BYTES).decode("utf-8", "replace").strip()
        with suppress(OSError):
            os.unlink(path)
    return text


def _without_following(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


_WHOLE = 1 << 20
"""Bytes kept as they came; JSON over several lines must fit."""
_LINES = 1 << 20
"""Bytes of metric lines kept beyond that."""


class MetricsOutput:
    """Collects output as it streams by, in bounded memory."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._size = 0
        self._rest = b""
        self._long = False
        self.overflowed = False
        """Whether there were more metric lines than can be kept."""

    def feed(self, chunk: bytes) -> None:
        """Take the next chunk of the output."""
        if not self._long and self._size + len(chunk) <= _WHOLE:
            self._keep(chunk)
            return
        if not self._long:
            chunk, self._chunks, self._size, self._long = b"".join([*self._chunks, chunk]), [], 0, True
        self._keep_metrics(chunk)

    def text(self) -> str:
        """The output that was kept, as text."""
        if _could_be_metric(self._rest):
            self._keep(self._rest)
        self._rest = b""
        return b"".join(self._chunks).decode("utf-8", "replace")

    def _keep_metrics(self, chunk: bytes) -> None:
        chunk = self._rest + chunk
        if b"{" not in chunk and b"METRIC" not in chunk:
            self._rest = chunk[chunk.rfind(b"\n") + 1 :][:_WHOLE]
            return
        *lines, self._rest = chunk.split(b"\n")
        self._rest = self._rest[:_WHOLE]
        for line in filter(_could_be_metric, lines):
            if self._size + len(line) > _LINES:
                self.overflowed = True
                return
            self._keep(line + b"\n")

    def _keep(self, data: bytes) -> None:
        self._chunks.append(data)
        self._size += len(data)


def _could_be_metric(line: bytes) -> bool:
    return line.lstrip()[:6].startswith((b"{", b"METRIC"))
