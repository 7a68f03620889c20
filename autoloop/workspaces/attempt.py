"""One try at a task: staged, then for each step a session and, once its processes are gone, the verifier."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from autoloop.core.session import Session
from autoloop.core.suite import grading
from autoloop.core.suite.grading import Judgement, Reward
from autoloop.core.suite.order import TrialOrder
from autoloop.core.suite.task import Step
from autoloop.core.suite.trial import Outcome
from autoloop.ports import Agent
from autoloop.workspaces import records
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
            if not grading.goes_on(step, self.rewards[-1].value):
                break
        reward, _ = grading.combined(steps, self.rewards)
        known, last = self.verified[-1].graded, self.worked[-1]
        detail = known.error or last.detail or self._why()
        judgement = grading.of_reward(
            reward, last.failure, changed=self.changed, known=known.failure_mode, detail=detail
        )
        return self._unless_full(judgement)

    def regraded(self) -> Judgement:
        """Verify what an earlier try left, once more; no agent works."""
        workspace, steps = self.commands.workspace, self.order.task.steps
        if len(steps) > 1:
            return Judgement(
                Outcome.ERROR, None, "regrading", "of a task with several steps only the last state is kept"
            )
        if not workspace.resumed(self.order.task.files):
            return Judgement(Outcome.ERROR, None, "no_workspace", f"there is no workspace in {workspace.directory}")
        if (failed := self._verify(steps[0])) is not None:
            return failed
        known, reward = self.verified[-1].graded, self.rewards[-1].value
        return grading.of_reward(reward, None, changed=True, known=known.failure_mode, detail=known.error or known.why)

    def _why(self) -> str:
        """What the first verification that gave less than the full reward says of it."""
        several = len(self.order.task.steps) > 1
        said = (
            f"{step.name or f'step {number}'}: {verified.graded.why}" if several else verified.graded.why
            for number, (step, verified) in enumerate(zip(self.order.task.steps, self.verified, strict=False), 1)
            if verified.graded.why
        )
        return next(said, "")

    def _staged(self) -> Judgement | None:
        """A fresh workspace; why there is none, if so."""
        self.say("setup", "")
        workspace, task = self.commands.workspace, self.order.task
        workspace.begin()
        workspace.place(task.files)
        until = time.monotonic() + task.setup_timeout
        for line in task.setup:
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
        """A session and its verification; None when the trial goes on."""
        ended = self._session(number, step)
        return self._verify(step) if ended is None else ended

    def _verify(self, step: Step) -> Judgement | None:
        self.say("verification", step.name)
        self.verified.append(verified := verify(step, self.order.task, self.commands))
        if verified.interrupted:
            return Judgement(Outcome.ERROR, None, "interrupted", "interrupted during its verification")
        if verified.graded.reward is None:
            mode = verified.graded.failure_mode or "verifier_error"
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
