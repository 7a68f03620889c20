"""From what a verifier left to a reward, and from session and reward to the outcome of a trial."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from autoloop.core.session import SessionFailure
from autoloop.core.suite.saying import counted
from autoloop.core.suite.task import Expectation, Step
from autoloop.core.suite.trial import Outcome
from autoloop.core.texts import listed

_PASSING = 1 - 1e-9
MAIN = "reward"
"""The one that counts, of several rewards."""
_VALID_ZERO = (SessionFailure.TIMEOUT, SessionFailure.IDLE)
_OF_THE_SERVICE = (SessionFailure.MALFORMED,)


@dataclass(frozen=True)
class Reward:
    """What a verifier says."""

    value: float
    others: tuple[tuple[str, float], ...] = ()
    """What it says beside it, by name."""


@dataclass(frozen=True)
class Graded:
    """What one verification came to: a reward, or why there is none."""

    reward: Reward | None = None
    error: str = ""
    failure_mode: str = ""
    """What is known already of why it is not 1."""
    why: str = ""
    """For people, where the reward is less than 1: what did not hold, or what the verifier said last."""


@dataclass(frozen=True)
class Judgement:
    """What a trial came to."""

    outcome: Outcome
    reward: float | None = None
    failure_mode: str = ""
    detail: str = ""


def read_reward(as_json: str | None, as_text: str | None) -> Graded:
    """The reward in the files of a verifier, of which the JSON goes first; None for a file that is not there."""
    if as_json is not None and as_json.strip():
        return _from_json(as_json)
    if as_text is not None and as_text.strip():
        value = _number(as_text.strip())
        if value is None:
            return Graded(error=f"reward.txt holds {as_text.strip()[:40]!r}, which is no finite number")
        return Graded(Reward(value))
    if as_json is None and as_text is None:
        return Graded(error="the verifier left neither reward.json nor reward.txt")
    return Graded(error="the verifier's reward is empty")


def _from_json(text: str) -> Graded:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return Graded(error=f"reward.json is no JSON: {text.strip()[:40]!r}")
    if (value := _finite(found)) is not None:
        return Graded(Reward(value))
    numbers = {str(name): _finite(value) for name, value in found.items()} if isinstance(found, dict) else {}
    known = {name: value for name, value in numbers.items() if value is not None}
    if not known or len(known) < len(numbers):
        return Graded(error=f"reward.json holds {text.strip()[:40]!r}; needed are finite numbers")
    main = known.get(MAIN, sum(known.values()) / len(known))
    return Graded(Reward(main, tuple((name, value) for name, value in known.items() if name != MAIN)))


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


def goes_on(step: Step, reward: float) -> bool:
    """Whether the steps behind one are begun."""
    return step.min_reward is None or reward >= step.min_reward - 1e-9


def combined(steps: Sequence[Step], rewards: Sequence[Reward]) -> tuple[float, dict[str, float]]:
    """The reward of a trial, to which steps that were not begun give 0, and what stands beside it."""
    mean = sum(reward.value for reward in rewards) / len(steps)
    if len(steps) == 1:
        return mean, dict(rewards[0].others) if rewards else {}
    names = [step.name or f"step-{number}" for number, step in enumerate(steps, 1)]
    return mean, dict(zip(names, (reward.value for reward in rewards), strict=False))


def of_session(failure: SessionFailure | None, detail: str, *, contained: bool = False) -> Judgement | None:
    """What a session comes to without a look at its files; None where they have to be judged.

    `contained` is whether it was in a task's container, which may lack what the agent is executed by.
    """
    if failure is None:
        return None
    if contained and failure is SessionFailure.NOT_INSTALLED:
        return Judgement(Outcome.UNSUPPORTED, None, "unsupported", f"its image cannot execute the agent: {detail}")
    if failure in _VALID_ZERO:
        return Judgement(Outcome.TIMEOUT, 0.0, str(failure), detail)
    if failure is SessionFailure.CANCELLED:
        return Judgement(Outcome.ERROR, None, "interrupted", detail or "interrupted")
    if failure.out_of_reach or failure.passes or failure in _OF_THE_SERVICE:
        return Judgement(Outcome.ERROR, None, str(failure), detail or str(failure))
    return None


def of_reward(
    reward: float, failure: SessionFailure | None, *, changed: bool, known: str = "", detail: str = ""
) -> Judgement:
    """What a verified trial comes to; `known` is what the verification says of why it is not 1."""
    if reward >= _PASSING:
        return Judgement(Outcome.PASS, reward)
    if known:
        return Judgement(Outcome.FAIL, reward, known, detail)
    if failure is not None:
        return Judgement(Outcome.FAIL, reward, str(failure), detail)
    if not changed:
        return Judgement(Outcome.FAIL, reward, "no_change", "the agent changed nothing")
    return Judgement(Outcome.FAIL, reward, "partial_result" if reward > 0 else "wrong_result", detail)


def unless_told(judgement: Judgement, told: bool) -> Judgement:
    """A failure says nothing of the agent when its processes may have been `told` to end by a signal to everybody."""
    if not told or judgement.outcome is not Outcome.FAIL:
        return judgement
    detail = "a signal told everything around it to end"
    said = f"{detail}; {judgement.detail}" if judgement.detail else detail
    return Judgement(Outcome.ERROR, None, "interrupted", said)
