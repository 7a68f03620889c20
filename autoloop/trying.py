"""Which agents there are, which one is taken when nobody says, and one tiny real session with it."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from autoloop.agents import AGENTS
from autoloop.agents.making import bare_agent
from autoloop.agents.probing import Found, probe
from autoloop.core.program import Criteria, Direction, Limits, Program
from autoloop.core.session import Session
from autoloop.errors import AutoloopError
from autoloop.ports import Cell, OnProgress, Sandbox, Task
from autoloop.profiles import FILE, WITH_A_MODEL, WITHOUT_SETTINGS, Profile, Settings, choose

FILE_WANTED = "answer.txt"
WORD = "ready"
ERRAND = f"Write the word `{WORD}` into a new file `{FILE_WANTED}` in the current directory. Then end.\n"
_LIMITS = Limits(max_turns=6, agent_timeout=180_000, agent_idle_timeout=120_000)


def profiles_at_hand(settings: Settings, *, has_knobs: bool = False) -> Iterator[Profile]:
    """The user's own profiles, then those that need no word in any file; the order in which they are tried."""
    own = list(settings.profiles)
    shipped = [name for name in WITHOUT_SETTINGS if name in AGENTS and (name != "tuner" or has_knobs)]
    shipped.sort(key=lambda name: name != "tuner")
    for name in (*own, *(name for name in shipped if name not in own)):
        yield choose(settings.model_copy(update={"overrides": {}}), name)


def survey(settings: Settings, root: Path, environ: Mapping[str, str]) -> list[Found]:
    """What is there of every profile, and of the agents that only lack the name of a model."""
    profiles = list(profiles_at_hand(settings, has_knobs=True))
    missing = [name for name in WITH_A_MODEL if name not in {profile.agent for profile in profiles}]
    profiles += [Profile(name=f"{name}:MODEL", agent=name) for name in missing]
    return [probe(profile, root, environ) for profile in profiles]


def first_usable(settings: Settings, root: Path, environ: Mapping[str, str], *, has_knobs: bool) -> tuple[Profile, str]:
    """The profile to take when nobody names one, and a sentence that says so."""
    passed: list[str] = []
    for profile in profiles_at_hand(settings, has_knobs=has_knobs):
        found = probe(profile, root, environ)
        if found.usable:
            others = f" ({'; '.join(passed)})" if passed else ""
            return profile, f"no profile is chosen, so the first usable one is taken: {profile.name}{others}"
        passed.append(f"{profile.name}: {found.problem}")
    raise AutoloopError(
        f"no agent can be used: {'; '.join(passed)}",
        f'See `autoloop agents`, or add to {FILE}: [profiles.mine] agent = "command" command = "sh agent.sh".',
    )


def one_session(
    profile: Profile, root: Path, environ: Mapping[str, str], sandbox: Sandbox, on_progress: OnProgress
) -> tuple[Session, bool]:
    """A session with an errand that takes seconds and next to nothing, and whether the errand was done."""
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


def errand_program() -> Program:
    """A program that measures nothing: an errand has none of its own."""
    return Program(
        slug="check",
        directory="check",
        text=ERRAND,
        scripts=("measure.sh",),
        criteria=Criteria(metric_field="none", direction=Direction.LOWER),
    )


def _task(tree: Path, packet: Path, transcript: Path, sandbox: Sandbox, cell: Cell) -> Task:
    return Task(
        packet=ERRAND,
        packet_path=packet,
        tree=tree,
        run_id=f"check-{os.getpid()}",
        program=errand_program(),
        experiment=1,
        seed=1,
        limits=_LIMITS,
        history=lambda: [],
        transcript=transcript,
        cancelled=lambda: False,
        sandbox=sandbox,
        cell=cell,
    )
