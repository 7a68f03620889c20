"""The task of a session: the packet, the tree, the limits."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from autoloop.core.run.history import trials
from autoloop.core.run.packet import build_packet, recent_discards, render
from autoloop.core.run.program import Limits, Program
from autoloop.core.run.state import Current, RunState
from autoloop.core.run.stopping import seconds_left
from autoloop.core.seeds import seed_for
from autoloop.ports import Goal, Left, Parts, Task

_Number = TypeVar("_Number", int, float)
_SESSION = -1
"""The seed index of a session, beside those of its samples."""


def brief(
    program: Program,
    state: RunState,
    current: Current,
    limits: Limits,
    parts: Parts,
    wait: Callable[[str, float], bool],
) -> Task:
    """The task of the experiment in progress, with the agent's tree made equal to its parent."""
    packet, files, number = packet_text(program, state, limits, parts), parts.files, current.experiment
    totals = state.totals
    packet_path = files.packet(number, packet)
    return Task(
        packet=packet,
        packet_path=packet_path,
        tree=parts.trees.place("agent", current.parent),
        run_id=state.begun.run_id,
        goal=Goal.of(program),
        experiment=number,
        seed=seed_for(state.begun.seed, number, _SESSION),
        limits=limits,
        history=lambda: trials(parts.journal.read(), program.criteria.direction),
        transcript=files.transcript(number),
        cancelled=parts.steering.now,
        left=Left(
            cost_usd=_rest(limits.max_cost_usd, totals.cost_usd),
            tokens=_rest(limits.max_tokens, totals.tokens),
            seconds=seconds_left(state, limits, parts.machine.now()),
        ),
        wait=wait,
        begin_again=lambda: parts.trees.place("agent", current.parent),
        sandbox=parts.sandbox,
        cell=replace(parts.cell, reads=(packet_path, *parts.cell.reads)),
        run_program=program,
    )


def _rest(limit: _Number | None, spent: _Number | None) -> _Number | None:
    return None if limit is None else type(limit)(max(limit - (spent or 0), 0))


def packet_text(program: Program, state: RunState, limits: Limits, parts: Parts) -> str:
    """The context packet of the next session, as text."""
    patches = parts.files.patches(recent_discards(state.recent))
    return render(parts.prompt, build_packet(program, state, limits, now=parts.machine.now(), patches=patches))
