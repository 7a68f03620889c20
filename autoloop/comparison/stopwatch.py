"""One execution of a command in a tree: its seconds, its CPU seconds, or what it prints.

What does not come to a number is a `CommandFailed` that names the revision. Nothing here compares.
"""

import resource
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from statistics import fmean

from autoloop import process
from autoloop.core.run.measurement import Sample, parse_output
from autoloop.core.run.program import Criteria, Direction
from autoloop.errors import AutoloopError
from autoloop.measure.scripts import MetricsOutput
from autoloop.process.environment import PASSED_ON

_LAST_WORDS = 300


class Measure(StrEnum):
    """The quantity of a command that is measured."""

    WALL = "wall"
    CPU = "cpu"
    """User and system seconds of the command and all that descends from it, where the system is Linux also of what
    it left behind. What is waited for in this process meanwhile would count too: nothing else may run in it."""
    OUTPUT = "output"


class CommandFailed(AutoloopError):
    """A revision that cannot be measured, and its last words."""

    def __init__(self, revision: str, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.revision = revision


class Interrupted(AutoloopError):
    """The comparison was ended by a person or a signal."""


@dataclass(frozen=True)
class Reading:
    """The measurement of one execution: a value, and passes and fails by case where it printed them."""

    metric: str
    value: float
    binary_cases: dict[str, float] | None = None
    """Passes and fails by case, when that is what was printed; the value is then their mean."""


@dataclass(frozen=True)
class Stopwatch:
    """A command, and which quantity of it is measured."""

    command: tuple[str, ...]
    """One word is a line for the shell; several are executed as they are."""
    kind: Measure
    metric: str | None
    timeout: float | None
    environ: Mapping[str, str]
    measure_env: tuple[str, ...]
    name: str
    """Marks what is started, so that none of it stays."""
    cancelled: Callable[[], bool]

    def measure(self, tree: Path, seed: int, revision: str) -> Reading:
        """Execute the command once in a tree, with this seed."""
        argv = self.command if len(self.command) > 1 else ("bash", "-c", *self.command)
        output = MetricsOutput()
        before = _cpu_seconds()
        done = self._run(argv, tree, seed, self.timeout, output)
        cpu = _cpu_seconds() - before
        self._require("the command", done, revision)
        match self.kind:
            case Measure.WALL:
                return Reading("wall seconds", done.seconds)
            case Measure.CPU:
                return Reading("CPU seconds", cpu)
        read = _read(output, self.metric)
        if isinstance(read, str):
            hint = "It is to print one JSON object, or lines `METRIC name=number`."
            raise CommandFailed(revision, f"{revision} cannot be measured: {read}", hint)
        return read

    def prepare(self, line: str, tree: Path, revision: str) -> None:
        """Execute another command first, by the shell and without a deadline."""
        self._require("--prepare", self._run(("bash", "-c", line), tree, 0, None, MetricsOutput()), revision)

    def _run(
        self, argv: tuple[str, ...], tree: Path, seed: int, deadline: float | None, output: MetricsOutput
    ) -> process.Finished:
        if self.cancelled():
            raise Interrupted("ended before there was an answer")
        env = {**self._environment(), "AUTOLOOP_TREE": str(tree), "AUTOLOOP_SEED": str(seed)}
        done = process.run(argv, cwd=tree, env=env, deadline=deadline, on_stdout=output.feed, cancelled=self.cancelled)
        if done.cancelled:
            raise Interrupted("ended before there was an answer")
        return done

    def _environment(self) -> dict[str, str]:
        """The allow-list of every measurement."""
        allowed = {*PASSED_ON, *self.measure_env}
        kept = {name: value for name, value in self.environ.items() if name in allowed or name.startswith("LC_")}
        return {**kept, "AUTOLOOP_RUN": self.name}

    def _require(self, what: str, done: process.Finished, revision: str) -> None:
        if done.ok:
            return
        words = [line.strip() for line in (done.stderr.strip() or done.stdout.strip()).splitlines() if line.strip()]
        last = f": {words[-1][:_LAST_WORDS]}" if words else " without a word"
        how = f"ended with exit code {done.exit_code}{last}"
        if done.timed_out:
            how = f"took longer than {self.timeout:g} s and was ended"
        elif done.exit_code < 0:
            how = f"was killed by signal {-done.exit_code}{last}"
        raise CommandFailed(
            revision,
            f"{what} fails in {revision}: it {how}",
            "It runs in a fresh tree: see --prepare, --share and --env for what it may lack there.",
        )


class _Whatever(Criteria):
    """Criteria that ask for no metric at all, to see which ones are printed."""

    @property
    def fields(self) -> tuple[str, ...]:
        """No metric is required, so none is named."""
        return ()


def _read(output: MetricsOutput, metric: str | None) -> Reading | str:
    """The reading that a command printed, or one sentence that says why there is none."""
    text = output.text()
    if output.overflowed:
        return "it prints more metric lines than can be read"
    if metric is None:
        seen = parse_output(text, _Whatever(metric_field="any", direction=Direction.LOWER))
        if isinstance(seen, str):
            return seen
        if (cases := _binary(seen)) is not None:
            return cases
        names = [name for name in seen.metrics if name != "cost_usd"]
        if len(names) != 1:
            return f"it prints {', '.join(names)}: choose with --metric" if names else "it prints no metric"
        metric = names[0]
    sample = parse_output(text, Criteria(metric_field=metric, direction=Direction.LOWER))
    if isinstance(sample, str):
        return sample
    return _binary(sample) or Reading(metric, sample.metrics[metric])


def _binary(sample: Sample) -> Reading | None:
    """Passes and fails speak for themselves, whatever sums are printed of them."""
    cases = sample.cases
    if not cases or any(score not in (0, 1) for score in cases.values()):
        return None
    return Reading("pass rate", fmean(cases.values()), cases)


def _cpu_seconds() -> float:
    """Of all processes that this one has waited for, and that these have waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
