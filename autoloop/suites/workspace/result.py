"""The result of a trial: its records written, its workspace kept where that is wanted, and the value that says so."""

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoloop.agents.redaction import Redaction
from autoloop.core.run.notes import one_line
from autoloop.core.suite import grading
from autoloop.core.suite.grading import TrialJudgement
from autoloop.core.suite.tasks import Outcome, TrialOrder, TrialResult
from autoloop.core.text import sum_known
from autoloop.git.walk import remove
from autoloop.suites.workspace import records
from autoloop.suites.workspace.attempt import Attempt

_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_WITHOUT = (Outcome.PASS, Outcome.UNSUPPORTED)
"""Whose workspaces tell nothing."""


@dataclass(frozen=True)
class _Said:
    """One session, as it is recorded."""

    trajectory: dict[str, Any]
    made: bool
    """Whether the agent itself wrote no trajectory."""
    text: str


@dataclass
class TrialRecords:
    """The records of one trial, below the directory of its order."""

    directory: Path
    redacted: Redaction
    began: float
    error: str = ""
    """The traceback of an error, if there was one."""

    def result(
        self, order: TrialOrder, judgement: TrialJudgement, attempt: Attempt | None, *, tier: str, bench: Path
    ) -> TrialResult:
        """Write the records, remove what need not stay, and say what came of it."""
        sessions = [] if attempt is None else list(self._sessions(attempt))
        with suppress(OSError):  # a full disk has already made the trial an error
            self._write(order, judgement, attempt, sessions)
        stays = self._keeps_workspace(order, judgement) and attempt is not None
        if attempt is not None:
            self._tidy(attempt, stays)
        return _result(order, judgement, attempt, sessions).model_copy(
            update={
                "detail": one_line(self.redacted(judgement.detail), 500),
                "started": self.began,
                "seconds": time.time() - self.began,
                "sandbox": tier,
                "workspace": _from(bench, self.directory / "workspace") if stays else "",
            }
        )

    def _sessions(self, attempt: Attempt) -> Iterator[_Said]:
        for number in range(1, len(attempt.worked) + 1):
            folder = attempt.sessions.folder(number)
            if (found := records.read_session(folder)) is not None:
                made = records.is_made(found)
                yield _Said(found, made, records.said(folder) if made else records.as_text(found))

    def _write(
        self, order: TrialOrder, judgement: TrialJudgement, attempt: Attempt | None, sessions: list[_Said]
    ) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        if judgement.outcome is Outcome.ERROR:
            text = f"{judgement.failure_mode}: {judgement.detail}\n{self.error}"
            (self.directory / "error.txt").write_text(self.redacted(text), errors="replace")
        else:  # of an earlier grade
            (self.directory / "error.txt").unlink(missing_ok=True)
        if attempt is None:
            return
        if attempt.verified:
            self._save("verification.txt", "".join(verified.text for verified in attempt.verified))
        if order.regrade:
            return
        self._save("output.txt", "".join(session.text for session in sessions))
        if sessions:
            whole = records.joined([session.trajectory for session in sessions], session_id(order))
            records.write_trajectory(whole, self.directory, self.began)

    def _save(self, name: str, text: str) -> None:
        (self.directory / name).write_text(records.bounded(self.redacted(text)), errors="replace")

    @staticmethod
    def _keeps_workspace(order: TrialOrder, judgement: TrialJudgement) -> bool:
        if order.keep == "failed":
            return judgement.outcome not in _WITHOUT
        return order.keep == "all"

    @staticmethod
    def _tidy(attempt: Attempt, stays: bool) -> None:
        workspace = attempt.commands.workspace
        with suppress(OSError):  # what cannot be removed now goes with the next try
            if stays:
                workspace.tidy()
            else:
                remove(bytes(workspace.scratch))
                remove(bytes(workspace.tree))


def session_id(order: TrialOrder) -> str:
    """A name for the trajectory, which no other trial of the bench has."""
    key = order.key
    return _NAME.sub("-", f"{order.bench_id}-{key.arm}-{key.task}-{key.iteration:03d}-{key.attempt}")


def _result(
    order: TrialOrder, judgement: TrialJudgement, attempt: Attempt | None, sessions: list[_Said]
) -> TrialResult:
    result = TrialResult(
        outcome=judgement.outcome,
        reward=judgement.reward,
        failure_mode=judgement.failure_mode,
        started=0.0,
        seconds=0.0,
    )
    if attempt is None:
        return result
    worked = attempt.worked
    counts = [records.counted(session.trajectory) for session in sessions if not session.made]
    rewards = grading.combined(order.task, attempt.rewards).others if attempt.rewards else ()
    spent: dict[str, Any] = {"rewards": dict(rewards)}
    for session in worked:
        spent["cost_usd"] = sum_known(spent.get("cost_usd"), session.cost_usd)
        spent["tokens"] = sum_known(spent.get("tokens"), session.tokens)
        spent["turns"] = sum_known(spent.get("turns"), session.turns)
        spent["agent_seconds"] = spent.get("agent_seconds", 0.0) + session.seconds
        spent["model"] = session.model or spent.get("model", "")
        spent["retry_at"] = session.retry_at
    if attempt.verified:
        spent["verifier_seconds"] = sum(verified.seconds for verified in attempt.verified)
    if counts:
        spent["actions"] = sum(count.actions for count in counts)
        spent["turns"] = spent.get("turns") or sum(count.turns for count in counts)
    return result.model_copy(update=spent)


def _from(bench: Path, path: Path) -> str:
    path = path.resolve()
    return str(path.relative_to(bench)) if path.is_relative_to(bench) else str(path)
