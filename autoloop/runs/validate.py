"""Whether a program can be measured, and what the measurement can tell apart, before a night is spent on it.

The same script runs in the checkout, then with only the variables that a measurement gets, then in a tree
of its own. The first place that differs is named, with the field that fixes it. Then the commit is measured
against itself in pairs, as a run's calibration does; `core.validation` says what these samples show.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from autoloop.agents.profiles import load_settings
from autoloop.config.places import user_config
from autoloop.config.programs import holdout_parts
from autoloop.core.run.calibration import calibration_wanted
from autoloop.core.run.decision import broken_gates
from autoloop.core.run.measurement import (
    HOLDOUT,
    MEASURE,
    Arm,
    Measurement,
    MeasurementFailure,
    Sample,
    Series,
    Taken,
    Wanted,
)
from autoloop.core.run.plausible import too_fast
from autoloop.core.run.program import Program
from autoloop.core.run.rules import next_pair, open_pair
from autoloop.core.run.state import CALIBRATION
from autoloop.core.seeds import seed_for
from autoloop.core.validation.findings import Validation, validated
from autoloop.core.validation.outlook import Timing
from autoloop.core.validation.stability import Reruns
from autoloop.errors import AutoloopError
from autoloop.git.git_trees import GitTrees
from autoloop.git.homes import occupied
from autoloop.git.repository import Repository, last_commit_of
from autoloop.measure.canary import check_canary, linked_environments, spoiler
from autoloop.measure.prepare import require_room, services
from autoloop.measure.sampler import SlotSampler
from autoloop.measure.seal import SealedProgram, seal
from autoloop.ports import OnProgress, Progress, Request, Sandbox
from autoloop.runs.confine import HOMES, cautions, sandbox_for, tree_options, withheld
from autoloop.runs.context import RunContext
from autoloop.runs.first_difference import Differing
from autoloop.runs.start import program_of

_FEWEST_PAIRS = 3
_SEED = 20
"""The same coins and seeds each time, so that two validations differ by what was measured alone."""


def validate(
    path: Path, slug: str, *, runs: int = 10, on_progress: OnProgress, environ: Mapping[str, str] = os.environ
) -> Validation:
    """Measure here and there, and say what can be resolved. AutoloopError names the first place that fails."""
    context = RunContext.at(path, environ, on_progress)
    repository = context.repository
    program, source = program_of(repository, path, slug)
    wanted = load_settings(context.root, environ, user_config(environ)).sandbox
    choice = sandbox_for(wanted, context, program)
    with (
        _workshop(context, program, source, choice.sandbox) as (sampler, trees, home),
        services(sampler, repository.root),
    ):
        differing = Differing(context, sampler, home)
        here = differing.in_checkout()
        opening = trees.open(repository.head)
        require_room(opening.bytes_needed, home)
        differing.prepare()
        taking = _Taking(differing, max(runs, _FEWEST_PAIRS), here is not None)
        first = taking.take_first()
        if program.measuring.canary:
            on_progress(Progress("canary", text="measuring without the editable files"))
            _ask_canary(context, program, sampler, trees)
        taking.warm_up(program.measuring.warmup)
        series = taking.take_pairs()
        samples = (*series.of(Arm.BASELINE), *series.of(Arm.CANDIDATE))
        differences = differing.from_checkout(here, samples)
        taking.try_holdout()
    warnings = (*opening.warnings, *differences, *_broken_gates(program, samples), *_betrayed(repository, program))
    return validated(
        program,
        _reruns(series, taking.cold, program),
        Timing(tuple(sample.seconds for sample in (first, *samples)), taking.ready_seconds),
        has_cases=any(sample.cases for sample in samples),
        sandbox=choice.sandbox.tier,
        warnings=warnings,
        cautions=cautions(choice, program),
    )


@dataclass
class _Taking:
    """Takes the samples of the start commit, in both slots."""

    differing: Differing
    runs: int
    works_in_checkout: bool
    series: Series = field(default_factory=Series)
    cold: list[Sample] = field(default_factory=list)
    """The first sample of each slot that is warmed up."""
    ready_seconds: float = 0.0

    def take_first(self) -> Sample:
        """One sample in a tree, which shows whether there can be any, and what building costs."""
        began = time.monotonic()
        sample = self._take(Wanted(arm=Arm.BASELINE, index=0), "the first sample in a tree of its own")
        self.ready_seconds = max(time.monotonic() - began - sample.seconds, 0.0)
        self.cold.append(sample)
        return sample

    def warm_up(self, samples: int) -> None:
        """What a run would throw away; the first sample above was the first of these."""
        for arm in (Arm.BASELINE, Arm.CANDIDATE):
            for index in range(1 if arm is Arm.BASELINE else 0, samples):
                warm = self._take(Wanted(arm=arm, index=0), "a warm-up sample")
                self.cold += [warm] if index == 0 else []

    def take_pairs(self) -> Series:
        """Pairs in both slots as at the start of a run: the order by coins, one seed a pair, fewer when slow."""
        while (wanted := self._wanted()) is not None:
            said = f"pair {wanted.index + 1} of {self.runs} at most, the same commit in both trees"
            self.series = self.series.plus(Taken(wanted=wanted, result=self._take(wanted, said)))
        return self.series

    def try_holdout(self) -> None:
        """One sample of a holdout: it runs only before a keep, and would discard every gain if it failed then."""
        sampler, head = self.differing.sampler, self.differing.context.repository.head
        if not sampler.program.has(HOLDOUT):
            return
        self.differing.context.on_progress(Progress("validating", text="a sample of the holdout"))
        request = Request(head, head, Arm.BASELINE, HOLDOUT, seed=_SEED, key="validate-holdout")
        result = sampler.sample(request, self.differing.context.on_progress)
        if isinstance(result, MeasurementFailure):
            said = f"holdout.sh cannot measure the code as it is, so every gain would be discarded: {result.detail}"
            raise AutoloopError(said, "Its data belongs into `holdout/` beside it, or is named in `holdout_paths`.")

    def _wanted(self) -> Wanted | None:
        unfinished = open_pair(self.series, _SEED, CALIBRATION)
        if unfinished is not None:
            return unfinished
        pairs = zip(self.series.of(Arm.BASELINE), self.series.of(Arm.CANDIDATE), strict=True)
        seconds = [one.seconds + other.seconds for one, other in pairs]
        more = calibration_wanted(seconds, pairs=self.runs, repeats=1, threshold_given=False)
        return next_pair(self.series, _SEED, CALIBRATION) if more else None

    def _take(self, wanted: Wanted, said: str) -> Sample:
        sampler, say = self.differing.sampler, self.differing.context.on_progress
        say(Progress("validating", text=said))
        head, seed = self.differing.context.repository.head, seed_for(_SEED, CALIBRATION, wanted.index)
        request = Request(head, head, wanted.arm, MEASURE, seed=seed, key=f"validate-{wanted.arm}-{wanted.index}")
        result = sampler.sample(request, say)
        if isinstance(result, MeasurementFailure):
            raise self._why(result, wanted.arm)
        if fast := too_fast([result], sampler.program.criteria):
            hint = "Lower min_sample_ms to a tenth of what a sample takes, or leave it out."
            raise AutoloopError(f"the code as it is seems too fast to be true: {fast}", hint)
        return result

    def _why(self, failure: MeasurementFailure, arm: Arm) -> AutoloopError:
        taken = len(self.series.taken) + len(self.cold)
        if not taken:
            return self.differing.first_failure(failure.detail, self.works_in_checkout)
        if arm is Arm.CANDIDATE and not self.series.of(arm):
            hint = "Look for what two trees cannot share: a port, a lock, a file outside of the tree, a path."
            said = f"measure.sh works in one tree, and not in a second one of the same commit: {failure.detail}"
            return AutoloopError(said, hint)
        hint = "A candidate would be discarded for such a failure. Let measure.sh try again, or fail for a reason."
        return AutoloopError(f"measure.sh fails now and then; after {taken} good samples: {failure.detail}", hint)


def _reruns(series: Series, cold: list[Sample], program: Program) -> Reruns:
    name = program.criteria.metric_field
    first, second = (tuple(sample.metrics[name] for sample in series.of(arm)) for arm in (Arm.BASELINE, Arm.CANDIDATE))
    return Reruns(first, second, tuple(sample.metrics[name] for sample in cold))


def _broken_gates(program: Program, samples: tuple[Sample, ...]) -> list[str]:
    medians = Measurement(samples).medians()
    broken = broken_gates(program.criteria, medians, medians)
    return [f"the code as it is breaks a quality gate: {text}" for text in broken]


def _betrayed(repository: Repository, program: Program) -> list[str]:
    """Files of the holdout that git still has in its history, where an agent can read them."""
    parts = (path for path in holdout_parts(program, [program.directory]) if not path.startswith(("/", "~", "..")))
    found = ((path, last_commit_of(repository, path)) for path in parts)
    return [
        f"{path} is in the history of git ({commit}), where an agent can read it: take other data for the holdout"
        for path, commit in found
        if commit
    ]


def _ask_canary(context: RunContext, program: Program, sampler: SlotSampler, trees: GitTrees) -> None:
    scripts, root = sampler.sealed.directory, context.root
    texts = "\n".join((scripts / name).read_text(errors="replace") for name in program.scripts)
    links = linked_environments(root, program.scope.share_paths, context.environ)

    def measure(removed: Callable[[str], bool] | None) -> Sample | MeasurementFailure:
        return sampler.sample_without(context.repository.head, removed, spoiler(trees))

    check_canary(program, measure, texts, links, root)


@contextmanager
def _workshop(
    context: RunContext, program: Program, source: Path, sandbox: Sandbox
) -> Iterator[tuple[SlotSampler, GitTrees, Path]]:
    """Trees and a sealed copy of the program, which are removed afterwards."""
    name = f"validate-{secrets.token_hex(4)}"
    home = context.cache / name
    trees = GitTrees(context.repository, home, name, f"autoloop/{name}", tree_options(program, sandbox.tier))
    sealed = home.with_name(f"{name}-sealed") / "program"
    sealed.parent.mkdir(parents=True)
    # Warm-up samples are taken by hand, because they show what a cold start does.
    unwarmed = program.model_copy(update={"measuring": program.measuring.model_copy(update={"warmup": 0})})
    sampler = SlotSampler(
        unwarmed,
        trees,
        SealedProgram(sealed, seal(source, sealed)),
        sealed.parent / "scratch",
        name,
        context.environ,
        homes=home / HOMES,
        sandbox=sandbox,
        holdout_paths=withheld(context, program),
    )
    with occupied(home, context.root):
        try:
            yield sampler, trees, home
        finally:
            sampler.close()
            trees.forget(pins=True)
            shutil.rmtree(sealed.parent, ignore_errors=True)
