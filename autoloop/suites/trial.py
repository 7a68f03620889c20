"""One trial from its order to its result: staged, worked on by the profile's agent, verified, recorded.

It is tried in a directory under the sandbox, or in a container of its own. `oracle` runs the task's reference solution
and `nop` does nothing: a suite in which the one does not pass, or the other does, is not right. Whatever fails around a
trial is an error, which says nothing of the agent.
"""

import os
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from string import Template

from autoloop.agents.make import make_agent
from autoloop.agents.profiles import Profile, Settings, choose, load_settings
from autoloop.agents.redaction import Redaction, secrets_of
from autoloop.config.dotenv import variables
from autoloop.config.fields import quoted
from autoloop.config.places import user_config
from autoloop.config.prompts import prompt
from autoloop.core.suite import grading
from autoloop.core.suite.grading import HostAbilities, TrialJudgement
from autoloop.core.suite.plan import NOP, ORACLE
from autoloop.core.suite.tasks import Outcome, Step, TrialOrder, TrialResult
from autoloop.errors import AutoloopError, as_fixable, is_full
from autoloop.ports import Agent, Network, Progress, Sandbox, Tier
from autoloop.sandbox import choose as tiers
from autoloop.sandbox.choose import Choice
from autoloop.sandbox.places import survey
from autoloop.suites.containers.engine import EngineFound, find_engine
from autoloop.suites.containers.sandbox import contained
from autoloop.suites.pace import NAME as PACE
from autoloop.suites.pace import SharedPace, TrialPace
from autoloop.suites.workspace.attempt import Attempt
from autoloop.suites.workspace.commands import Commands
from autoloop.suites.workspace.result import TrialRecords
from autoloop.suites.workspace.sessions import Nop, Oracle, Sessions
from autoloop.suites.workspace.workspace import Workspace

CLIENTS = ("claude", "codex", "opencode")
"""Agents whose processes call their service themselves, so that they cannot do without the network."""
CONTAINER: Tier = "container"
SLOT = "instruction"
"""The slot of a profile's `prompt`, when that is for trials."""
_PRIVATE = (".autoloop", ".autoauto", ".git", ".env")
"""Parts of the checkout that no trial sees, also where the rest shows."""
OnPhase = Callable[[str, str], None]


def run_trial(
    order: TrialOrder,
    *,
    bench: Path,
    root: Path,
    environ: Mapping[str, str],
    on_phase: OnPhase = lambda phase, text: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> TrialResult:
    """Take one trial. Who takes several keeps a `Trials`, which reads settings and tries out the sandbox once."""
    return Trials(bench, root, environ).run(order, on_phase, cancelled)


@dataclass(frozen=True)
class TrialPlace:
    """The place of a trial: its workspace, its sandbox, and its order."""

    order: TrialOrder
    """The order, without what an image holds already."""
    workspace: Workspace
    sandbox: Sandbox


class Trials:
    """Takes trials one by one; settings and sandbox are read once for all."""

    def __init__(self, bench: Path, root: Path, environ: Mapping[str, str]) -> None:
        self.bench, self.root, self.environ = bench.resolve(), root.resolve(), environ
        self.agents: dict[str, Agent] = {}
        self.choices: dict[str, Choice] = {}
        self.warned = False

    def run(
        self,
        order: TrialOrder,
        on_phase: OnPhase = lambda phase, text: None,
        cancelled: Callable[[], bool] = lambda: False,
        told: Callable[[], bool] = lambda: False,
        on_paced: Callable[[float], object] = lambda seconds: None,
    ) -> TrialResult:
        """Take one trial. `told` is whether a signal meanwhile asked every process here to end."""
        began = time.time()
        pace = TrialPace(SharedPace(self.bench / PACE, order.max_rpm), order.paid_calls, on_paced)
        kept = TrialRecords(Path(order.directory), self._redacted, began)
        attempt, tier = None, ""
        try:
            choice = self.sandbox(order.suite)
            here = there_is(order, choice, self.environ)
            tier = CONTAINER if grading.in_container(order, here) else choice.sandbox.tier
            if (missing := grading.unsupported(order, here)) is not None:
                judgement = missing
            else:
                place = self._place(order, choice, here, on_phase)
                attempt = self._attempt(place, pace, on_phase, cancelled)
                with closing(place.workspace):
                    judged = attempt.regraded() if order.regrade else attempt.judged()
                judgement = grading.unless_told(judged, told())
        except (AutoloopError, OSError) as error:
            judgement = _failed(error)
            kept.error = f"{error.hint}\n" if isinstance(error, AutoloopError) else traceback.format_exc()
        except Exception as error:  # an agent may be somebody else's class
            judgement = TrialJudgement(Outcome.ERROR, None, "fault", f"{type(error).__name__}: {error}")
            kept.error = traceback.format_exc()
        result = kept.result(order, judgement, attempt, tier=tier, bench=self.bench)
        pace.settle(result.turns or 0)
        return result

    def sandbox(self, suite: str) -> Choice:
        """What keeps the trials of a suite in bounds: the bench, the suite and the checkout are hidden."""
        if suite not in self.choices:
            self.bench.mkdir(parents=True, exist_ok=True)
            private = [path for path in self._private(suite) if path.exists()]
            places = survey(self.root, None, self.bench, self.environ, secret_paths=private)
            self.choices[suite] = tiers.choose(self.settings.sandbox, places, self.bench)
        return self.choices[suite]

    def _private(self, suite: str) -> list[Path]:
        """What no trial may see. A suite that is the checkout itself is hidden with it, but for the tools in it."""
        place = Path(suite).resolve()
        return [*([] if place == self.root else [place]), *(self.root / name for name in _PRIVATE)]

    @cached_property
    def settings(self) -> Settings:
        """Those of the checkout and the user. A trial names its profile, so no variable changes a field of it."""
        found = load_settings(self.root, self.environ, user_config(self.environ))
        return found.model_copy(update={"overrides": {}})

    @cached_property
    def _redacted(self) -> Redaction:
        return Redaction(secrets_of(variables(self.root, self.environ)))

    def _place(self, order: TrialOrder, choice: Choice, here: HostAbilities, on_phase: OnPhase) -> TrialPlace:
        """The place of a trial; what is wrong with the sandbox is said once."""
        place = place_of(order, choice, here, self.environ, self.bench, lambda text: on_phase("setup", text))
        if choice.warning and place.sandbox is choice.sandbox and not self.warned:
            self.warned = True
            on_phase("setup", choice.warning)
        return place

    def _attempt(self, place: TrialPlace, pace: TrialPace, on_phase: OnPhase, cancelled: Callable[[], bool]) -> Attempt:
        order, workspace, sandbox = place.order, place.workspace, place.sandbox
        task = order.task
        online: Network = "on" if task.network and order.network == "on" else "off"
        commands = Commands(workspace, sandbox, order.bench_id, self.environ, task.env, online, cancelled)
        profile = self._profile(order)
        sessions = Sessions(
            order,
            workspace,
            sandbox,
            cancelled,
            _AgentLines(on_phase),
            network="on" if task.network or (profile and profile.agent in CLIENTS) else "off",
            shows=self._shown(profile, order) if profile else (),
            root=str(self.root),
            pace=pace,
        )
        return Attempt(
            order,
            commands,
            sessions,
            agent=self._agent(order, profile, commands),
            name=profile.agent if profile else order.profile,
            packet=lambda step: self._packet(profile, step),
            say=on_phase,
        )

    def _profile(self, order: TrialOrder) -> Profile | None:
        """The profile, of which an unknown one is an error; None for those of a bench."""
        return None if order.profile in (ORACLE, NOP) else choose(self.settings, order.profile)

    def _agent(self, order: TrialOrder, profile: Profile | None, commands: Commands) -> Callable[[int], Agent]:
        """The agent of each step. No fallback takes over: another agent's work would count as this one's."""
        if profile is not None:
            made = self.agents.get(order.profile) or make_agent(profile, self.root, self.environ)
            self.agents[order.profile] = made
            return lambda number: made
        if order.profile == NOP:
            return lambda number: Nop()
        return lambda number: Oracle(order, commands, number)

    def _packet(self, profile: Profile | None, step: Step) -> str:
        """The instruction, in the profile's prompt when it has one."""
        if profile is None or not profile.prompt:
            return step.instruction

        text = prompt(profile.prompt, self.root).text
        found = set(Template(text).get_identifiers())
        if found != {SLOT} or not Template(text).is_valid():
            raise AutoloopError(
                f"the prompt {profile.prompt} of profile {quoted(profile.name)} has the slots {sorted(found)}",
                f"For a trial it needs one: ${SLOT}. Write $$ for a dollar sign.",
            )
        return Template(text).substitute({SLOT: step.instruction})

    def _shown(self, profile: Profile, order: TrialOrder) -> tuple[Path, ...]:
        """What the profile's agent may read of the checkout."""
        place, solution = Path(order.suite).resolve(), order.task.solution
        judging = [file for step in order.task.steps for file in step.verification.files]
        sources = [*judging, *(solution.files if solution else ())]
        private = [self.bench, *self._private(order.suite), *((place / file.source).resolve() for file in sources)]
        private += place.glob("*.json")
        shown = []
        for text in profile.reads:
            path = (self.root / text).resolve()
            if any(place.is_relative_to(path) or path.is_relative_to(place) for place in private):
                raise AutoloopError(
                    f"profile {quoted(profile.name)}: reads has {quoted(text)}, which shows what no trial may see",
                    "Name the files that the agent needs.",
                )
            shown.append(path)
        return tuple(shown)


class _AgentLines:
    """Passes on what an agent says, a few lines a second."""

    def __init__(self, on_phase: OnPhase) -> None:
        self.on_phase, self.told = on_phase, 0.0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self.told >= 0.2:
            self.told = now
            self.on_phase("agent", progress.text)


def _failed(error: AutoloopError | OSError) -> TrialJudgement:
    """The judgement of a trial when something around it failed."""
    fixable = as_fixable(error)
    full = isinstance(error, OSError) and is_full(error)
    detail = fixable.message if fixable else f"{type(error).__name__}: {error}"
    mode = "disk_full" if full else "unusable" if isinstance(error, AutoloopError) else "staging_failed"
    return TrialJudgement(Outcome.ERROR, None, mode, detail)


def there_is(order: TrialOrder, choice: Choice, environ: Mapping[str, str]) -> HostAbilities:
    """The abilities of this machine for a task; an engine is looked for only where one could be used."""
    found = find_engine(environ) if order.task.container and order.containers != "never" else EngineFound()
    rooted = choice.sandbox.tier == "bwrap"
    return HostAbilities(rooted, choice.warning, found.engine.name if found.engine else "", found.why)


def place_of(
    order: TrialOrder,
    choice: Choice,
    here: HostAbilities,
    environ: Mapping[str, str],
    bench: Path,
    say: Callable[[str], None],
) -> TrialPlace:
    """The place of a trial that can be tried here; AutoloopError where its image cannot be had."""
    engine = find_engine(environ).engine if grading.in_container(order, here) else None
    if engine is not None:
        made = contained(order, engine, bench, say)
        return TrialPlace(made.order, made.workspace, made.sandbox)
    workdir = Path(os.path.normpath(order.task.workdir))
    workspace = Workspace(Path(order.directory).resolve(), workdir, Path(order.suite), here.rooted)
    return TrialPlace(order, workspace, choice.sandbox)
