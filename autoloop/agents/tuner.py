"""An agent without a model: a search over the knobs that the program declares, with Optuna.

It remembers nothing. Each session builds the search anew from the run's journal, so that the same
history and seed give the same proposal. It never proposes what stands in the files or was tried before.
"""

import contextlib
import importlib.util
import itertools
import math
import random
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

from autoloop.agents.knobs import locate, read, rounded, turned, write
from autoloop.agents.profiles import Profile
from autoloop.agents.transcript import Transcript, notes_block
from autoloop.core.run.history import Parameter, Trial
from autoloop.core.run.program import Direction, Knob
from autoloop.core.session import Session, SessionFailure
from autoloop.errors import AutoloopError
from autoloop.ports import OnProgress, Task

MISSING = "the tuner needs Optuna"
HINT = 'Install it: pip install "autoloop-engine[tuner]"'
_RANDOM_FIRST = 5
"""Trials before the search begins to learn from them."""
_TOLD = 500
"""Trials that the search is told of, half the newest and half the best: its time grows with them."""
_ASKED = 20
_LISTABLE = 10_000
"""A space of up to so many settings is listed when the search keeps repeating itself."""

Setting = dict[str, Parameter]


class TunerAgent:
    """The agent `tuner`: sets the program's knobs to values that a search proposes."""

    @classmethod
    def from_profile(cls, profile: Profile, root: Path, environ: Mapping[str, str]) -> Self:
        """A tuner for any profile: it needs no settings, only Optuna."""
        if importlib.util.find_spec("optuna") is None:
            raise AutoloopError(MISSING, HINT)
        return cls()

    def run(self, task: Task, on_progress: OnProgress) -> Session:
        """Write one new setting to the files."""
        began = time.monotonic()
        try:
            setting, turned_knobs = _turn(task)
        except (AutoloopError, OSError) as error:
            message = error.message if isinstance(error, AutoloopError) else str(error)
            return self._session(began, failure=SessionFailure.EXITED, detail=message)
        except ImportError:
            return self._session(began, failure=SessionFailure.UNREACHABLE, detail=f"{MISSING}. {HINT}")
        said = "set " + ", ".join(f"{name}={setting[name]}" for name in turned_knobs)
        text = notes_block({"hypothesis": said})
        with Transcript(task, on_progress) as transcript:
            transcript.say("stdout", [said])
        return self._session(began, text=text, parameters=setting)

    def _session(self, began: float, **fields: Any) -> Session:
        return Session(seconds=time.monotonic() - began, cost_usd=0.0, tokens=0, **fields)


class _Turned(NamedTuple):
    setting: Setting
    names: list[str]
    """The knobs whose value is another one now."""


def _turn(task: Task) -> _Turned:
    """Choose a setting and write it to the files."""
    knobs = task.goal.knobs
    if not knobs:
        raise AutoloopError("the program declares no knobs")
    texts = {file: read(task.tree, file) for file in {knob.file: None for knob in knobs}}
    spots = locate(knobs, texts)
    present = {spot.knob.name: spot.value for spot in spots}
    search = _Search(knobs, task.goal.direction, task.seed, list(task.history()))
    setting = search.propose(present)
    for file, text in texts.items():
        write(task.tree, file, turned(text, [spot for spot in spots if spot.knob.file == file], setting))
    return _Turned(setting, [name for name, value in setting.items() if present.get(name) != value])


@dataclass
class _Search:
    knobs: Sequence[Knob]
    direction: Direction
    seed: int
    history: Sequence[Trial]
    taken: set[tuple[Parameter | None, ...]] = field(default_factory=set)

    def propose(self, present: Mapping[str, Parameter | None]) -> Setting:
        """A setting that is neither present nor tried."""
        settings: Iterable[Mapping[str, Parameter | None]] = (trial.parameters for trial in self.history)
        self.taken = {self._key(setting) for setting in (*settings, present)}
        proposals = itertools.chain(self._asked(), self._unasked())
        found = next((setting for setting in proposals if self._key(setting) not in self.taken), None)
        if found is None:
            raise AutoloopError("every setting of the knobs was tried, as far as the search can tell")
        return found

    def _key(self, setting: Mapping[str, Parameter | None]) -> tuple[Parameter | None, ...]:
        return tuple(setting.get(knob.name) for knob in self.knobs)

    def _asked(self) -> Iterator[Setting]:
        """Settings that Optuna proposes, one after the other."""
        space = {knob.name: _distribution(knob) for knob in self.knobs}
        study = self._study(space)
        for _ in range(_ASKED):
            trial = study.ask(space)
            yield {knob.name: rounded(knob, trial.params[knob.name]) for knob in self.knobs}
            study.tell(trial, state=_states().FAIL)

    def _study(self, space: Mapping[str, Any]) -> Any:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some of it calls itself experimental
            sampler = optuna.samplers.TPESampler(seed=self.seed, n_startup_trials=_RANDOM_FIRST, multivariate=True)
        lower = self.direction is Direction.LOWER
        study = optuna.create_study(sampler=sampler, direction="minimize" if lower else "maximize")
        for trial in self._told():
            with contextlib.suppress(ValueError):  # a setting of another agent, or outside the ranges
                study.add_trial(_as_optuna(trial, space))
        return study

    def _told(self) -> list[Trial]:
        """The trials that the search is told of: the newest, and the best of those before; oldest first."""
        older, newest = self.history[: -_TOLD // 2], self.history[-_TOLD // 2 :]
        sign = 1 if self.direction is Direction.LOWER else -1
        measured = [trial for trial in older if trial.metric is not None]
        best = sorted(measured, key=lambda trial: sign * (trial.metric or 0.0))[: _TOLD // 2]
        return [*sorted(best, key=lambda trial: trial.experiment), *newest]

    def _unasked(self) -> Iterator[Setting]:
        """Settings that Optuna did not propose: each that is left when they can be listed, else random ones."""
        chance = random.Random(self.seed)
        values = [_values(knob) for knob in self.knobs]
        if all(values) and math.prod(map(len, values)) <= _LISTABLE:
            listed = list(itertools.product(*values))
            chance.shuffle(listed)
            names = [knob.name for knob in self.knobs]
            yield from (dict(zip(names, setting, strict=True)) for setting in listed)
            return
        for _ in range(_LISTABLE):
            yield {knob.name: _random_value(knob, chance) for knob in self.knobs}


def _distribution(knob: Knob) -> Any:
    from optuna import distributions

    if knob.type == "choice":
        return distributions.CategoricalDistribution(knob.choices)
    if knob.type == "int":
        return distributions.IntDistribution(int(knob.low or 0), int(knob.high or 0), log=knob.log)
    return distributions.FloatDistribution(float(knob.low or 0), float(knob.high or 0), log=knob.log)


def _states() -> Any:
    from optuna.trial import TrialState

    return TrialState


def _as_optuna(trial: Trial, space: Mapping[str, Any]) -> Any:
    """A trial without a metric is pruned: the search takes it for worse than all that were measured."""
    from optuna.trial import create_trial

    state = _states().PRUNED if trial.metric is None else _states().COMPLETE
    return create_trial(params=trial.parameters, distributions=dict(space), value=trial.metric, state=state)


def _values(knob: Knob) -> Sequence[Parameter]:
    """Every value of a knob; none when they cannot be listed."""
    if knob.type == "choice":
        return knob.choices
    return range(int(knob.low or 0), int(knob.high or 0) + 1) if knob.type == "int" else ()


def _random_value(knob: Knob, chance: random.Random) -> Parameter:
    if values := _values(knob):
        return chance.choice(values)
    low, high = float(knob.low or 0), float(knob.high or 0)
    return rounded(knob, low * (high / low) ** chance.random() if knob.log else chance.uniform(low, high))
