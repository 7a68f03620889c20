"""Checking an agent: one tiny real session in the sandbox that a run would have, and whether its errand was done."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autoloop.agents.make import bare_agent
from autoloop.agents.probe import first_usable
from autoloop.agents.profiles import Profile, choose, load_settings
from autoloop.config.places import user_config
from autoloop.core.run.program import Direction, Limits
from autoloop.core.session import Session
from autoloop.host.context import Context
from autoloop.ports import Cell, Goal, OnProgress, Sandbox, Task
from autoloop.runs.confine import sandbox_for
from autoloop.runs.context import RunContext

FILE_WANTED = "answer.txt"
WORD = "ready"
ERRAND = f"Write the word `{WORD}` into a new file `{FILE_WANTED}` in the current directory. Then end.\n"
_LIMITS = Limits(max_turns=6, agent_timeout=180_000, agent_idle_timeout=120_000)


def one_session(profile: Profile, context: Context, sandbox: Sandbox) -> tuple[Session, bool]:
    """A session with an errand that takes seconds and costs next to nothing, and whether the errand was done."""
    agent = bare_agent(profile, context.root, context.environ)
    with tempfile.TemporaryDirectory(prefix="autoloop-check-") as folder:
        place = Path(folder).resolve()
        tree, packet = place / "tree", place / "packet.md"
        tree.mkdir()
        packet.write_text(ERRAND)
        cell = Cell(tree=tree, home=place / "home", reads=(packet,), network="on")
        session = agent.run(
            _task(tree, packet, place / "session" / "session.jsonl", sandbox, cell), context.on_progress
        )
        answer = tree / FILE_WANTED
        done = answer.is_file() and not os.path.islink(answer) and WORD in answer.read_text(errors="replace")
    return session, done


def _task(tree: Path, packet: Path, transcript: Path, sandbox: Sandbox, cell: Cell) -> Task:
    return Task(
        packet=ERRAND,
        packet_path=packet,
        tree=tree,
        run_id=f"check-{os.getpid()}",
        goal=Goal("check", Direction.LOWER),
        experiment=1,
        seed=1,
        limits=_LIMITS,
        history=lambda: [],
        transcript=transcript,
        cancelled=lambda: False,
        sandbox=sandbox,
        cell=cell,
    )


@dataclass(frozen=True)
class Checked:
    """The result of checking an agent: its session, and whether the errand was done."""

    profile: str
    done: bool
    """Whether the errand was done."""
    session: Session
    sandbox: str


def check_agent(
    path: Path, name: str | None, *, on_progress: OnProgress, environ: Mapping[str, str] = os.environ
) -> Checked:
    """Have one agent do a tiny errand, in the sandbox that a run would have."""
    context = RunContext.at(path, environ, on_progress)
    root = context.root
    settings = load_settings(root, environ, user_config(environ))
    if name is None and settings.default_profile is None:
        profile, _ = first_usable(settings, root, environ, has_knobs=False)
    else:
        profile = choose(settings, name)
    choice = sandbox_for(settings.sandbox, context, None)
    session, done = one_session(profile, context, choice.sandbox)
    return Checked(profile.name, done, session, choice.sandbox.tier)
