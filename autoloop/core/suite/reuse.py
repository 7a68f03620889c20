"""When the result of a trial may stand for another one: same task, same solver, same seed.

What is compared is what a trial depends on, not where or when it was taken. Only results that count are shared: an
error says nothing, and what is unsupported here may be supported elsewhere.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from autoloop.core.suite.tasks import TrialOrder, TrialResult

FORMAT = 1


def result_key(order: TrialOrder, solver: Mapping[str, Any], content: str) -> str | None:
    """The name under which the result of a trial is shared; None for a task that has no digest.

    `solver` is the profile as it is, `content` a digest of the files that the trial depends on beside the task.
    """
    if not order.task.digest:
        return None
    fields = ("seed", "timeout", "idle_timeout", "max_turns", "max_cost_usd", "max_tokens", "network", "containers")
    values = {
        "format": FORMAT,
        "task": [order.task.id, order.task.digest],
        "solver": dict(solver),
        "content": content,
        "attempt": order.key.attempt,
        **order.model_dump(mode="json", include=set(fields)),
    }
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:40]


def is_shared(result: TrialResult) -> bool:
    """Whether a result may stand for other trials."""
    return result.outcome.counts


def shared(result: TrialResult) -> TrialResult:
    """The result as another bench has it: cost and workspace stay with the one that took it."""
    return result.model_copy(update={"workspace": "", "cost_usd": None, "tokens": None})


def failing_first(tasks: Sequence[str], scores: Mapping[str, float]) -> tuple[str, ...]:
    """The tasks that did not pass fully when they were last tried, the worst of them first."""
    failing = [task for task in tasks if scores.get(task, 1.0) < 1.0]
    return tuple(sorted(failing, key=lambda task: scores[task]))


def minibatch(tasks: Sequence[str], failing: Iterable[str], most: int, seed: int) -> tuple[str, ...]:
    """So many tasks: those that failed before the others, both in an order that the seed draws.

    Both sides of a pair have the same seed, so they try the same tasks; another pair draws others.
    """

    def drawn(task: str) -> bytes:
        return hashlib.sha256(f"{seed}/{task}".encode()).digest()

    first = set(failing)
    return tuple(sorted(tasks, key=lambda task: (task not in first, drawn(task)))[:most])
