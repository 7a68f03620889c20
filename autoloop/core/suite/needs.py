"""What a task needs that may not be there: then it is unsupported, which is no failure of an agent."""

from collections.abc import Iterator

from autoloop.core.suite.grading import Judgement
from autoloop.core.suite.order import TrialOrder
from autoloop.core.suite.task import SuiteTask
from autoloop.core.suite.trial import Outcome

ORACLE, NOP = "oracle", "nop"
"""Profiles that only a bench knows."""
_OF_THE_SYSTEM = ("/", "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/sbin", "/sys", "/usr", "/usr/bin")
"""No directory of these can be a workspace: the commands of a trial run from them."""


def unsupported(order: TrialOrder, *, rooted: bool, why: str = "") -> Judgement | None:
    """Why a task cannot be tried here, if so. `rooted` is whether commands can have a root of their own."""
    missing = next(_missing(order, rooted, why), "")
    return Judgement(Outcome.UNSUPPORTED, None, "unsupported", missing) if missing else None


def needs_root(task: SuiteTask, *, solved: bool = False) -> bool:
    """Whether it names absolute places, so that no plain directory will do; `solved` is with its reference solution."""
    placed = [file for step in task.steps for file in step.verification.files]
    placed += [*task.found, *(task.solution.files if task.solution and solved else ())]
    away = any(file.target.startswith("/") and not f"{file.target}/".startswith(f"{task.workdir}/") for file in placed)
    return task.needs_paths or away or any(step.verification.reward == "file" for step in task.steps)


def _missing(order: TrialOrder, rooted: bool, why: str) -> Iterator[str]:
    task = order.task
    if task.unsupported:
        yield task.unsupported
    if not task.workdir.startswith("/") or (task.workdir.rstrip("/") or "/") in _OF_THE_SYSTEM:
        yield f"its workdir is {task.workdir}, which cannot be a workspace"
    if not rooted and needs_root(task, solved=order.profile == ORACLE):
        yield f"it names absolute paths, which needs bubblewrap{f': {why}' if why else ''}"
    if order.profile == ORACLE and task.solution is None:
        yield "it has no reference solution for the oracle"
    elif order.profile == ORACLE and task.solution and len(task.solution.commands) < len(task.steps):
        yield "its reference solution has fewer commands than the task has steps"
