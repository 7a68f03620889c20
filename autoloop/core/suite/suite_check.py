"""Checking a suite by itself: its solutions must pass, and doing nothing must not."""

from collections.abc import Iterator

from autoloop.core.suite.state import BenchState
from autoloop.core.suite.tasks import Outcome, TrialKey, TrialResult


def wrong_tasks(state: BenchState, oracle: str, nop: str) -> tuple[str, ...]:
    """One sentence for each task that its own solution does not pass, or that passes by itself."""
    return tuple(_wrong(state, oracle, nop))


def _wrong(state: BenchState, oracle: str, nop: str) -> Iterator[str]:
    for key, result in state.results.items():
        if result.outcome is Outcome.UNSUPPORTED:
            continue
        if result.outcome is Outcome.ERROR:
            yield f"{key.task}: {key.arm} could not be tried: {result.detail}"
        elif key.arm == oracle and not result.passed:
            yield f"{key.task}: its own solution does not pass ({_how(result)})"
        elif key.arm == nop and (result.passed or (result.reward or 0.0) > 0):
            yield f"{key.task}: doing nothing gets a reward of {result.reward:g}"


def unsupported_tasks(state: BenchState) -> tuple[str, ...]:
    """The tasks that cannot be tried here, each with its reason."""
    found: dict[str, str] = {}
    for key, result in state.results.items():
        if result.outcome is Outcome.UNSUPPORTED:
            found.setdefault(_name(key), result.detail)
    return tuple(f"{task}: {why}" for task, why in found.items())


def _how(result: TrialResult) -> str:
    words = ", ".join(word for word in (result.outcome.value, result.failure_mode, result.detail) if word)
    return words or "no word about why"


def _name(key: TrialKey) -> str:
    return key.task
