"""Repositories of many files. The time that a run takes until its first decision is printed."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from autoloop import api
from autoloop.core.run.events import Decided
from autoloop.core.run.reasons import Reason
from tests.real_git import SETTINGS, git
from tests.repos.strange import Strange

pytestmark = pytest.mark.repos


def repository(root: Path, files: int) -> Strange:
    """A commit of so many files in folders of a hundred, written by one process."""
    root.mkdir()
    git(root, "init", "--quiet")
    options = [word for setting in SETTINGS for word in ("-c", setting)]
    stream = b"".join(_stream(files))
    subprocess.run(["git", *options, "fast-import", "--quiet"], cwd=root, input=stream, check=True)
    git(root, "reset", "--quiet", "--hard", "main")
    return Strange(root)


def _stream(files: int) -> Iterator[bytes]:
    yield b"commit refs/heads/main\ncommitter Tester <tester@example.org> 1700000000 +0000\ndata 1\nx\n"
    yield b"M 644 inline score\ndata 3\n10\n\n"
    for number in range(files - 1):
        text = f"file {number}\n".encode() * 10
        path = f"{number // 10_000:02}/{number // 100 % 100:02}/{number % 100:02}.txt"
        yield f"M 644 inline {path}\ndata {len(text)}\n".encode() + text + b"\n"


@pytest.mark.parametrize("files", [5_000, 100_000])
def test_a_large_repository_reaches_its_first_decision(
    tmp_path: Path, files: int, capsys: pytest.CaptureFixture[str]
) -> None:
    large = repository(tmp_path / "large", files)
    assert len(git(large.root, "ls-files").splitlines()) == files
    large.program({"measure.sh": 'echo "{\\"score\\": $(cat score)}"\n'})
    began = time.time()
    large.run("echo 20 > score\n")
    assert large.decided(Reason.IMPROVED).metric == 20
    [decided] = [event.at for event in api.events(large.root) if isinstance(event, Decided)]
    with capsys.disabled():
        print(f"\n{files} files: first decision after {decided - began:.1f} s")
