"""Grading: from what a verifier left to a reward, and from session and reward to the outcome of a trial.

Whether a task can be tried on this machine is judged here as well: where it cannot it is unsupported, which is no
failure of an agent.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from autoloop.core.session import SessionFailure
from autoloop.core.suite.plan import ORACLE
from autoloop.core.suite.tasks import Expectation, Outcome, Step, SuiteTask, TrialOrder
from autoloop.core.text import counted, listed

_PASSING = 1 - 1e-9
MAIN = "reward"
"""The one that counts, of several rewards."""
VERIFIER_ERROR, VERIFIER_TIMEOUT = OF_THE_VERIFIER = ("verifier_error", "verifier_timeout")
"""Failure modes of trials whose agent has done its work."""
_VALID_ZERO = (SessionFailure.TIMEOUT, SessionFailure.IDLE)
_OF_THE_SERVICE = (SessionFailure.MALFORMED,)


@dataclass(frozen=True)
class Reward:
    """The reward that a verifier gives for a trial."""

    value: float
    others: tuple[tuple[str, float], ...] = ()
    """What it says beside it, by name."""
    is_mean: bool = False
    """Whether there is nothing but these others, of which the value is the mean."""

    @property
    def by_name(self) -> dict[str, float]:
        """Every reward that the verifier gave, by its name."""
        return dict(self.others) if self.is_mean else {MAIN: self.value, **dict(self.others)}


@dataclass(frozen=True)
class Graded:
    """The result of one verification: a reward, or why there is none."""

    reward: Reward | None = None
    error: str = ""
    failure_mode: str = ""
    """What is known already of why it is not 1."""
    why: str = ""
    """For people, where the reward is less than 1: what did not hold, or what the verifier said last."""


@dataclass(frozen=True)
class TrialJudgement:
    """The judgement of a trial: its outcome, its reward, and why."""

    outcome: Outcome
    reward: float | None = None
    failure_mode: str = ""
    detail: str = ""


def read_reward(as_json: str | None, as_text: str | None) -> Graded:
    """The reward in the files of a verifier, of which the JSON goes first; None for a file that is not there."""
    if as_json is None and as_text is None:
        return Graded(error="the verifier left neither reward.json nor reward.txt")
    text = as_json if as_json is not None else as_text or ""
    if not text.strip():
        return Graded(error=f"the verifier's {'reward.txt' if as_json is None else 'reward.json'} is empty")
    if as_json is not None:
        return _from_json(as_json)
    value = _number(text.strip())
    if value is None:
        return Graded(error=f"reward.txt holds {text.strip()[:40]!r}, which is no finite number")
    return Graded(Reward(value))


def _from_json(text: str) -> Graded:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return Graded(error=f"reward.json is no JSON: {text.strip()[:40]!r}")
    if (value := _finite(found)) is not None:
        return Graded(Reward(value))
    said = found.items() if isinstance(found, dict) else ()
    numbers = {str(name): float(value) if isinstance(value, bool) else _finite(value) for name, value in said}
    known = {name: value for name, value in numbers.items() if value is not None}
    if not known or len(known) < len(numbers):
        return Graded(error=f"reward.json holds {text.strip()[:40]!r}; needed are finite numbers")
    return Graded(_named(known))


def _named(rewards: dict[str, float]) -> Reward:
    """One by name, or several of which none is the main one."""
    main = rewards.get(MAIN, sum(rewards.values()) / len(rewards))
    others = tuple((name, value) for name, value in rewards.items() if name != MAIN)
    return Reward(main, others, is_mean=MAIN not in rewards)


def why_less(reward: Reward, last_words: str) -> str:
    """Why a verifier's reward is not 1, as far as it says so: what else it graded below 1, and its last words."""
    if reward.value >= _PASSING:
        return ""
    low = [f"{name} {value:.3g}" for name, value in reward.others if value < _PASSING]
    return ": ".join(filter(None, (listed(low), last_words)))


def why_not(expectations: Sequence[Expectation], held: Sequence[bool]) -> str:
    """Which of what was expected does not hold."""
    failing = [expectation.sentence for expectation, ok in zip(expectations, held, strict=True) if not ok]
    if not failing:
        return ""
    return f"{len(failing)} of {counted(len(held), 'expectation')} not met: {listed(failing, 3)}"


def _number(text: str) -> float | None:
    try:
        return _finite(float(text))
    except ValueError:
        return None


def _finite(value: object) -> float | None:
    """A finite number as a float; a truth value is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def goes_on(step: Step, reward: Reward) -> bool:
    """Whether the steps behind one are begun. A reward that is asked for and not there is too small."""
    if step.min_reward is None:
        return True
    least = step.min_reward if isinstance(step.min_reward, dict) else {MAIN: step.min_reward}
    said = reward.by_name
    return all(said.get(name, -math.inf) >= value - 1e-9 for name, value in least.items())


def combined(task: SuiteTask, rewards: Sequence[Reward]) -> Reward:
    """The reward of a trial, from those of the steps that were begun; beside it, what each step came to."""
    whole = rewards[-1] if task.counts == "final" or len(rewards) == 1 else _mean(rewards)
    if len(task.steps) == 1:
        return whole
    names = [step.name or f"step-{number}" for number, step in enumerate(task.steps, 1)]
    by_step = zip(names, (reward.value for reward in rewards), strict=False)
    return Reward(whole.value, tuple({**dict(whole.others), **dict(by_step)}.items()))


def _mean(rewards: Sequence[Reward]) -> Reward:
    """Name by name; where a step has not said one, it counts as 0."""
    names = dict.fromkeys(name for reward in rewards for name in reward.by_name)
    return _named({name: sum(each.by_name.get(name, 0.0) for each in rewards) / len(rewards) for name in names})


def of_session(failure: SessionFailure | None, detail: str, *, contained: bool = False) -> TrialJudgement | None:
    """What a session comes to without a look at its files; None where they have to be judged.

    `contained` is whether it was in a task's container, which may lack what the agent is executed by.
    """
    if failure is None:
        return None
    if contained and failure is SessionFailure.NOT_INSTALLED:
        return TrialJudgement(Outcome.UNSUPPORTED, None, "unsupported", f"its image cannot execute the agent: {detail}")
    if failure in _VALID_ZERO:
        return TrialJudgement(Outcome.TIMEOUT, 0.0, str(failure), detail)
    if failure is SessionFailure.CANCELLED:
        return TrialJudgement(Outcome.ERROR, None, "interrupted", detail or "interrupted")
    if failure.out_of_reach or failure.passes or failure in _OF_THE_SERVICE:
        return TrialJudgement(Outcome.ERROR, None, str(failure), detail or str(failure))
    return None


def of_reward(
    reward: float,
    failure: SessionFailure | None,
    *,
    changed: bool,
    known: str = "",
    detail: str = "",
    not_begun: int = 0,
) -> TrialJudgement:
    """What a verified trial comes to; `known` is what the verification says of why it is not 1.

    With steps that were not begun it has not passed, whatever those before them came to.
    """
    if not_begun:
        left = "the step behind it was" if not_begun == 1 else f"the {not_begun} steps behind it were"
        detail = detail or f"a step came to less than its min_reward, so {left} not begun"
    if reward >= _PASSING and not not_begun:
        return TrialJudgement(Outcome.PASS, reward)
    if known:
        return TrialJudgement(Outcome.FAIL, reward, known, detail)
    if failure is not None:
        return TrialJudgement(Outcome.FAIL, reward, str(failure), detail)
    if not changed:
        return TrialJudgement(Outcome.FAIL, reward, "no_change", "the agent changed nothing")
    return TrialJudgement(Outcome.FAIL, reward, "partial_result" if reward > 0 else "wrong_result", detail)


def unless_told(judgement: TrialJudgement, told: bool) -> TrialJudgement:
    """A failure says nothing of the agent when its processes may have been `told` to end by a signal to everybody."""
    if not told or judgement.outcome is not Outcome.FAIL:
        return judgement
    detail = "a signal told everything around it to end"
    said = f"{detail}; {judgement.detail}" if judgement.detail else detail
    return TrialJudgement(Outcome.ERROR, None, "interrupted", said)


_OF_THE_SYSTEM = ("/", "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/sbin", "/sys", "/usr", "/usr/bin")
"""No directory of these can be a workspace: the commands of a trial run from them."""
_ROOTLESS = "it names absolute paths"


@dataclass(frozen=True)
class HostAbilities:
    """The abilities of this machine that tasks may need: a root of their own, a container engine."""

    rooted: bool
    """Whether commands can have a root of their own."""
    why_not: str = ""
    """Why they cannot."""
    engine: str = ""
    """The container engine that answers."""
    why_no_engine: str = ""


def unsupported(order: TrialOrder, here: HostAbilities) -> TrialJudgement | None:
    """The judgement that a task cannot be tried here; None when it can."""
    missing = next(_missing(order, here), "")
    return TrialJudgement(Outcome.UNSUPPORTED, None, "unsupported", missing) if missing else None


def in_container(order: TrialOrder, here: HostAbilities) -> bool:
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


def _lacks_root(order: TrialOrder, here: HostAbilities) -> bool:
    return not here.rooted and needs_root(order.task, solved=order.profile == ORACLE)


def _missing(order: TrialOrder, here: HostAbilities) -> Iterator[str]:
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
