"""The verbs of suites: beginning and resuming a bench, regrading it, listing tasks, checking the suite itself."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoloop.config.places import versions
from autoloop.errors import AutoloopError
from autoloop.git.root import root_of
from autoloop.suites.directory import BenchDirectory, directory_of

if TYPE_CHECKING:
    from autoloop.core.suite.state import BenchState
    from autoloop.core.suite.summary import BenchSummary
    from autoloop.core.suite.tasks import TrialKey
    from autoloop.host.signals import Signals
    from autoloop.ports import OnProgress, Suite
    from autoloop.suites.create import BenchContext, ReadyBench
    from autoloop.suites.directory import BenchDirectory


SAMPLE_DIR = "AUTOLOOP_SAMPLE_DIR"
"""Set where a bench is the measurement of a loop: what lies there outlives a kill of the same sample."""


@dataclass(frozen=True)
class BenchOptions:
    """The options of a bench that a person chose."""

    suite: str
    arms: tuple[str, ...] = ()
    validation_rate: float = 0.0
    output: Path | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `config.json`, only those that were given."""
    asks: bool = True
    """Whether models are asked for a token first. A bench that is a sample of a measurement never asks."""


@dataclass(frozen=True)
class Followed:
    """The callbacks and signals of whoever follows a bench."""

    signals: Signals
    on_progress: OnProgress
    on_begin: Callable[[BenchDirectory], None] = lambda directory: None
    on_state: Callable[[BenchState], None] = lambda state: None
    on_worker: Callable[[int, TrialKey | None, str, str], None] = lambda worker, key, phase, text: None


@dataclass(frozen=True)
class BenchOutcome:
    """The outcome of a bench in one process: its state, and where it is."""

    directory: Path
    state: BenchState
    summary: BenchSummary

    @property
    def is_complete(self) -> bool:
        """Whether no trial is left to take."""
        return not self.state.open

    def metrics(self) -> dict[str, Any]:
        """The line of metrics of the first arm; AutoloopError when nothing could be measured."""
        from autoloop.core.suite.summary import metrics_line

        found = metrics_line(self.state, self.summary.arms[0].arm)
        if not self.is_complete or found["pass_rate"] is None:
            why = self.summary.stop_detail or "no trial came to a result that counts"
            said = f"the bench measured nothing: {why}"
            raise AutoloopError(said, f"See {self.directory}/summary.md; go on with `--resume {self.directory}`.")
        return found


def bench(
    path: Path, options: BenchOptions, followed: Followed, *, environ: Mapping[str, str] = os.environ
) -> BenchOutcome:
    """Try every task of a suite with every arm."""
    from autoloop.config.fields import validated
    from autoloop.core.suite.plan import BenchConfig
    from autoloop.suites.create import arms_of, begin, default_arm, new_bench_id, take_up

    root = root_or_here(path)
    asks = options.asks and not environ.get(SAMPLE_DIR)
    context = _context(root, environ, followed, asks=asks)
    directory = BenchDirectory(output_of(path, options.output, environ))
    if directory.exists and options.output is None and environ.get(SAMPLE_DIR):
        return _run(take_up(directory, options.fields, context), context, followed)
    arms = arms_of(options.arms or (default_arm(context),), options.validation_rate)
    config = validated(
        BenchConfig,
        {"bench_id": new_bench_id(), "suite": str(_suite_path(path, options.suite)), "versions": versions(),
         "arms": [arm.model_dump() for arm in arms], **options.fields},
        "bench",
    )  # fmt: skip
    return _run(begin(directory, config, context), context, followed)


def resume_bench(
    path: Path,
    where: Path,
    changes: Mapping[str, Any],
    followed: Followed,
    *,
    environ: Mapping[str, str] = os.environ,
    asks: bool = True,
) -> BenchOutcome:
    """Resume a bench in its directory, or by its `state.json`; `asks` is as in `BenchOptions`."""
    from autoloop.suites.create import take_up

    root = root_or_here(path)
    context = _context(root, environ, followed, asks=asks)
    ready = take_up(directory_of(path / where.expanduser()), changes, context)
    return _run(ready, context, followed)


def regrade(path: Path, where: Path, followed: Followed, *, environ: Mapping[str, str] = os.environ) -> BenchOutcome:
    """Verify the kept workspaces of a bench once more, after its verifiers were fixed."""
    from autoloop.suites.create import take_up

    root = root_or_here(path)
    context = _context(root, environ, followed)
    ready = take_up(directory_of(path / where.expanduser()), {}, context, tasks_may_differ=True)
    return _run(ready, context, followed, regrading=True)


def _context(root: Path, environ: Mapping[str, str], followed: Followed, *, asks: bool = True) -> BenchContext:
    from autoloop.suites.create import BenchContext

    return BenchContext(
        root, environ, followed.signals, followed.on_progress, followed.on_state, followed.on_worker, asks=asks
    )


def _run(ready: ReadyBench, context: BenchContext, followed: Followed, *, regrading: bool = False) -> BenchOutcome:
    from autoloop.core.suite.summary import summarise
    from autoloop.suites.resume import run_bench

    followed.on_begin(ready.directory)
    state = run_bench(ready, context, regrading=regrading)
    return BenchOutcome(ready.directory.path, state, summarise(state))


def suite_of(path: Path, suite: str, *, tasks: Collection[str] = (), groups: Collection[str] = ()) -> Suite:
    """The tasks of a suite, or those of these names and groups; nothing is run."""
    from autoloop.suites.create import tasks_of
    from autoloop.suites.sources.registry import load_suite

    found = load_suite(_suite_path(path, suite))
    return replace(found, tasks=tuple(tasks_of(found, tasks, groups))) if tasks or groups else found


def container_engine() -> str:
    """Which container engine answers here, or why there is none, in one line."""
    from autoloop.suites.containers.engine import find_engine

    found = find_engine()
    return f"containers by {found.engine.name}" if found.engine else f"no container engine here: {found.why}"


def failing_tasks(path: Path, where: Path) -> tuple[str, ...]:
    """The tasks that did not pass fully in an earlier bench, or by a JSON file of scores; the worst first."""
    from autoloop.core.suite.reuse import failing_first
    from autoloop.suites.reuse import scores_of

    scores = scores_of(path / where.expanduser())
    return failing_first(list(scores), scores)


@dataclass(frozen=True)
class SuiteCheck:
    """The result of checking a suite with its oracle and with an agent that does nothing."""

    outcome: BenchOutcome
    wrong: tuple[str, ...]
    """One sentence for each task that is not as it should be."""
    unsupported: tuple[str, ...]
    """Tasks that cannot be tried here, each with its reason."""


def check_suite(
    path: Path, options: BenchOptions, followed: Followed, *, environ: Mapping[str, str] = os.environ
) -> SuiteCheck:
    """Test a suite by itself: its solutions must pass every task, and doing nothing must pass none."""
    from autoloop.core.suite.plan import NOP, ORACLE
    from autoloop.core.suite.suite_check import unsupported_tasks, wrong_tasks

    chosen = replace(options, arms=(ORACLE, NOP), fields={**options.fields, "iterations": 1, "attempts": 1})
    outcome = bench(path, chosen, followed, environ=environ)
    return SuiteCheck(outcome, wrong_tasks(outcome.state, ORACLE, NOP), unsupported_tasks(outcome.state))


def root_or_here(path: Path) -> Path:
    """The repository, or the directory itself: suites need no repository."""
    try:
        return root_of(path)
    except AutoloopError:
        return path.resolve()


def output_of(path: Path, wanted: Path | None, environ: Mapping[str, str]) -> Path:
    """The directory of a bench: the one it is told, its sample's, or today's among the results."""
    if wanted is not None:
        return (path / wanted.expanduser()).resolve()
    if sample := environ.get(SAMPLE_DIR):
        return Path(sample) / "bench"
    today = path.resolve() / "results" / time.strftime("%Y%m%d")
    number = 1
    place = today
    while (place / "journal.jsonl").exists():
        number += 1
        place = today.with_name(f"{today.name}-{number}")
    return place


def _suite_path(path: Path, suite: str) -> Path:
    """A path counts from the directory that was named with -C; a dotted class is left as it is."""
    here = path / Path(suite).expanduser()
    return Path(suite) if ":" in suite and not here.exists() else here.resolve()
