"""What a task needs that may not be there: then it is unsupported, which is no failure of an agent."""

from collections.abc import Iterator
from dataclasses import dataclass

from autoloop.core.suite.grading import Judgement
from autoloop.core.suite.order import TrialOrder
from autoloop.core.suite.task import SuiteTask
from autoloop.core.suite.trial import Outcome

ORACLE, NOP = "oracle", "nop"
"""Profiles that only a bench knows."""
_OF_THE_SYSTEM = ("/", "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/sbin", "/sys", "/usr", "/usr/bin")
"""No directory of these can be a workspace: the commands of a trial run from them."""
_ROOTLESS = "it names absolute paths"


@dataclass(frozen=True)
class Here:
    """What this machine has for trials."""

    rooted: bool
    """Whether commands can have a root of their own."""
    why_not: str = ""
    """Why they cannot."""
    engine: str = ""
    """The container engine that answers."""
    why_no_engine: str = ""


def unsupported(order: TrialOrder, here: Here) -> Judgement | None:
    """Why a task cannot be tried here, if so."""
    missing = next(_missing(order, here), "")
    return Judgement(Outcome.UNSUPPORTED, None, "unsupported", missing) if missing else None


def in_container(order: TrialOrder, here: Here) -> bool:
    """Whether a task is tried in its container."""
    task = order.task
    if task.container is None or order.containers == "never":
        return False
    return order.containers == "always" or bool(task.contained) or _lacks_root(order, here)


def needs_root(task: SuiteTask, *, solved: bool = False) -> bool:
    """Whether it names absolute places, so that no plain directory will do; `solved` is with its reference solution."""
    placed = [file for step in task.steps for file in step.verification.files]
    placed += [*task.found, *(task.solution.files if task.solution and solved else ())]
    away = any(file.target.startswith("/") and not f"{file.target}/".startswith(f"{task.workdir}/") for file in placed)
    return task.needs_paths or away or any(step.verification.reward == "file" for step in task.steps)


def _lacks_root(order: TrialOrder, here: Here) -> bool:
    return not here.rooted and needs_root(order.task, solved=order.profile == ORACLE)


def _missing(order: TrialOrder, here: Here) -> Iterator[str]:
    task = order.task
    if task.unsupported:
        yield task.unsupported
    if in_container(order, here):
        if not here.engine:
            yield f"{task.contained or _ROOTLESS}; a container engine would be needed: {here.why_no_engine}"
    elif task.contained:
        yield f"{task.contained}; a container would be needed, and they are never used (--containers)"
    elif not _is_workdir(task.workdir):
        yield f"its workdir is {task.workdir}, which cannot be a workspace"
    elif _lacks_root(order, here):
        yield f"{_ROOTLESS}, which needs bubblewrap{f': {here.why_not}' if here.why_not else ''}"
    if order.profile == ORACLE and task.solution is None:
        yield "it has no reference solution for the oracle"
    elif order.profile == ORACLE and task.solution and len(task.solution.commands) < len(task.steps):
        yield "its reference solution has fewer commands than the task has steps"


def _is_workdir(path: str) -> bool:
    return path.startswith("/") and (path.rstrip("/") or "/") not in _OF_THE_SYSTEM
