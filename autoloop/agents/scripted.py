"""An agent that does what a script says: the double for tests and demos.

Experiment n performs step n, so a resumed run sees the same agent. Beyond the last step it changes nothing.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from autoloop.agents import knobs
from autoloop.agents.command import CommandAgent
from autoloop.agents.profiles import Profile
from autoloop.agents.transcript import notes_block
from autoloop.config.fields import quoted, read_values, validated
from autoloop.core.model import Frozen
from autoloop.core.session import Session, SessionFailure
from autoloop.errors import AutoloopError
from autoloop.ports import OnProgress, Task

_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Write:
    """An action that writes a file of the tree."""

    __pydantic_config__ = _STRICT
    path: str
    text: str


@dataclass(frozen=True)
class Replace:
    """An action that replaces a text in a file, wherever it stands; it has to be there."""

    __pydantic_config__ = _STRICT
    path: str
    old: str
    new: str


@dataclass(frozen=True)
class Delete:
    """An action that deletes a file of the tree."""

    __pydantic_config__ = _STRICT
    path: str


@dataclass(frozen=True)
class Nothing:
    """An action that changes nothing in the tree."""

    __pydantic_config__ = _STRICT


@dataclass(frozen=True)
class Fail:
    """An action that ends the session with a failure; what was changed before it stays."""

    __pydantic_config__ = _STRICT
    failure: SessionFailure = SessionFailure.EXITED
    detail: str = ""


@dataclass(frozen=True)
class Shell:
    """An action that runs a command line in the tree, as the `command` agent does."""

    __pydantic_config__ = _STRICT
    command: str


Action = Write | Replace | Delete | Nothing | Fail | Shell | Callable[[Task], Session | None]
"""A function may edit `task.tree` as it likes; a session that it returns is taken as it is."""


@dataclass(frozen=True)
class ScriptedStep:
    """What one session does, one action after the other, and what it says of it."""

    actions: Sequence[Action] = ()
    hypothesis: str = ""
    why: str = ""
    avoid: tuple[str, ...] = ()
    next: tuple[str, ...] = ()
    cost_usd: float | None = None
    tokens: int | None = None

    def text(self) -> str:
        """The notes block; none when there is nothing to say."""
        notes = {name: getattr(self, name) for name in ("hypothesis", "why", "avoid", "next")}
        return notes_block(notes) if any(notes.values()) else ""


@dataclass(frozen=True)
class ScriptedAgent:
    """Performs its steps in order; each is an action, several of them, or a `Step`."""

    steps: Sequence[ScriptedStep | Action | Sequence[Action]]
    cycle: bool = False
    """Begin again after the last step."""
    env: Mapping[str, str] = field(default_factory=lambda: {"PATH": os.defpath}, repr=False)
    """What `Shell` commands find in their environment."""

    @classmethod
    def from_profile(cls, profile: Profile, root: Path, environ: Mapping[str, str]) -> "ScriptedAgent":
        """The steps of the profile's `script`, the path of a TOML file from the repository's root."""
        if not profile.script:
            raise AutoloopError(
                f'profile {quoted(profile.name)} has agent = "scripted" and no script',
                f'Add script = "steps.toml" under [profiles.{profile.name}].',
            )
        return read_script(root / profile.script, environ)

    def run(self, task: Task, on_progress: OnProgress) -> Session:
        """Perform the experiment's step; the first action that fails ends it."""
        began = time.monotonic()
        step = self._step(task.experiment)
        sessions = []
        for action in step.actions:
            sessions.append(self._perform(action, task, on_progress))
            if sessions[-1].failure:
                break
        last = sessions[-1] if sessions else Session(seconds=0)
        said = [*(session.text for session in sessions if session.text), step.text()]
        return last.model_copy(
            update={
                "seconds": time.monotonic() - began,
                "text": "\n".join(text for text in said if text),
                "cost_usd": last.cost_usd if step.cost_usd is None else step.cost_usd,
                "tokens": last.tokens if step.tokens is None else step.tokens,
            }
        )

    def _step(self, experiment: int) -> ScriptedStep:
        index = (experiment - 1) % len(self.steps) if self.cycle and self.steps else experiment - 1
        if index >= len(self.steps):
            return ScriptedStep()
        match self.steps[index]:
            case ScriptedStep() as step:
                return step
            case list() | tuple() as actions:
                return ScriptedStep(actions)
            case action:
                return ScriptedStep((action,))  # type: ignore[arg-type] # a Sequence that is neither list nor tuple

    def _perform(self, action: Action, task: Task, on_progress: OnProgress) -> Session:
        if isinstance(action, Shell):
            return CommandAgent(action.command, self.env).run(task, on_progress)
        if isinstance(action, Fail):
            return Session(seconds=0, failure=action.failure, detail=action.detail)
        try:
            return _edit(action, task) or Session(seconds=0)
        except (AutoloopError, OSError) as error:
            return Session(seconds=0, failure=SessionFailure.EXITED, detail=str(error))


def _edit(action: Action, task: Task) -> Session | None:
    match action:
        case Write(path, text):
            knobs.write(task.tree, path, text)
        case Replace(path, old, new):
            text = knobs.read(task.tree, path)
            if old not in text:
                raise AutoloopError(f"{path} does not hold {old!r}")
            knobs.write(task.tree, path, text.replace(old, new))
        case Delete(path):
            knobs.delete(task.tree, path)
        case Nothing() | Fail() | Shell():
            pass
        case function:
            return function(task)
    return None


_ACTIONS: dict[str, type] = {
    "write": Write,
    "replace": Replace,
    "delete": Delete,
    "nothing": Nothing,
    "fail": Fail,
    "shell": Shell,
}


class _StepTable(Frozen):
    actions: tuple[dict[str, Any], ...] = ()
    hypothesis: str = ""
    why: str = ""
    avoid: tuple[str, ...] = ()
    next: tuple[str, ...] = ()
    cost_usd: float | None = None
    tokens: int | None = None


class _Script(Frozen):
    cycle: bool = False
    steps: tuple[_StepTable, ...]


def read_script(path: Path, env: Mapping[str, str]) -> ScriptedAgent:
    """The agent of a TOML file: `[[steps]]` with the fields of `Step`, each action a table with its name in `do`."""
    script = validated(_Script, read_values(path, path.name), path.name)
    steps = [
        ScriptedStep(
            **dict(step) | {"actions": tuple(_action(f"{path.name}: step {number}", action) for action in step.actions)}
        )
        for number, step in enumerate(script.steps, 1)
    ]
    return ScriptedAgent(steps, script.cycle, env)


def _action(where: str, table: dict[str, Any]) -> Action:
    kind = _ACTIONS.get(str(table.get("do")))
    if kind is None:
        raise AutoloopError(f"{where}: do is {quoted(table.get('do'))}; allowed: {', '.join(_ACTIONS)}")
    fields = {name: value for name, value in table.items() if name != "do"}
    try:
        action: Action = TypeAdapter(kind).validate_python(fields)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise AutoloopError(f"{where}: {table['do']}: {field}: {first['msg']}") from error
    return action
