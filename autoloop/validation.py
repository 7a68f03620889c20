"""Whether a program can be measured, and what the measurement can tell apart, before a night is spent on it.

The same script runs in the checkout, then with only the variables that a measurement gets, then in a tree
of its own. The first place that differs is named, with the field that mends it.
"""

import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from autoloop.bench import SlotBench
from autoloop.canary import check_canary, linked_environments, spoiler
from autoloop.core.calibration import calibrate, detectable_beyond
from autoloop.core.decision import broken_gates
from autoloop.core.measurement import MEASURE, Arm, Measurement, MeasurementFailure, Sample
from autoloop.core.program import Program
from autoloop.creation import cache_directory
from autoloop.errors import AutoloopError
from autoloop.ports import OnProgress, Progress, Request
from autoloop.preparation import Services, prepare_trees, require_room
from autoloop.repository import Repository, untracked_places
from autoloop.seal import SealedProgram, seal
from autoloop.trees import GitTrees, TreeOptions

_FAR_APART = 0.2
"""A relative difference between checkout and tree that is worth a word."""


@dataclass(frozen=True)
class Validation:
    """What was seen and what follows from it."""

    program: str
    metric_field: str
    values: tuple[float, ...]
    """The metric of each sample in a tree, in the order taken."""
    seconds_per_sample: float
    spread: float
    """Relative standard deviation of one sample."""
    threshold: float
    """The noise threshold in force: the program's, or the calibrated one."""
    resolvable: float
    """The relative gain that is found in 9 of 10 cases."""
    seconds_per_experiment: float
    """Measuring alone, without agent, checks and build."""
    false_keeps: float
    """To expect in a run of `max_experiments` when no change does anything."""
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {**vars(self), "values": list(self.values), "warnings": list(self.warnings)}

    def lines(self) -> tuple[str, ...]:
        """For people."""
        span = f"{min(self.values):.6g} to {max(self.values):.6g}"
        noise = (
            "no spread at all: the metric looks deterministic"
            if self.spread == 0
            else f"a spread of {100 * self.spread:.2g} %"
        )
        return (
            f"{self.metric_field}: {median(self.values):.6g} ({span} in {len(self.values)} samples), {noise}",
            f"noise threshold: {100 * self.threshold:.2g} %; a gain of {100 * self.resolvable:.2g} % or more is found"
            " in 9 of 10 cases",
            f"one sample takes {self.seconds_per_sample:.2g} s, measuring one candidate"
            f" {self.seconds_per_experiment:.2g} s",
            f"false keeps to expect in a whole run if no change does anything: {self.false_keeps:.2g}",
            *(f"warning: {text}" for text in self.warnings),
        )


def validate(
    repository: Repository,
    program: Program,
    source: Path,
    *,
    runs: int,
    environ: Mapping[str, str],
    on_progress: OnProgress,
) -> Validation:
    """Measure here and there, and say what can be resolved. AutoloopError names the first place that fails."""
    with _workshop(repository, program, source, environ) as (bench, trees, home):
        if program.has("services.sh"):
            Services(
                bench.sealed.directory,
                repository.root,
                bench.environment(repository.root),
                limit_ms=program.measuring.build_timeout,
            ).start()
        here = _in_checkout(repository, bench, environ, on_progress)
        opening = trees.open(repository.head)
        require_room(opening.bytes_needed, home)
        scripts, root = bench.sealed.directory, repository.root
        prepare_trees(program, trees, scripts, repository.head, home, bench.environment(home), on_progress)
        samples = _in_a_tree(repository, bench, runs, here is not None, on_progress)
        warnings = [*opening.warnings, *_differences(here, samples, program)]
        if program.measuring.canary:
            on_progress(Progress("canary", text="measuring without the editable files"))
            texts = "\n".join((scripts / name).read_text(errors="replace") for name in program.scripts)
            links = linked_environments(root, program.scope.share_paths, environ)
            check_canary(program, _stripped(bench, trees, repository.head), texts, links, root)
    return _judged(program, Measurement(tuple(samples)), warnings)


def _stripped(
    bench: SlotBench, trees: GitTrees, commit: str
) -> Callable[[Callable[[str], bool] | None], Sample | MeasurementFailure]:
    return lambda removed: bench.sample_without(commit, removed, spoiler(trees))


@contextmanager
def _workshop(
    repository: Repository, program: Program, source: Path, environ: Mapping[str, str]
) -> Iterator[tuple[SlotBench, GitTrees, Path]]:
    """Trees and a sealed copy that are gone afterwards."""
    name = f"validate-{secrets.token_hex(4)}"
    home = cache_directory(environ) / name
    scope = program.scope
    options = TreeOptions(
        cache_paths=scope.cache_paths,
        share_paths=scope.share_paths,
        sparse=scope.sparse,
        max_candidate_mb=scope.max_candidate_mb,
    )
    trees = GitTrees(repository, home, name, f"autoloop/{name}", options)
    sealed = home.with_name(f"{name}-sealed") / "program"
    sealed.parent.mkdir(parents=True)
    bench = SlotBench(
        program, trees, SealedProgram(sealed, seal(source, sealed)), sealed.parent / "scratch", name, environ
    )
    try:
        yield bench, trees, home
    finally:
        bench.close()
        trees.forget(pins=True)
        shutil.rmtree(sealed.parent, ignore_errors=True)


def _in_checkout(
    repository: Repository, bench: SlotBench, environ: Mapping[str, str], on_progress: OnProgress
) -> Sample | None:
    """One sample in the checkout. None when it cannot be measured there but may be in a tree that is built."""
    on_progress(Progress("validating", text="measuring in the checkout"))
    lean = bench.sample_in(repository.root, key="checkout")
    if isinstance(lean, Sample):
        return lean
    measuring = bench.program.measuring.model_copy(update={"measure_env": tuple(environ)})
    wide = replace(bench, program=bench.program.model_copy(update={"measuring": measuring}))
    if isinstance(wide.sample_in(repository.root, key="checkout"), Sample):
        raise AutoloopError(
            f"measure.sh works in the checkout with your whole environment, not with what it gets: {lean.detail}",
            "Name the variables that it needs in `measure_env`.",
        )
    if bench.program.has("build.sh") or bench.program.has("prepare.sh"):
        return None
    raise AutoloopError(f"measure.sh fails in the checkout: {lean.detail}", "Mend it there first.")


def _in_a_tree(
    repository: Repository, bench: SlotBench, runs: int, works_in_checkout: bool, on_progress: OnProgress
) -> list[Sample]:
    """Samples in a slot; a failure there is named with the field that may mend it."""
    samples: list[Sample] = []
    for index in range(runs):
        on_progress(Progress("validating", text=f"sample {index + 1} of {runs} in a tree of its own"))
        head = repository.head
        request = Request(head, head, Arm.BASELINE, MEASURE, seed=index, key=f"validate-{index}")
        result = bench.sample(request, on_progress)
        if isinstance(result, MeasurementFailure):
            raise AutoloopError(*_only_here(result, repository, works_in_checkout))
        samples.append(result)
    return samples


def _only_here(failure: MeasurementFailure, repository: Repository, works_in_checkout: bool) -> tuple[str, str]:
    if not works_in_checkout:
        return f"the code as it is cannot be measured: {failure.detail}", "Run the scripts by hand in a fresh clone."
    untracked = [name for name in untracked_places(repository) if name != ".autoloop"]
    listed = f" Not in git here: {', '.join(untracked[:8])}." if untracked else ""
    return (
        f"measure.sh works in the checkout, and not in a tree made from HEAD: {failure.detail}",
        f"Commit what is missing, name it in `share_paths`, or make it in prepare.sh (kept by `cache_paths`).{listed}",
    )


def _differences(here: Sample | None, samples: list[Sample], program: Program) -> list[str]:
    name = program.criteria.metric_field
    if here is None:
        return []
    there = median(sample.metrics[name] for sample in samples)
    apart = abs(here.metrics[name] - there) / (abs(there) or 1.0)
    if apart <= _FAR_APART:
        return []
    return [f"{name} is {here.metrics[name]:.6g} in the checkout and {there:.6g} in a tree made from HEAD"]


def _judged(program: Program, measurement: Measurement, warnings: list[str]) -> Validation:
    criteria, values = program.criteria, measurement.values(program.criteria.metric_field)
    repeats = criteria.repeats
    noise = calibrate(values, repeats=repeats, alpha=criteria.alpha, threshold=criteria.noise_threshold)
    own = calibrate(values, repeats=repeats, alpha=criteria.alpha, threshold=None)
    broken = broken_gates(criteria, measurement.medians(), measurement.medians())
    if criteria.noise_threshold is not None and criteria.noise_threshold < own.threshold:
        warnings = [*warnings, f"noise_threshold is below what the noise asks for, {100 * own.threshold:.2g} %"]
    seconds = median(sample.seconds for sample in measurement.samples)
    return Validation(
        program=program.slug,
        metric_field=criteria.metric_field,
        values=tuple(values),
        seconds_per_sample=seconds,
        spread=noise.spread or 0.0,
        threshold=noise.threshold,
        resolvable=noise.threshold + detectable_beyond(noise.spread or 0.0, repeats),
        seconds_per_experiment=seconds * (repeats + program.measuring.warmup),
        false_keeps=criteria.alpha * program.limits.max_experiments,
        warnings=(*warnings, *(f"the code as it is breaks a quality gate: {text}" for text in broken)),
    )
