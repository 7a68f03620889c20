"""The demo's example: a repository of its own, a program that measures it, and a script of edits for an agent.

The edits ship beside the program, each under what it is: so it is known what each is worth before anything is measured.
`plan` says how many of them fit, so that the demo is over in time on this machine: pure, from seconds to numbers.
"""

import json
import shutil
import tempfile
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from statistics import median

from autoloop import process
from autoloop.config.prompts import shipped
from autoloop.errors import AutoloopError
from autoloop.git.command import Git, bare_environment
from autoloop.git.homes import DEMO

EXAMPLE = "word-index"
BRANCH = "main"

_PROJECT = "project"
_EDITS = "demo.toml"
_LITTER = shutil.ignore_patterns("__pycache__", "*.pyc")
_OWN = ".autoloop"
_SCRIPT = f"{_OWN}/edits.json"
_SETTINGS = f"""\
# Who proposes the changes of the demo: a script. In a repository of your own a coding agent stands here.
default_profile = "script"

[profiles.script]
agent = "scripted"
script = "{_SCRIPT}"
"""
_TRIALS = 4
_DEADLINE = 20.0
"""Seconds for one sample of a tenth of a second or two: whatever takes longer is no machine for a demo."""


def set_up(directory: Path | None = None) -> Path:
    """A repository with the example's project and program, committed; in a temporary directory unless one is named."""
    example = shipped("programs") / EXAMPLE
    if not (example / _PROJECT).is_dir():
        raise AutoloopError(f"the example {EXAMPLE} is not in {example}", "Install autoloop again: files are missing.")
    root = _fresh(directory)
    try:
        shutil.copytree(example / _PROJECT, root, ignore=_LITTER, dirs_exist_ok=True)
        shutil.copytree(example, root / "programs" / EXAMPLE, ignore=_program_only)
        (root / "autoloop.toml").write_text(_SETTINGS)
    except (OSError, shutil.Error) as error:
        raise AutoloopError(f"the demo cannot be written to {root}: {error}", "Name another directory.") from error
    git = Git(root, bare_environment())
    git("-c", f"init.defaultBranch={BRANCH}", "init", "--quiet")
    with (root / ".git/info/exclude").open("a") as exclude:
        exclude.write(f"/{_OWN}/\n")
    git("add", "--all")
    git("commit", "--quiet", "--no-verify", "--message", "An index of words, and a program that measures it")
    return root


class DemoPart(StrEnum):
    """The kind of an edit in the demo's script."""

    NOTHING = "nothing"
    GAIN = "gain"
    CHEAT = "cheat"
    KILLED = "killed"
    """A gain as well; the run is killed while it is measured."""


@dataclass(frozen=True)
class DemoPlan:
    """The amount of measuring that fits into a demo."""

    nothings: int
    """Edits that do nothing."""
    calibration_pairs: int

    @property
    def is_slow(self) -> bool:
        """Whether calibration must do with less than it usually has."""
        return self.calibration_pairs < _PAIRS


def adapt(root: Path, plan: DemoPlan) -> tuple[DemoPart, ...]:
    """Make program and script take as long as there is time; what each experiment's edit is, in their order."""
    if plan.is_slow:
        config = root / "programs" / EXAMPLE / "config.toml"
        config.write_text(f"calibration_pairs = {plan.calibration_pairs}\n{config.read_text()}")
        Git(root, bare_environment())(
            "commit", "--quiet", "--no-verify", "--all", "--message", "Calibrate in less time"
        )
    return write_script(root, plan.nothings)


def write_script(root: Path, nothings: int) -> tuple[DemoPart, ...]:
    """Write what the agent will do, with so many edits that do nothing; what each experiment's edit is."""
    tables = tomllib.loads((shipped("programs") / EXAMPLE / _EDITS).read_text())
    tables[DemoPart.NOTHING] = tables[DemoPart.NOTHING][:nothings]
    (root / _OWN).mkdir(exist_ok=True)
    (root / _SCRIPT).write_text(json.dumps({"steps": [step for part in DemoPart for step in tables[part]]}, indent=1))
    return tuple(part for part in DemoPart for _ in tables[part])


def pace(root: Path, environ: Mapping[str, str]) -> float:
    """Seconds that one sample takes on this machine: the length of the demo is planned by it."""
    seconds = []
    for _ in range(_TRIALS):
        began = time.monotonic()
        done = process.run(
            ["bash", f"programs/{EXAMPLE}/measure.sh"], cwd=root, env=environ, deadline=_DEADLINE, keep=1 << 12
        )
        if not done.ok:
            said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.exit_code}").splitlines()[-1]
            hint = f"Try it: `cd {root} && bash programs/{EXAMPLE}/measure.sh`."
            raise AutoloopError(f"the example cannot be measured here: {said[:200]}", hint)
        seconds.append(time.monotonic() - began)
    return median(seconds[1:])


def _fresh(directory: Path | None) -> Path:
    try:
        if directory is None:
            return Path(tempfile.mkdtemp(prefix=DEMO)).resolve()
        directory.mkdir(parents=True, exist_ok=True)
        taken = any(directory.iterdir())
    except OSError as error:
        where = directory or tempfile.gettempdir()
        raise AutoloopError(f"no directory for the demo at {where}: {error.strerror}", "Name another one.") from error
    if taken:
        raise AutoloopError(f"{directory} is not empty", "Name a new directory for the demo, or none.")
    return directory.resolve()


def _program_only(directory: str, names: list[str]) -> set[str]:
    return {name for name in names if name in (_PROJECT, _EDITS)} | _LITTER(directory, names)


LONGEST = 85.0
"""Seconds after which the demo ends whatever is still to do."""
KILL_BY = 64.0
"""Seconds after which the run is killed wherever it is."""
AFTER_KILL = 25.0
"""Seconds that the run may take for all that comes after."""
FEWEST, MOST = 4, 8
"""Edits that do nothing."""

_PLANNED = 60.0
"""Seconds that are planned with: machines are seldom as quick all the time as they were for a moment."""
_AROUND = 0.06
"""Seconds around each sample: sandbox, seal, journal."""
_STARTS = 5.0
"""Seconds to set up, to start and to start again."""
_PAIRS, _FEWER_PAIRS = 10, 5
"""Pairs of calibration, and fewer of them on a slow machine."""
_SLOW = 0.5
"""Seconds of a sample that ask for fewer."""
_NOTHING = 13
"""Samples' time that an edit that does nothing takes, with its checks and its warm-up."""
_OTHERS = 60
"""Samples' time of everything else but calibration."""


def others_begin_by(each: float) -> float:
    """Seconds after which edits that do nothing must make room, when a sample has taken so many seconds so far."""
    return LONGEST - _STARTS - _OTHERS * each


def plan(pace: float, most: int = MOST) -> DemoPlan:
    """The demo that fits, when one sample takes so many seconds; with at most `most` edits that do nothing."""
    pairs = _PAIRS if pace < _SLOW else _FEWER_PAIRS
    each = pace + _AROUND
    left = _PLANNED - _STARTS - each * (2 * pairs + _OTHERS)
    return DemoPlan(min(most, max(FEWEST, int(left / (each * _NOTHING)))), pairs)
