"""How long a run may still take, at the pace so far. Stagnation or a target can end it sooner."""

from autoloop.core.summary import Summary


def seconds_left(summary: Summary, elapsed: float) -> float | None:
    """Seconds until the first limit ends the run; None while no experiment has shown the pace, or once it ended."""
    if summary.stop_reason is not None:
        return None
    bounds = [] if summary.max_hours is None else [3600 * summary.max_hours - elapsed]
    for most, used in (
        (summary.max_experiments, summary.experiments),
        (summary.max_cost_usd, summary.cost_usd),
        (summary.max_tokens, summary.tokens),
    ):
        if most is not None and used:
            bounds.append((most - used) * elapsed / used)
    return max(0.0, min(bounds)) if bounds else None
