"""What the loop and the benches need of the world, as protocols. Vendors and files stay on the other side.

- `agents`: what proposes a change, and what one session is given
- `run`: trees, sampler, seal, journal, machine and steering of a run, and `Parts`, all of them together
- `suite`: tasks, workers, pace and ledger of a bench
- `sandboxes`: where commands run, and what each may reach
"""

import warnings

from autoloop.ports.agents import Agent, Goal, Left, OnProgress, Progress, Task
from autoloop.ports.run import (
    Files,
    Journal,
    Machine,
    OnNews,
    Parts,
    Request,
    Sampler,
    Seal,
    Steering,
    Trees,
    Wishes,
)
from autoloop.ports.sandboxes import Cell, Mount, Network, Room, Sandbox, Tier
from autoloop.ports.suite import Ledger, News, OnWorker, Pacing, Suite, TaskSource, Workers

__all__ = [
    "Agent",
    "Cell",
    "Files",
    "Goal",
    "Journal",
    "Ledger",
    "Left",
    "Machine",
    "Mount",
    "Network",
    "News",
    "OnNews",
    "OnProgress",
    "OnWorker",
    "Pacing",
    "Parts",
    "Progress",
    "Request",
    "Room",
    "Sampler",
    "Sandbox",
    "Seal",
    "Steering",
    "Suite",
    "Task",
    "TaskSource",
    "Tier",
    "Trees",
    "Wishes",
    "Workers",
]


def __getattr__(name: str) -> type:
    """The name `Bench` of a sampler, which agents of people may import for one more version."""
    if name == "Bench":
        warnings.warn("autoloop.ports.Bench is now called Sampler", DeprecationWarning, stacklevel=2)
        return Sampler
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
