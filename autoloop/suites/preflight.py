"""Before a bench: is there room, a sandbox, and does every arm's model answer? Writes nothing and starts nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from autoloop.agents.probe import ask, probe
from autoloop.agents.profiles import Profile, choose, load_settings
from autoloop.config.places import user_config
from autoloop.core.suite.plan import BUILT_IN, ArmPlan, BenchConfig
from autoloop.core.text import listed
from autoloop.errors import AutoloopError
from autoloop.host.context import Context
from autoloop.host.machine import free_gb
from autoloop.ports import Progress
from autoloop.suites.trial import Trials

PATIENCE = 60.0
"""Seconds for an answer: a local server has to load its model first."""
_SHIPPED = ("claude-code", "codex", "opencode", "anthropic", *BUILT_IN)
"""Profiles that every bench has, without a word in any file."""


@dataclass(frozen=True)
class Preflight:
    """The checks that must pass before a bench begins, or is resumed."""

    config: BenchConfig
    arms: Sequence[ArmPlan]
    place: Path
    """The directory of the results."""
    context: Context

    def require(self, asked: Sequence[ArmPlan], patience: float = PATIENCE) -> dict[str, Profile]:
        """Refuse what would fail at the first trial. The models of `asked` are asked for a token each.

        The profile of each arm that has one.
        """
        self._require_room()
        profiles = self._require_usable()
        self._require_sandbox()
        self._require_answers({arm.name: profiles[arm.name] for arm in asked if arm.name in profiles}, patience)
        return profiles

    def _require_room(self) -> None:
        if (free := free_gb(self.place)) < self.config.min_free_gb:
            said = f"{free:.1f} GB are free for {self.place}, below min_free_gb of {self.config.min_free_gb:g}"
            raise AutoloopError(said, "Make room, choose another output, or lower --min-free-gb.")

    def _require_usable(self) -> dict[str, Profile]:
        """The profiles of the arms that have one, each known and with all that it needs."""
        settings = load_settings(self.context.root, self.context.environ, user_config(self.context.environ))
        own = [arm for arm in self.arms if arm.profile not in BUILT_IN]
        profiles = {arm.name: choose(settings, arm.profile, shipped=_SHIPPED) for arm in own}
        found = {name: probe(profile, self.context.root, self.context.environ) for name, profile in profiles.items()}
        self._refuse({name: (one.problem, one.remedy) for name, one in found.items() if not one.usable})
        return profiles

    def _require_sandbox(self) -> None:
        with TemporaryDirectory() as scratch:
            choice = Trials(Path(scratch), self.context.root, self.context.environ).sandbox(self.config.suite)
        if choice.warning:
            self.context.on_progress(Progress("warning", text=choice.warning))

    def _require_answers(self, profiles: Mapping[str, Profile], patience: float) -> None:
        silent: dict[str, tuple[str, str]] = {}
        for name, profile in profiles.items():
            found = ask(profile, self.context.root, self.context.environ, patience)
            if found is None:
                continue
            if not found.problem:
                self.context.on_progress(Progress("notice", text=f"{name} answers, {found.seconds:.1f} s"))
            elif found.passes:
                self.context.on_progress(Progress("warning", text=f"{name} is there, but busy: {found.problem}"))
            else:
                silent[name] = (found.problem, found.remedy)
        self._refuse(silent)

    def _refuse(self, problems: Mapping[str, tuple[str, str]]) -> None:
        """One arm in one sentence; several in a line each."""
        profiles = {arm.name: arm.profile for arm in self.arms}
        if len(problems) == 1:
            ((name, (problem, remedy)),) = problems.items()
            raise AutoloopError(f"{profiles[name]} cannot be used: {problem}", remedy)
        for name, (problem, remedy) in problems.items():
            self.context.on_progress(Progress("warning", text=f"{profiles[name]} cannot be used: {problem}. {remedy}"))
        if problems:
            said = f"{len(problems)} of {len(self.arms)} arms cannot be used: {listed(sorted(problems))}"
            raise AutoloopError(said, "What each lacks stands above. Fix it, or leave the arm out.")
