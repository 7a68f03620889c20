"""Runs a program's scripts, each in a cell: what it may see is its tree, the sealed program and its sample."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from autoloop import process
from autoloop.core.run.measurement import HOLDOUT, HOLDOUT_DATA, MEASURE, SCREEN
from autoloop.core.run.program import Program
from autoloop.measure.scripts import CASES
from autoloop.measure.seal import Protected, SealedProgram
from autoloop.ports import Cell, Room, Sandbox
from autoloop.process.environment import PASSED_ON
from autoloop.sandbox.none import NoSandbox, emptied

PREPARE = "prepare.sh"
_MEASURING = (MEASURE, SCREEN, HOLDOUT)
BASH = next((path for path in ("/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash") if os.path.exists(path)), "bash")
"""Bash by its path: what PATH has first may lie in the tree."""


@dataclass(frozen=True)
class Confined:
    """How the scripts of one run are started."""

    program: Program
    sealed: SealedProgram
    run_id: str
    environ: Mapping[str, str]
    homes: Path
    """The directory of private homes, one for each tree."""
    holdout_paths: tuple[Path, ...] = ()
    """What only `holdout.sh` can see, beside its part of the program."""
    sandbox: Sandbox = field(default_factory=NoSandbox)
    loopback: tuple[str, ...] = ()
    """What stands before a command that shares a loopback with the run's services."""
    cancelled: Callable[[], bool] = lambda: False

    def run(
        self,
        script: Sequence[str],
        tree: Path,
        home: str,
        *,
        limit_ms: int,
        values: Mapping[str, str] | None = None,
        sample: Path | None = None,
        on_stdout: Callable[[bytes], object] | None = None,
    ) -> process.Finished:
        """Run a sealed script in a tree; `sample` is the directory that it may write beside it."""
        name, *arguments = script
        # What one command leaves at home must not reach the next: start-up files of its tools, for one.
        self.empty_home(home)
        room = self.sandbox.enter(self._cell(name, tree, home, sample))
        environment = {**self.environment(tree, room), **(values or {})}
        if sample is not None:
            seen = room.seen(sample)
            environment |= {"AUTOLOOP_SAMPLE_DIR": str(seen), "AUTOLOOP_DIAGNOSTICS": str(seen / "diagnostics")}
            if (sample / CASES).exists():
                environment["AUTOLOOP_CASES"] = str(seen / CASES)
        before = (*(self.loopback if name != PREPARE else ()), *room.prefix)
        return process.run(
            [*before, BASH, room.seen(self.sealed.directory / name), *arguments],
            cwd=room.cwd,
            env={**environment, **room.env},
            deadline=limit_ms / 1000 if limit_ms else None,
            on_stdout=on_stdout,
            cancelled=self.cancelled,
            wrappers=room.wrappers,
        )

    def environment(self, tree: Path, room: Room | None = None) -> dict[str, str]:
        """The variables of every script: an allow-list, so that a measurement depends on nothing else."""
        seen = room.seen if room else lambda path: path
        return {
            **self._passed_on,
            "AUTOLOOP_PROGRAM_DIR": str(seen(self.sealed.directory)),
            "AUTOLOOP_TREE": str(seen(tree)),
            "AUTOLOOP_RUN": self.run_id,
        }

    def empty_home(self, name: str) -> None:
        """Empty a private home of what was left in it."""
        if self.sandbox.tier != "none":
            emptied(self.homes / name)

    def _cell(self, script: str, tree: Path, home: str, sample: Path | None) -> Cell:
        measuring, holding = self.program.measuring, script == HOLDOUT
        return Cell(
            tree=tree,
            home=self.homes / home,
            reads=(self.sealed.directory,),
            writes=(sample,) if sample else (),
            hides=() if holding else tuple(self._withheld),
            shows=tuple(path for path in self.holdout_paths if path.exists()) if holding else (),
            # What prepares fetches what the tree needs; what is measured has the network that the program says.
            network="on" if script == PREPARE or self.loopback else measuring.measure_network,
            devices=measuring.devices,
            sockets=measuring.sockets,
            # What decides must not be changed by what it starts; what prepares is the user's own.
            tracing=measuring.measure_tracing or script == PREPARE,
            fixed=self._fixed if script in _MEASURING else (),
        )

    @cached_property
    def _fixed(self) -> tuple[Path, ...]:
        """The places where protected files may be, from a tree's root."""
        return tuple(Path(root) for root in Protected(self.program.scope.protected).roots if root)

    @cached_property
    def _withheld(self) -> list[Path]:
        places: Iterator[Path] = (self.sealed.directory / name for name in (HOLDOUT, HOLDOUT_DATA))
        return [path for path in places if path.exists()]

    @cached_property
    def _passed_on(self) -> dict[str, str]:
        allowed = {*PASSED_ON, *self.program.measuring.measure_env}
        known = process.absolute_paths(self.environ)
        return {name: value for name, value in known.items() if name in allowed or name.startswith("LC_")}
