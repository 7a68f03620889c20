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
from autoloop.config.places import cache_directory, user_config
from autoloop.core.run.program import Direction, Limits
from autoloop.core.session import Session
from autoloop.git.repository import find
from autoloop.ports import Cell, Goal, OnProgress, Sandbox, Task
from autoloop.runs.confine import sandbox_for

FILE_WANTED = "answer.txt"
WORD = "ready"
ERRAND = f"Write the word `{WORD}` into a new file `{FILE_WANTED}` in the current directory. Then end.\n"
_LIMITS = Limits(max_turns=6, agent_timeout=180_000, agent_idle_timeout=120_000)


def one_session(
    profile: Profile, root: Path, environ: Mapping[str, str], sandbox: Sandbox, on_progress: OnProgress
) -> tuple[Session, bool]:
    """A session with an errand that takes seconds and costs next to nothing, and whether the errand was done."""
    agent = bare_agent(profile, root, environ)
    with tempfile.TemporaryDirectory(prefix="autoloop-check-") as folder:
        place = Path(folder).resolve()
        tree, packet = place / "tree", place / "packet.md"
        tree.mkdir()
        packet.write_text(ERRAND)
        cell = Cell(tree=tree, home=place / "home", reads=(packet,), network="on")
        session = agent.run(_task(tree, packet, place / "session" / "session.jsonl", sandbox, cell), on_progress)
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
    repository = find(path)
    root = repository.root
    settings = load_settings(root, environ, user_config(environ))
    if name is None and settings.default_profile is None:
        profile, _ = first_usable(settings, root, environ, has_knobs=False)
    else:
        profile = choose(settings, name)
    choice = sandbox_for(settings.sandbox, repository, None, cache_directory(environ), environ)
    session, done = one_session(profile, root, environ, choice.sandbox, on_progress)
    return Checked(profile.name, done, session, choice.sandbox.tier)
