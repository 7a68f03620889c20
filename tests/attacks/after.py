"""What must hold after any attack, whatever it did."""

import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from autoloop import api
from autoloop.core.run.replay import replay
from autoloop.core.run.results import COLUMNS, Row
from autoloop.core.run.state import RunState
from autoloop.measure.seal import SealedProgram
from autoloop.runs.directory import RunDirectory
from autoloop.runs.record import read_events, read_record
from autoloop.runs.views import all_rows
from tests.attacks.attack import Attack
from tests.attacks.watch import Watch, survivors
from tests.attacks.world import LARGE, TOKEN, World, walk
from tests.real_git import git

KINDS = re.compile(
    r"run_started run_resumed (sampled )+baselined "
    r"(experiment_started session_ended captured (sampled )*decided ((sampled )*baselined )?){3}run_stopped"
)
HEADINGS = {
    "Goal", "Rules", "State", "Results so far", "Kept so far", "Diffs of recent discards", "Ideas backlog",
    "Cases that do not pass fully", "Diagnostics of the last measurement", "When you are done",
}  # fmt: skip


def broken(attack: Attack, world: World, watch: Watch) -> list[str]:
    """What does not hold."""
    directory = world.target.directory
    looks = (
        of_the_user(world),
        of_the_run(directory, watch),
        of_the_journal(directory),
        of_the_rows(attack, world),
        of_the_views(directory),
        of_the_packets(directory),
        of_secrets(world, directory),
        of_traces(world),
        (f"{what} outlived the run" for what in survivors(world)),
    )
    return [*watch.broken, *(found for look in looks for found in look)]


def of_the_user(world: World) -> Iterator[str]:
    """Checkout, git directory, home and remote are as they were."""
    now = world.look()
    for path in sorted(now.keys() | world.before.keys()):
        if now.get(path) != world.before.get(path):
            yield f"of the user's: {path}: {world.before.get(path)} -> {now.get(path)}"
    wrong = git(world.root, "fsck", "--connectivity-only", "--no-dangling")
    if wrong:
        yield f"the user's repository is damaged: {wrong}"


def of_the_run(directory: RunDirectory, watch: Watch) -> Iterator[str]:
    """The record and the seal are as they were."""
    if (directory.path / "run.json").read_bytes() != watch.record:
        yield "run.json was changed"
    yield from SealedProgram(directory.sealed, read_record(directory).seal).violations()
    for name in ("journal.jsonl", "run.json", "results.tsv"):
        if stat.S_IMODE((directory.path / name).lstat().st_mode) & 0o777 not in (0o644, 0o600):
            yield f"the mode of {name} was changed"


def of_the_journal(directory: RunDirectory) -> Iterator[str]:
    """One event for each step, in order, and nothing else."""
    events = list(read_events(directory.journal))
    kinds = " ".join(event.kind for event in events)
    if not KINDS.fullmatch(kinds):
        yield f"the journal reads: {kinds}"
    if [event.at for event in events] != sorted(event.at for event in events):
        yield "times in the journal go backwards"
    state = replay(events, RunState(read_record(directory).program.criteria))
    if state.stopped is None or state.stopped.reason != "max_experiments" or state.guidance or state.limits:
        yield f"the run was steered: {state.stopped}, {state.guidance!r}, {state.limits}"


def of_the_rows(attack: Attack, world: World) -> Iterator[str]:
    """No keep without a gain that shows outside, and later experiments are judged as without the attack."""
    rows = api.results(world.root)
    for row in rows[1:]:
        if row.status == "keep" and real_metric(world, row.commit) >= real_metric(world, f"{row.commit}~"):
            yield f"experiment {row.experiment} was kept, and measures no better outside"
    if tuple((row.reason, row.metric) for row in rows[2:]) != attack.later or rows[0].metric != attack.baseline:
        yield f"it came out as {[(row.reason, row.metric, row.why) for row in rows]}"


def real_metric(world: World, commit: str) -> float:
    """What anybody would measure who takes the commit and reads the number."""
    return float(git(world.root, "show", f"{commit}:code.py").splitlines()[0].removeprefix("x = "))


def of_the_views(directory: RunDirectory) -> Iterator[str]:
    """What people are shown is what the journal says, a line for each row, and no terminal can be moved by it."""
    lines = (directory.path / "results.tsv").read_text().split("\n")
    rows = all_rows(read_events(directory.journal), RunState(read_record(directory).program.criteria))
    if lines != ["\t".join(COLUMNS), *(row.to_tsv().rstrip("\n") for row in rows), ""]:
        yield f"results.tsv reads: {lines}"
    for name in ("results.tsv", "ideas.md", "state.json"):
        if odd := controls((directory.path / name).read_text(errors="replace")):
            yield f"{name} holds {odd!r}"


def of_the_packets(directory: RunDirectory) -> Iterator[str]:
    """What later agents are told has our headings alone, outside of fences."""
    for path in sorted(directory.path.glob("experiments/*/packet.md")):
        text = path.read_text(errors="replace")
        found = {line.lstrip("# ").partition(" (")[0] for line in outside_of_fences(text) if re.match(r"\s*#+ ", line)}
        if found - HEADINGS:
            yield f"the packet of experiment {path.parent.name} has headings {found - HEADINGS}"
        if odd := controls(text):
            yield f"the packet of experiment {path.parent.name} holds {odd!r}"
        if "Lower x." not in text:
            yield f"the packet of experiment {path.parent.name} has another goal"


def outside_of_fences(text: str) -> Iterator[str]:
    """The lines that stand in no code fence, by the rules of CommonMark."""
    fence = ""
    for line in re.split(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]", text):
        ticks = re.match(r" {0,3}(`{3,})([^`]*)$", line)
        if fence:
            if ticks and len(ticks[1]) >= len(fence) and not ticks[2].strip():
                fence = ""
        elif ticks:
            fence = ticks[1]
        else:
            yield line


def controls(text: str) -> str:
    """Characters that move a cursor or change the direction of a line."""
    return "".join(
        sorted(
            {char for char in text if not char.isprintable() and not char.isspace()}
            | set(text) & set("\r\v\f\u2028\u2029")
        )
    )


def of_secrets(world: World, directory: RunDirectory) -> Iterator[str]:
    """Nothing that is private has come to where an agent or a candidate could write."""
    planted = {
        f"{directory.path}/private.txt",
        f"{directory.sealed}/holdout/answers.txt",
        f"{world.cache}/20200101-000000-000aa/t/0/key.txt",
    }
    places = (str(world.root / ".autoloop"), str(world.cache))
    for path in (path for place in places for path in walk(place) if path not in planted):
        found = told(path) - ({"holdout"} if path.endswith("/journal.jsonl") else set())
        if found:
            yield f"a secret is in {path}: {found}"
    objects = git(world.root, "cat-file", "--batch-all-objects", "--batch", "--buffer")
    if TOKEN in objects:
        yield "a secret is in a commit"


def told(path: str) -> set[str]:
    """Which secrets a file tells. Nobody but people reads the journal, where the holdout's own words may stand."""
    info = os.lstat(path)
    if not stat.S_ISREG(info.st_mode) or info.st_size > LARGE:
        return set()
    return set(re.findall(rf"{TOKEN}-(\w+)", Path(path).read_bytes().decode(errors="replace")))


def of_traces(world: World) -> Iterator[str]:
    """Nothing is left where other programs would find it."""
    for place in ("/tmp", "/var/tmp", "/dev/shm", "/run"):
        for name in os.listdir(place) if os.access(place, os.R_OK) else ():
            if world.folder.name in name and f"{place}/{name}" != str(world.folder):
                yield f"{place}/{name} was left"
    for path in walk(str(world.cache)):
        if os.lstat(path).st_mode & (stat.S_ISUID | stat.S_ISGID) and not os.path.isdir(path):
            yield f"{path} runs with the rights of whoever owns it"


def report(rows: list[Row], found: list[str]) -> str:
    """What a test reads."""
    first = rows[1]
    flags = [flag.sign for flag in first.flags]
    return json.dumps({"reason": first.reason, "why": first.why, "flags": flags, "broken": found})
