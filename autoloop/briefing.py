"""What a session is given: the packet, the tree, the limits."""

from dataclasses import replace

from autoloop.core.packet import build_packet, recent_discards, render
from autoloop.core.program import Limits, Program
from autoloop.core.run import Current, RunState
from autoloop.core.seeds import seed_for
from autoloop.core.trials import trials
from autoloop.ports import Parts, Task

_SESSION = -1
"""The seed index of a session, beside those of its samples."""


def brief(program: Program, state: RunState, current: Current, limits: Limits, parts: Parts) -> Task:
    """The task of the experiment in progress, with the agent's tree made equal to its parent."""
    assert state.started is not None, "a journal begins with its run"
    packet, files, number = packet_text(program, state, limits, parts), parts.files, current.experiment
    packet_path = files.packet(number, packet)
    return Task(
        packet=packet,
        packet_path=packet_path,
        tree=parts.trees.place("agent", current.parent),
        run_id=state.started.run_id,
        program=program,
        experiment=number,
        seed=seed_for(state.started.seed, number, _SESSION),
        limits=limits,
        history=lambda: trials(parts.journal.read(), program.criteria.direction),
        transcript=files.transcript(number),
        cancelled=parts.steering.now,
        sandbox=parts.sandbox,
        cell=replace(parts.cell, reads=(packet_path, *parts.cell.reads)),
    )


def packet_text(program: Program, state: RunState, limits: Limits, parts: Parts) -> str:
    """The context packet."""
    patches = parts.files.patches(recent_discards(state.recent))
    return render(parts.prompt, build_packet(program, state, limits, now=parts.machine.now(), patches=patches))
