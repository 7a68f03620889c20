"""One try at a task: staged, then for each step a session and, once its processes are gone, the verifier."""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from autoloop.core.session import Session, SessionFailure
from autoloop.core.suite import grading
from autoloop.core.suite.grading import Judgement, Reward
from autoloop.core.suite.order import TrialOrder
from autoloop.core.suite.task import Step
from autoloop.core.suite.trial import Outcome
from autoloop.ports import Agent
from autoloop.workspaces import records, step_ends
from autoloop.workspaces.commands import Commands
from autoloop.workspaces.sessions import Sessions, Spent, record
from autoloop.workspaces.verifying import Verified, verify

_ROOM = 8 << 20
"""Bytes: with less, a verifier may have failed for want of room."""


@dataclass
class Attempt:
    """What is done, and what came of it so far."""

    order: TrialOrder
    commands: Commands
    sessions: Sessions
    agent: Callable[[int], Agent]
    """Of a step, by its number."""
    name: str
    """Of the agent, for its trajectory."""
    packet: Callable[[Step], str]
    say: Callable[[str, str], None]
    worked: list[Session] = field(default_factory=list)
    verified: list[Verified] = field(default_factory=list)
    rewards: list[Reward] = field(default_factory=list)
    changed: bool = False

    def judged(self) -> Judgement:
        """Do all of it, as far as it goes."""
        if (failed := self._staged()) is not None:
            return failed
        steps = self.order.task.steps
        for number, step in enumerate(steps, 1):
            if (ended := self._step(number, step)) is not None:
                return ended
            if not grading.goes_on(step, self.rewards[-1]):
                break
            if self._keeps_steps and number < len(steps):
                step_ends.keep(self.commands.workspace, number)
        last = self.worked[-1]
        return self._unless_full(self._graded(last.failure, last.detail, changed=self.changed))

    def regraded(self) -> Judgement:
        """Verify what an earlier try left, once more; no agent works."""
        steps = self.order.task.steps
        begun = step_ends.begun(self.commands.workspace, len(steps))
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

    def _verified_again(self, step: Step, number: int | None) -> Judgement | None:
        """Verify what a step left, which for the last that was begun, without a number, is the workspace itself."""
        workspace = self.commands.workspace
        place = workspace if number is None else step_ends.at(workspace, number)
        if not place.resumed(self.order.task.found):
            return Judgement(Outcome.ERROR, None, "no_workspace", f"there is no workspace in {place.directory}")
        failed = self._verify(step, replace(self.commands, workspace=place))
        if number is not None:
            place.tidy()
        return failed

    def _graded(self, failure: SessionFailure | None, detail: str, *, changed: bool) -> Judgement:
        """What the verifiers say of all that was begun."""
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

    def _staged(self) -> Judgement | None:
        """A fresh workspace; why there is none, if so."""
        self.say("setup", "")
        workspace, task = self.commands.workspace, self.order.task
        workspace.begin()
        workspace.place(task.files)
        if self._keeps_steps:
            step_ends.begin(workspace)
        return self._set_up(task.setup)

    def _set_up(self, lines: Sequence[str]) -> Judgement | None:
        """Run lines of setup; why they failed, if so."""
        until = time.monotonic() + self.order.task.setup_timeout
        for line in lines:
            self.say("setup", line)
            ran = self.commands.run(line, "setup", deadline=max(0.001, until - time.monotonic()))
            if ran.done.cancelled:
                return Judgement(Outcome.ERROR, None, "interrupted", "interrupted during its setup")
            if not (ran.began and ran.done.ok):
                how = "took too long" if ran.done.timed_out else f"ended with exit code {ran.done.exit_code}"
                said = f": {ran.last_words}" if ran.last_words else ""
                return Judgement(Outcome.ERROR, None, "setup_failed", f"the setup `{line}` {how}{said}")
        return None

    def _step(self, number: int, step: Step) -> Judgement | None:
        """What it brings, a session and its verification; None when the trial goes on."""
        self.commands.workspace.place(step.files)
        ended = self._set_up(step.setup) or self._session(number, step)
        return self._verify(step, self.commands) if ended is None else ended

    def _verify(self, step: Step, commands: Commands) -> Judgement | None:
        self.say("verification", step.name)
        self.verified.append(verified := verify(step, self.order.task, commands))
        if verified.interrupted:
            return Judgement(Outcome.ERROR, None, "interrupted", "interrupted during its verification")
        if verified.graded.reward is None:
            mode = verified.graded.failure_mode or grading.VERIFIER_ERROR
            return Judgement(Outcome.ERROR, None, mode, verified.graded.error)
        self.rewards.append(verified.graded.reward)
        return None

    def _session(self, number: int, step: Step) -> Judgement | None:
        spent = self._spent()
        if spent.seconds >= self.order.timeout:
            return Judgement(Outcome.TIMEOUT, 0.0, "timeout", f"no time is left for the step {step.name}")
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

    def _unless_full(self, judgement: Judgement) -> Judgement:
        """A verifier without room to work in says nothing of the agent."""
        if judgement.outcome is Outcome.FAIL and shutil.disk_usage(self.commands.workspace.directory).free < _ROOM:
            return Judgement(Outcome.ERROR, None, "disk_full", "the disk is full, so the verifier could not work")
        return judgement


def _not_regraded(why: str) -> Judgement:
    return Judgement(Outcome.ERROR, None, "regrading", why)
