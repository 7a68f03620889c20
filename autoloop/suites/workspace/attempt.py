"""One try at a task: staged, then for each step a session and, once its processes are gone, the verifier.

What a workspace held at the end of each step is kept beside it, so that each can be verified once more; the end of the
last step is the workspace itself. A copy that is not whole is removed: it would be verified as if it were.
"""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from autoloop import process
from autoloop.core.session import Session, SessionFailure
from autoloop.core.suite import grading
from autoloop.core.suite.grading import Reward, TrialJudgement
from autoloop.core.suite.tasks import Outcome, Step, TrialOrder
from autoloop.git.walk import remove
from autoloop.ports import Agent
from autoloop.suites.workspace import records
from autoloop.suites.workspace.commands import Commands
from autoloop.suites.workspace.sessions import Sessions, Spent, record
from autoloop.suites.workspace.verify import VerifierResult, verify
from autoloop.suites.workspace.workspace import LASTING, STEPS, Workspace

_ROOM = 8 << 20
"""Bytes: with less, a verifier may have failed for want of room."""


@dataclass
class Attempt:
    """One try at a task, and its results so far."""

    order: TrialOrder
    commands: Commands
    sessions: Sessions
    agent: Callable[[int], Agent]
    """The agent of a step, by its number."""
    name: str
    """The agent's name, for its trajectory."""
    packet: Callable[[Step], str]
    say: Callable[[str, str], None]
    worked: list[Session] = field(default_factory=list)
    verified: list[VerifierResult] = field(default_factory=list)
    rewards: list[Reward] = field(default_factory=list)
    changed: bool = False

    def judged(self) -> TrialJudgement:
        """The judgement after all steps, as far as they were begun."""
        if (failed := self._staged()) is not None:
            return failed
        steps = self.order.task.steps
        for number, step in enumerate(steps, 1):
            if (ended := self._step(number, step)) is not None:
                return ended
            if not grading.goes_on(step, self.rewards[-1]):
                break
            if self._keeps_steps and number < len(steps):
                keep_step(self.commands.workspace, number)
        last = self.worked[-1]
        return self._unless_full(self._graded(last.failure, last.detail, changed=self.changed))

    def regraded(self) -> TrialJudgement:
        """The judgement of what an earlier try left, verified once more; no agent works."""
        steps = self.order.task.steps
        begun = steps_begun(self.commands.workspace, len(steps))
        if begun is None:
            return _not_regraded("what its steps left was not kept one by one")
        for number, step in enumerate(steps[:begun], 1):
            if (failed := self._verified_again(step, None if number == begun else number)) is not None:
                return failed
            if not grading.goes_on(step, self.rewards[-1]):
                return self._graded(None, "", changed=True)
        if begun < len(steps):
            return _not_regraded(f"the step {steps[begun].name} would have been begun, and no agent worked on it")
        return self._graded(None, "", changed=True)

    def _verified_again(self, step: Step, number: int | None) -> TrialJudgement | None:
        """Verify what a step left, which for the last that was begun, without a number, is the workspace itself."""
        workspace = self.commands.workspace
        place = workspace if number is None else step_end(workspace, number)
        if not place.resumed(self.order.task.found):
            return TrialJudgement(Outcome.ERROR, None, "no_workspace", f"there is no workspace in {place.directory}")
        failed = self._verify(step, replace(self.commands, workspace=place))
        if number is not None:
            place.tidy()
        return failed

    def _graded(self, failure: SessionFailure | None, detail: str, *, changed: bool) -> TrialJudgement:
        """The judgement that the verifiers of all begun steps add up to."""
        task, known = self.order.task, self.verified[-1].graded
        return grading.of_reward(
            grading.combined(task, self.rewards).value,
            failure,
            changed=changed,
            known=known.failure_mode,
            detail=known.error or detail or self._why(),
            not_begun=len(task.steps) - len(self.rewards),
        )

    def _why(self) -> str:
        """What the first verification that gave less than the full reward says of it."""
        several = len(self.order.task.steps) > 1
        said = (
            f"{step.name or f'step {number}'}: {verified.graded.why}" if several else verified.graded.why
            for number, (step, verified) in enumerate(zip(self.order.task.steps, self.verified, strict=False), 1)
            if verified.graded.why
        )
        return next(said, "")

    @property
    def _keeps_steps(self) -> bool:
        return len(self.order.task.steps) > 1 and self.order.keep != "none" and self.commands.workspace.whole

    def _staged(self) -> TrialJudgement | None:
        """Make a fresh workspace; a judgement when there can be none."""
        self.say("setup", "")
        workspace, task = self.commands.workspace, self.order.task
        workspace.begin()
        workspace.place(task.files)
        if self._keeps_steps:
            begin_step(workspace)
        return self._set_up(task.setup)

    def _set_up(self, lines: Sequence[str]) -> TrialJudgement | None:
        """Run lines of setup; why they failed, if so."""
        until = time.monotonic() + self.order.task.setup_timeout
        for line in lines:
            self.say("setup", line)
            ran = self.commands.run(line, "setup", deadline=max(0.001, until - time.monotonic()))
            if ran.done.cancelled:
                return TrialJudgement(Outcome.ERROR, None, "interrupted", "interrupted during its setup")
            if not (ran.began and ran.done.ok):
                how = "took too long" if ran.done.timed_out else f"ended with exit code {ran.done.exit_code}"
                said = f": {ran.last_words}" if ran.last_words else ""
                return TrialJudgement(Outcome.ERROR, None, "setup_failed", f"the setup `{line}` {how}{said}")
        return None

    def _step(self, number: int, step: Step) -> TrialJudgement | None:
        """One step: its files, a session and its verification; a judgement that ends the trial, or None."""
        self.commands.workspace.place(step.files)
        ended = self._set_up(step.setup) or self._session(number, step)
        return self._verify(step, self.commands) if ended is None else ended

    def _verify(self, step: Step, commands: Commands) -> TrialJudgement | None:
        self.say("verification", step.name)
        self.verified.append(verified := verify(step, self.order.task, commands))
        if verified.interrupted:
            return TrialJudgement(Outcome.ERROR, None, "interrupted", "interrupted during its verification")
        if verified.graded.reward is None:
            mode = verified.graded.failure_mode or grading.VERIFIER_ERROR
            return TrialJudgement(Outcome.ERROR, None, mode, verified.graded.error)
        self.rewards.append(verified.graded.reward)
        return None

    def _session(self, number: int, step: Step) -> TrialJudgement | None:
        spent = self._spent()
        if spent.seconds >= self.order.timeout:
            return TrialJudgement(Outcome.TIMEOUT, 0.0, "timeout", f"no time is left for the step {step.name}")
        self.say("agent", step.name)
        task = self.sessions.task(number, self.packet(step), spent)
        before = self.commands.workspace.fingerprint()
        self.worked.append(session := self.agent(number).run(task, self.sessions.on_progress))
        self.changed |= self.commands.workspace.fingerprint() != before
        folder = self.sessions.folder(number)
        if records.read_session(folder) is None:
            record(task, session, self.name, folder)
        contained = self.sessions.sandbox.tier == "container"
        return grading.of_session(session.failure, session.detail, contained=contained)

    def _spent(self) -> Spent:
        return Spent(
            seconds=sum(session.seconds for session in self.worked),
            turns=sum(session.turns or 0 for session in self.worked),
            cost_usd=sum(session.cost_usd or 0.0 for session in self.worked),
            tokens=sum(session.tokens or 0 for session in self.worked),
        )

    def _unless_full(self, judgement: TrialJudgement) -> TrialJudgement:
        """A verifier without room to work in says nothing of the agent."""
        if judgement.outcome is Outcome.FAIL and shutil.disk_usage(self.commands.workspace.directory).free < _ROOM:
            return TrialJudgement(Outcome.ERROR, None, "disk_full", "the disk is full, so the verifier could not work")
        return judgement


def _not_regraded(why: str) -> TrialJudgement:
    return TrialJudgement(Outcome.ERROR, None, "regrading", why)


_LONGEST = 600.0
"""Seconds for one copy."""


def begin_step(workspace: Workspace) -> None:
    """Record that from here on the steps are kept."""
    (workspace.scratch / STEPS).mkdir()


def keep_step(workspace: Workspace, number: int) -> None:
    """Copy what there is at the end of a step that has another behind it."""
    kept = step_end(workspace, number)
    parts = [workspace.tree, *(part for name in LASTING if (part := workspace.scratch / name).is_dir())]
    for part in parts:
        copy = kept.directory / part.relative_to(workspace.directory)
        copy.parent.mkdir(parents=True, exist_ok=True)
        done = process.run(["cp", "-a", part, copy], cwd=workspace.directory, env=dict(os.environ), deadline=_LONGEST)
        if not done.ok:
            remove(bytes(kept.tree))
            return


def step_end(workspace: Workspace, number: int) -> Workspace:
    """The workspace as it was at the end of a step with another behind it."""
    return Workspace(_place(workspace, number), workspace.workdir, workspace.suite, workspace.rooted)


def steps_begun(workspace: Workspace, steps: int) -> int | None:
    """How many of a task's steps were begun; None where that was not recorded."""
    if steps == 1:
        return 1
    folder = workspace.scratch / STEPS
    return len(os.listdir(folder)) + 1 if folder.is_dir() else None


def _place(workspace: Workspace, number: int) -> Path:
    return workspace.scratch / STEPS / str(number)
