"""What the loop and the benches need of the world, as protocols. Vendors and files stay on the other side."""

from autoloop.ports.agents import Agent, Left, OnProgress, Progress, Task
from autoloop.ports.journals import Journal, Ledger, OnNews, Steering, Wishes
from autoloop.ports.measuring import Bench, Machine, Request, Seal
from autoloop.ports.parts import Parts
from autoloop.ports.sandboxes import Cell, Mount, Network, Room, Sandbox, Tier
from autoloop.ports.suites import News, OnWorker, Pacing, Suite, TaskSource, Workers
from autoloop.ports.trees import Files, Trees

__all__ = [
    "Agent",
    "Bench",
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
