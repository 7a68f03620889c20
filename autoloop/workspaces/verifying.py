"""Verification: the files of the verifier are placed, its command is run, the reward is read.

Success is what the verifier leaves, never what an agent says of itself.
"""

import os
import re
import stat
import time
from dataclasses import dataclass, replace
from pathlib import Path

from autoloop.core.suite.grading import VERIFIER_TIMEOUT, Graded, Reward, read_reward, why_less, why_not
from autoloop.core.suite.task import Step, SuiteTask
from autoloop.workspaces.commands import Commands, Ran
from autoloop.workspaces.expecting import holding

_LARGEST = 1 << 20
"""Bytes of a file with a reward."""


@dataclass(frozen=True)
class Verified:
    """What came of one verification."""

    graded: Graded
    seconds: float
    text: str
    """For `verification.txt`."""
    interrupted: bool = False


def verify(step: Step, task: SuiteTask, commands: Commands) -> Verified:
    """Judge what the workspace holds now. The verifier's files are gone again afterwards."""
    began = time.monotonic()
    workspace, files = commands.workspace, step.verification.files
    workspace.fresh_logs()
    workspace.clear(files, task.found)
    workspace.place(files)
    if step.verification.reward == "expectations":
        graded, text = _expected(step, workspace.tree)
        verified = Verified(graded, time.monotonic() - began, text)
    else:
        ran = _run(step, commands)
        graded = _graded(step, ran, workspace.logs)
        verified = Verified(graded, time.monotonic() - began, _told(step, ran, graded), ran.done.cancelled)
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
    """A small regular file; None for anything else."""
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
