"""How long a run may still take."""

import pytest

from autoloop.core.run.events import RunStarted
from autoloop.core.run.program import Criteria, Direction, Limits
from autoloop.core.run.state import RunState
from autoloop.core.run.summary import Summary, seconds_left, summarise

STARTED = RunStarted(at=1.0, run_id="r", program="p", seed=1, start="c0", branch="b")
LIMITS = Limits(max_experiments=10)


def summary(**fields: object) -> Summary:
    state = RunState(Criteria(metric_field="ms", direction=Direction.LOWER), started=STARTED)
    return summarise(state, LIMITS, phase="agent", sandbox="none").model_copy(update=fields)


@pytest.mark.parametrize(
    ("fields", "elapsed", "left"),
    [
        ({}, 60.0, None),
        ({"experiments": 4}, 100.0, 150.0),
        ({"experiments": 4, "max_hours": 0.05}, 100.0, 80.0),
        ({"experiments": 4, "max_cost_usd": 2.0, "cost_usd": 1.0}, 100.0, 100.0),
        ({"experiments": 4, "max_cost_usd": 2.0, "cost_usd": None}, 100.0, 150.0),
        ({"experiments": 4, "max_tokens": 100, "tokens": 80}, 100.0, 25.0),
        ({"experiments": 12}, 100.0, 0.0),
        ({"experiments": 4, "stop_reason": "stopped"}, 100.0, None),
    ],
    ids=["no pace yet", "experiments", "hours", "cost", "unknown cost", "tokens", "limit lowered", "ended"],
)
def test_the_first_limit_that_is_reached_at_this_pace_counts(
    fields: dict[str, object], elapsed: float, left: float | None
) -> None:
    assert seconds_left(summary(**fields), elapsed) == (left if left is None else pytest.approx(left))
