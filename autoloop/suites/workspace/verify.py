"""Verification: the files of the verifier are placed, its command is run, the reward is read.

Success is what the verifier leaves, never what an agent says of itself. In open tasks it is the share of expectations
of the workspace that hold. No link is followed, in or out of it.
"""

import os
import re
import stat
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from autoloop import process
from autoloop.core.globs import matches
from autoloop.core.suite.grading import VERIFIER_TIMEOUT, Graded, Reward, read_reward, why_less, why_not
from autoloop.core.suite.tasks import Expectation, Step, SuiteTask
from autoloop.suites.workspace import match
from autoloop.suites.workspace.commands import Commands, Ran

_LARGEST = 1 << 20
"""Bytes of a file with a reward."""


@dataclass(frozen=True)
class VerifierResult:
    """The result of one verification."""

    graded: Graded
    seconds: float
    text: str
    """The text of `verification.txt`."""
    interrupted: bool = False


def verify(step: Step, task: SuiteTask, commands: Commands) -> VerifierResult:
    """Judge what the workspace holds now. The verifier's files are gone again afterwards."""
    began = time.monotonic()
    workspace, files = commands.workspace, step.verification.files
    workspace.fresh_logs()
    workspace.clear(files, task.found)
    workspace.place(files)
    if step.verification.reward == "expectations":
        graded, text = _expected(step, workspace.tree)
        verified = VerifierResult(graded, time.monotonic() - began, text)
    else:
        ran = _run(step, commands)
        graded = _graded(step, ran, workspace.logs)
        verified = VerifierResult(graded, time.monotonic() - began, _told(step, ran, graded), ran.done.cancelled)
    workspace.clear(files, task.found)
    return verified


def _run(step: Step, commands: Commands) -> Ran:
    judging = step.verification
    return commands.run(
        judging.command, "verifier", deadline=judging.timeout, env=judging.env, logs=True, user=judging.user
    )


def _graded(step: Step, ran: Ran, logs: Path) -> Graded:
    limit = f"the verifier took longer than {step.verification.timeout:g} s and was ended"
    if not ran.began:
        return Graded(error=f"the verifier could not be started: {ran.last_words or f'exit code {ran.done.exit_code}'}")
    if step.verification.reward == "exit_code":
        if ran.done.timed_out:
            return Graded(Reward(0.0), error=limit, failure_mode=VERIFIER_TIMEOUT)
        reward = Reward(1.0 if ran.done.exit_code == 0 else 0.0)
        return Graded(reward, why=why_less(reward, ran.last_words))
    if ran.done.timed_out:
        return Graded(error=limit, failure_mode=VERIFIER_TIMEOUT)
    graded = read_reward(_read(logs / "reward.json"), _read(logs / "reward.txt"))
    if graded.reward is not None:
        return replace(graded, why=why_less(graded.reward, ran.last_words))
    return Graded(error=f"{graded.error}; the verifier ended with: {ran.last_words}") if ran.last_words else graded


def _expected(step: Step, tree: Path) -> tuple[Graded, str]:
    expectations = step.verification.expectations
    if not expectations:
        return Graded(error="the task has no expectations"), ""
    try:
        held = holding(tree, expectations, step.verification.timeout)
    except re.error as error:
        return Graded(error=f"the task expects what is no regular expression: {error}"), ""
    lines = [f"{'holds' if ok else 'fails'}: {wanted.sentence}" for ok, wanted in zip(held, expectations, strict=True)]
    return Graded(Reward(sum(held) / len(held)), why=why_not(expectations, held)), "\n".join(lines) + "\n"


def _read(file: Path) -> str | None:
    """The content of a small regular file; None for anything else."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with open(descriptor, "rb") as opened:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return opened.read(_LARGEST).decode(errors="replace")


def _told(step: Step, ran: Ran, graded: Graded) -> str:
    name = f"{step.name}: " if step.name else ""
    reward = graded.error if graded.reward is None else f"reward {graded.reward.value:g}"
    ending = f"exit code {ran.done.exit_code}, {ran.done.seconds:.1f} s, {reward}"
    return f"[{name}{step.verification.command}]\n{ran.output}\n[{ending}]\n"


def holding(tree: Path, expectations: Sequence[Expectation], seconds: float) -> list[bool]:
    """Whether each expectation holds; past the deadline none does."""
    until = time.monotonic() + seconds
    files = list(_files(tree))
    return [_holds(tree, files, expectation, until) for expectation in expectations]


def _holds(tree: Path, files: list[str], expectation: Expectation, until: float) -> bool:
    found = [tree / file for file in files if _covers(expectation.path, file)]
    if expectation.contains:
        wanted = expectation.contains.encode()
        found = [file for file in found if wanted in _bytes(file)]
    if expectation.matches and found:
        return _matches(expectation.matches, found, until)
    return bool(found)


def _covers(pattern: str, file: str) -> bool:
    """A pattern speaks of files: unlike a scope, it does not cover all that is below a directory of its name."""
    pattern = pattern.removeprefix("./")
    return matches(file, [pattern]) and (pattern.count("/") == file.count("/") or "**" in pattern)


def _matches(pattern: str, files: list[Path], until: float) -> bool:
    re.compile(pattern)  # what is wrong with it is the suite's fault, and no agent's
    left = until - time.monotonic()
    words = [sys.executable, "-I", "-S", match.__file__, pattern, *map(str, files)]
    return left > 0 and process.run(words, cwd=files[0].parent, env={}, deadline=left).exit_code == 0


def _files(tree: Path) -> list[str]:
    found = []
    for folder, _, names in os.walk(tree):
        paths = (Path(folder) / name for name in names)
        found += [str(path.relative_to(tree)) for path in paths if path.is_file() and not path.is_symlink()]
    return sorted(found)


def _bytes(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(match.LARGEST)
    except PermissionError:
        return b""
