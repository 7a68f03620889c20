"""The demo: what autoloop promises, tried within a minute and a half on a shipped example, without key or network.

Nothing in it is staged. The agent is a script, so what each edit is worth is known; every number is a measurement of
now and of this machine, and what does not come out as promised is told as it came. The repository is kept for the user.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoloop.config.places import cache_directory
from autoloop.core.run.events import Event, ExperimentStarted, Sampled, VerificationStarted
from autoloop.core.run.results import Row
from autoloop.demo.acts import Pointer, Say, Teller, last_words, where_to_look
from autoloop.demo.example import (
    AFTER_KILL,
    EXAMPLE,
    FEWEST,
    KILL_BY,
    LONGEST,
    MOST,
    DemoPart,
    adapt,
    others_begin_by,
    pace,
    plan,
    set_up,
    write_script,
)
from autoloop.demo.findings import Facts, Held, Killed
from autoloop.demo.process import Carried
from autoloop.git.repository import find
from autoloop.host.signals import Signals
from autoloop.ports import OnProgress, Progress
from autoloop.runs.control import stop
from autoloop.runs.find import status
from autoloop.runs.look import results
from autoloop.runs.start import program_of

SEED = 11
"""The same documents and coins every time; what is measured of them is another matter."""
_SAMPLES_BEFORE_KILL = 5
_TO_END = 3.0
"""Seconds that a run needs to end once its time is over."""


@dataclass(frozen=True)
class DemoOutcome:
    """The result of a demo, and the repository that it leaves."""

    root: Path
    """The demo's repository; it stays."""
    rows: tuple[Row, ...]
    """The results, the baseline first."""
    acts: Facts
    """What each act found."""
    kill: Killed | None
    """The kill and the resume; None when there was none."""
    status: dict[str, Any]
    """The status of the run; empty when none began."""
    seconds: float
    interrupted: bool
    where_to_look: tuple[Pointer, ...]
    """Commands in the order in which to type them."""

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines that a demo prints below its table of results."""
        return last_words(self.status, self.seconds, self.interrupted, self.where_to_look)

    def facts(self) -> Facts:
        """The numbers of the demo, for `--json`."""
        return {
            "repository": str(self.root),
            "seconds": round(self.seconds, 1),
            "interrupted": self.interrupted,
            "sandbox": self.status.get("sandbox"),
            **self.acts,
            "kill": self.kill.facts() if self.kill else None,
            "verified": self.status.get("verified"),
            "rows": [row.facts() for row in self.rows],
            "where_to_look": [pointer.command for pointer in self.where_to_look],
        }


def demo(
    on_progress: OnProgress,
    signals: Signals,
    environ: Mapping[str, str] = os.environ,
    directory: Path | None = None,
    on_line: Say = lambda line: None,
    *,
    most: int = MOST,
) -> DemoOutcome:
    """What autoloop promises, tried on a shipped example in a fresh directory that is kept; told line by line.

    `most` is how many edits that do nothing are tried where there is time for them.
    """
    began, environment = time.monotonic(), _environment(environ)
    root = set_up(directory)
    on_line("A small program that indexes words should use less processor time (cpu_ms).")
    on_line("Its agent is a script, so it is known what each edit is worth.")
    seconds = pace(root, environment)
    parts = adapt(root, plan(seconds, most))
    program, _ = program_of(find(root), root, EXAMPLE)
    teller = Teller(parts, program.criteria, on_line)
    run = Carried(root, EXAMPLE, environment)
    kill = DemoRun(run, teller, on_progress, lambda: signals.stop, began, seconds).play()
    facts = status(root) if run.directory else {}
    return DemoOutcome(
        root=root,
        rows=tuple(results(root)) if facts.get("baseline") is not None else (),
        acts=teller.facts(),
        kill=kill,
        status=facts,
        seconds=time.monotonic() - began,
        interrupted=signals.stop,
        where_to_look=where_to_look(root, teller.tried, facts, environ),
    )


@dataclass
class DemoRun:
    """The run of the demo, from its start over its kill to its end."""

    run: Carried
    teller: Teller
    on_progress: OnProgress
    stopped: Callable[[], bool]
    began: float
    pace: float
    experiment: int = 0
    samples: int = 0
    """Samples of that experiment so far."""
    taken: int = 0
    """Samples of the whole run."""
    sampling_since: float = 0.0

    def play(self) -> Killed | None:
        """Start the run, kill it, take it up and see it end; what became of the kill, if there was one."""
        self.teller.begin()
        try:
            self.run.start("--seed", str(SEED), "--max-experiments", str(len(self.teller.parts)))
            goes_on = self._follow(until=lambda: self._is_late() or self._is_time_to_kill())
            if goes_on and self._is_late():
                goes_on = self._make_room()
            kill = self._kill() if goes_on else None
        finally:
            self.run.end()
        if not self.stopped():
            self.teller.end()
        return kill

    def _follow(self, until: Callable[[], bool] = lambda: False) -> bool:
        """Tell what the run does until something is the case; False when the run or the time for it ended before."""
        for event in self.run.follow():
            if event is not None:
                self._note(event)
                self.teller.hear(event)
            if self.stopped() or self._elapsed > LONGEST:
                return False
            if until():
                return True
        return False

    def _note(self, event: Event) -> None:
        """Remember which experiment and sample the run is at."""
        match event:
            case ExperimentStarted(experiment=number):
                self.experiment, self.samples = number, 0
            case Sampled():
                self.samples, self.taken = self.samples + 1, self.taken + 1
                self.sampling_since = self.sampling_since or time.monotonic()
            case VerificationStarted():
                self.experiment, self.samples = 0, 0
            case _:
                return
        about = f"experiment {self.experiment} of {len(self.teller.parts)}, " if self.experiment else ""
        self.on_progress(Progress("measuring", self.experiment, f"{about}sample {self.samples + 1}"))

    def _is_late(self) -> bool:
        """Whether edits that do nothing take the time that the other acts need."""
        nothings = self.teller.parts.count(DemoPart.NOTHING)
        if not FEWEST <= self.experiment < nothings or not self.taken:
            return False
        return self._elapsed > others_begin_by((time.monotonic() - self.sampling_since) / self.taken)

    def _make_room(self) -> bool:
        """Go on with the next act, once the experiment in progress is over; whether the time to kill has come."""
        stop(self.run.root)
        self._follow()
        if self.stopped() or self._elapsed > LONGEST:
            return False
        self.teller.parts = write_script(self.run.root, self.experiment)
        self.run.start("--resume", "--max-experiments", str(len(self.teller.parts)))
        return self._follow(until=self._is_time_to_kill)

    def _is_time_to_kill(self) -> bool:
        if not self.experiment or not self.samples:
            return False
        chosen = self.teller.part_of(self.experiment) is DemoPart.KILLED and self.samples >= _SAMPLES_BEFORE_KILL
        return chosen or self._elapsed > KILL_BY

    def _kill(self) -> Killed:
        """Kill the run while a sample is taken, and resume it: what the journal held before, and after."""
        time.sleep(self.pace / 2)
        self.run.kill()
        before = self.run.journal()
        held = Held.of(before)
        left = min(AFTER_KILL, LONGEST - self._elapsed - _TO_END)
        hours = (status(self.run.root)["seconds"] + max(left, 1.0)) / 3600
        command = self.run.start("--resume", "--max-hours", f"{hours:.4f}")
        self.teller.killed(held, command)
        is_over = not self._follow() and not self.stopped()
        after = self.run.journal()
        found = Killed(held, command, lost=not after.startswith(before), twice=Held.of(after).twice)
        if is_over:
            self.teller.taken_up(found)
        return found

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self.began


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of the demo: settings of the user's own work have no say in it, nor has another Python."""
    personal = {"HOME", "XDG_CONFIG_HOME"}  # where an autoloop.toml is looked for
    kept = {name: value for name, value in environ.items() if name not in personal and not name.startswith("AUTOLOOP_")}
    return {
        **kept,
        "AUTOLOOP_CACHE_DIR": str(cache_directory(environ)),
        "PATH": f"{Path(sys.executable).parent}:{environ.get('PATH', '/usr/bin:/bin')}",
    }
