"""What the loop and the benches need of the world, as protocols. Vendors and files stay on the other side."""

from autoloop.ports.agents import Agent, Left, OnProgress, Progress, Task
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
