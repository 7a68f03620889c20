"""Everything that a loop is made of."""

from dataclasses import dataclass

from autoloop.ports.agents import Agent, OnProgress
from autoloop.ports.journals import Journal, Steering
from autoloop.ports.measuring import Bench, Machine, Seal
from autoloop.ports.sandboxes import Cell, Sandbox
from autoloop.ports.trees import Files, Trees


@dataclass(frozen=True)
class Parts:
    """Everything that a loop is made of."""

    agent: Agent
    trees: Trees
    bench: Bench
    seal: Seal
    journal: Journal
    steering: Steering
    machine: Machine
    files: Files
    sandbox: Sandbox
    cell: Cell
    """Of the agent; each session adds its packet."""
    prompt: str
    """The template of the context packet."""
    on_progress: OnProgress
