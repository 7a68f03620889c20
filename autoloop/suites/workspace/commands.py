"""Lines of bash in the workspace of a trial: its setup, its verifier, its reference solution.

Each is a fresh command: nothing of the agent's processes, home or variables is there any more. A suite's variables
reach the command in a room, and nothing else: the program that makes the room runs outside of it, and a variable can
lead its loader to any code (`LD_PRELOAD`) or it to another service (`DOCKER_HOST`), so it finds them under other names.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from autoloop import process
from autoloop.measure.cell import BASH
from autoloop.ports import Network, Room, Sandbox
from autoloop.process import Finished
from autoloop.process.environment import PASSED_ON
from autoloop.suites.workspace.workspace import Workspace

KEPT = 1 << 18
"""Bytes of each stream."""
_BEGAN = "[began]"
"""What a command says before anything else: a sandbox that could not be set up has not said it."""
_START = f'echo "{_BEGAN}"; exec "$0" -c "$1"'


@dataclass(frozen=True)
class Ran:
    """The result of a line of bash: its exit and its output."""

    done: Finished
    began: bool
    """False when the sandbox did not even start it."""

    @property
    def output(self) -> str:
        """The output of the line, errors behind the rest."""
        out = self.done.stdout.removeprefix(f"{_BEGAN}\n")
        return out + (f"\n[stderr]\n{self.done.stderr}" if self.done.stderr.strip() else "")

    @property
    def last_words(self) -> str:
        """The end of the line's output, in one line."""
        text = self.done.stderr.strip() or self.done.stdout.removeprefix(_BEGAN).strip()
        return text.splitlines()[-1].strip()[:300] if text else ""


@dataclass(frozen=True)
class Commands:
    """Runs lines of bash for one trial."""

    workspace: Workspace
    sandbox: Sandbox
    bench_id: str
    environ: Mapping[str, str] = field(repr=False)
    task_env: Mapping[str, str] = field(default_factory=dict)
    network: Network = "on"
    cancelled: Callable[[], bool] = lambda: False

    def run(
        self,
        line: str,
        home: str,
        *,
        deadline: float,
        env: Mapping[str, str] | None = None,
        logs: bool = False,
        user: str = "",
        on_output: Callable[[bytes], object] | None = None,
    ) -> Ran:
        """Run a line from the workdir."""
        cell = replace(self.workspace.cell(home, network=self.network, logs=logs, tracing=False), user=user)
        entered = self.sandbox.enter(cell)
        own = {"HOME": str(cell.home), **entered.env, "AUTOLOOP_RUN": self.bench_id}
        room = with_variables(replace(entered, env=own), {**self.task_env, **(env or {})})
        done = process.run(
            [*room.prefix, BASH, "-c", _START, BASH, line],
            cwd=room.cwd,
            env={**self._passed_on, **room.env},
            deadline=deadline,
            keep=KEPT,
            on_stdout=on_output,
            cancelled=self.cancelled,
            wrappers=room.wrappers,
        )
        return Ran(done, done.stdout.startswith(_BEGAN))

    @cached_property
    def _passed_on(self) -> dict[str, str]:
        known = process.absolute_paths(self.environ)
        return {name: value for name, value in known.items() if name in PASSED_ON or name.startswith("LC_")}


CARRIED = "INTO_THE_ROOM_"
"""The prefix of a variable's name on its way into a room."""
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def with_variables(room: Room, variables: Mapping[str, str]) -> Room:
    """The room with more variables; those of the room itself come first."""
    said = {name: value for name, value in variables.items() if name not in room.env}
    if not room.prefix or not said:
        return replace(room, env={**said, **room.env})
    carried = {name: value for name, value in said.items() if _NAME.fullmatch(name)}
    rest = {name: value for name, value in said.items() if name not in carried}  # no loader and no shell knows these
    given = " ".join(f'{name}="${CARRIED}{name}"' for name in carried)
    line = f'export {given}; unset {" ".join(f"{CARRIED}{name}" for name in carried)}; exec "$@"'
    return replace(
        room,
        prefix=(*room.prefix, *(("sh", "-c", line, "sh") if carried else ())),
        env={**rest, **{f"{CARRIED}{name}": value for name, value in carried.items()}, **room.env},
    )
