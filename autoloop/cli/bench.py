"""`bench`: a suite of tasks tried by one or more profiles, shown while it works, then its result and exit code."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from json import dumps
from pathlib import Path
from shlex import quote
from typing import Any, TypeVar

import typer

from autoloop import api
from autoloop.cli import bench_options, options
from autoloop.cli.notify import Notify
from autoloop.cli.render import DONE, FIXABLE, INTERRUPTED, NOTHING_KEPT, complain, say, say_json
from autoloop.cli.watch import BenchWatch
from autoloop.config.dotenv import parse
from autoloop.core.suite.plan import RESUMABLE
from autoloop.core.suite.state import BenchState
from autoloop.core.suite.summary import ArmSummary, BenchSummary
from autoloop.core.text import count, duration, percent, percent_range
from autoloop.errors import AutoloopError
from autoloop.host.signals import Signals

Typed = Mapping[str, Any]
"""What was typed, by the names of the options in the signature."""
_AS_TYPED = (
    "iterations", "attempts", "timeout", "max_turns", "max_hours", "max_cost_usd", "max_tokens", "max_rpm",
    "min_free_gb", "keep", "containers", "seed", "limit",
)  # fmt: skip
"""Fields of `config.json` that are what was typed."""
_ENFORCED = "a container enforces the first two, nothing the last"
Result = TypeVar("Result")


@dataclass(frozen=True)
class BenchRequest:
    """The request that a person typed after `bench`."""

    suite: str | None
    output: Path | None
    arms: tuple[str, ...]
    validation_rate: float
    fields: Mapping[str, Any]
    failing_first: Path | None
    env_file: Path | None
    resume: Path | None
    regrade: bool
    asks: bool
    check: bool
    list_tasks: bool
    watch: bool
    json: bool


def bench(
    context: typer.Context,
    suite: bench_options.Suite = None,
    suite_option: bench_options.SuiteOption = None,
    output: bench_options.Output = None,
    model: bench_options.Model = None,
    arms: bench_options.Arms = None,
    iterations: bench_options.Iterations = None,
    attempts: bench_options.Attempts = None,
    tasks: bench_options.Tasks = None,
    group: bench_options.Group = None,
    timeout: bench_options.Timeout = None,
    max_turns: bench_options.MaxTurns = None,
    workers: bench_options.WorkersOption = "auto",
    max_hours: options.MaxHours = None,
    group_hours: bench_options.GroupHours = None,
    max_cost_usd: options.MaxCost = None,
    max_tokens: options.MaxTokens = None,
    max_rpm: bench_options.MaxRpm = None,
    min_free_gb: bench_options.MinFree = None,
    validation_rate: bench_options.Validation = 0.0,
    ollama_endpoint: options.OllamaEndpoint = None,
    keep: bench_options.Keep = None,
    containers: bench_options.Containers = None,
    seed: options.Seed = None,
    limit: bench_options.Limit = None,
    failing_first: bench_options.FailingFirst = None,
    reuse: bench_options.Reuse = None,
    depends_on: bench_options.DependsOn = None,
    env_file: bench_options.EnvFile = None,
    resume: bench_options.Resume = None,
    regrade: bench_options.Regrade = False,
    no_preflight: bench_options.NoPreflight = False,
    list_tasks: bench_options.List = False,
    check: bench_options.Check = False,
    watch: bench_options.Watch = False,
    notify: options.Notify = None,
    notify_each: options.NotifyEach = False,
    json: bench_options.Json = False,
) -> None:
    """Try a suite of tasks with one profile or several.

    Each trial has a fresh workspace in a sandbox; the tests come into it when the agent is done. Killed at any instant
    it goes on with `--resume`. Errors around a trial are tried again and never counted as failures.

    Exit codes: 0 done, 2 something you can fix, 3 --check found a task that is not as it should be, 130 interrupted.
    """
    # The signature is there for typer, which makes the help of it: what was typed stands in the context as well.
    if ollama_endpoint:
        os.environ["OLLAMA_ENDPOINT"] = ollama_endpoint
    asked = _request(context.params, context.obj)
    raise typer.Exit(run_bench(context.obj, asked, Notify(notify, notify_each)))


def _request(typed: Typed, place: Path) -> BenchRequest:
    model = typed["model"]
    return BenchRequest(
        suite=_one_suite(typed["suite"], typed["suite_option"]),
        output=typed["output"],
        arms=(*(_names(typed["arms"]) or ()), *([model] if model else ())),
        validation_rate=typed["validation_rate"],
        fields=_fields(typed, place),
        failing_first=typed["failing_first"],
        env_file=typed["env_file"],
        resume=typed["resume"],
        regrade=typed["regrade"],
        asks=not typed["no_preflight"],
        check=typed["check"],
        list_tasks=typed["list_tasks"],
        watch=typed["watch"],
        json=typed["json"],
    )


def _fields(typed: Typed, place: Path) -> dict[str, Any]:
    """The fields of `config.json` that were given."""
    reuse, files = typed["reuse"], _names(typed["depends_on"])
    given = {
        **{name: typed[name] for name in _AS_TYPED},
        "tasks": _names(typed["tasks"]),
        "groups": _names(typed["group"]),
        "group_hours": _hours(typed["group_hours"]),
        "workers": _worker_number(typed["workers"]),
        "reuse": None if reuse is None else _absolute(place, reuse),
        "depends_on": None if files is None else [_absolute(place, Path(name)) for name in files],
    }
    return {name: value for name, value in given.items() if value is not None}


def _absolute(place: Path, path: Path) -> str:
    """A path counts from the directory that was named with -C."""
    return str((place / path.expanduser()).resolve())


def _one_suite(suite: str | None, suite_option: str | None) -> str | None:
    if suite and suite_option:
        raise typer.BadParameter(f"two suites are named: {suite} and {suite_option}", param_hint="--suite")
    return suite or suite_option


def _names(text: str | None) -> list[str] | None:
    if text is None:
        return None
    if names := [name.strip() for name in text.split(",") if name.strip()]:
        return names
    raise typer.BadParameter(f"a list of names, a,b, is wanted; {text!r} has none")


def _hours(text: str | None) -> dict[str, Any] | None:
    """Hours by group. What is no number of hours is refused with the other fields."""
    if text is None:
        return None
    found = {}
    for pair in _names(text) or ():
        group, sign, hours = pair.rpartition("=")
        if not sign or not group:
            raise typer.BadParameter(
                f"hours by level, L1=4,L2=1.5, are wanted, not {pair!r}", param_hint="--group-hours"
            )
        found[group.strip()] = _number(hours)
    return found


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _worker_number(text: str) -> Any:
    """A number of workers; None for `auto`. What is neither is refused with the other fields."""
    if text == "auto":
        return None
    return int(text) if text.isdecimal() else text


def run_bench(path: Path, asked: BenchRequest, notify: Notify) -> int:
    """Run the request; the exit code."""
    _refuse_contradictions(asked)
    with notify.opened(path):
        return _run(path, asked, notify)


def _run(path: Path, asked: BenchRequest, notify: Notify) -> int:
    environ = _environment(path, asked.env_file)
    if asked.list_tasks:
        return _list(path, asked)
    signals = Signals()
    try:
        if asked.check:
            found = _followed(
                asked, signals, notify, lambda by: api.check_suite(path, _options(path, asked), by, environ=environ)
            )
            return _print_check(found, asked.json)
        outcome = _followed(asked, signals, notify, lambda by: _start_or_resume(path, asked, by, environ))
    except AutoloopError as error:
        if signals.received is None:
            raise
        complain(f"interrupted: {error.message}", error.hint)
        return INTERRUPTED
    notify.bench_ended(outcome)
    return _print_outcome(outcome, asked, interrupted=signals.received is not None)


def _start_or_resume(path: Path, asked: BenchRequest, by: api.Followed, environ: Mapping[str, str]) -> api.BenchOutcome:
    if asked.resume is None:
        return api.bench(path, _options(path, asked), by, environ=environ)
    if asked.regrade:
        return api.regrade(path, asked.resume, by, environ=environ)
    return api.resume_bench(path, asked.resume, asked.fields, by, environ=environ, asks=asked.asks)


def _options(path: Path, asked: BenchRequest) -> api.BenchOptions:
    assert asked.suite is not None, "refused before"
    first = {"failing": api.failing_tasks(path, asked.failing_first)} if asked.failing_first else {}
    fields = {**asked.fields, **first}
    return api.BenchOptions(asked.suite, asked.arms, asked.validation_rate, asked.output, fields, asked.asks)


def _followed(asked: BenchRequest, signals: Signals, notify: Notify, work: Callable[[api.Followed], Result]) -> Result:
    """Let people see what happens; where standard output is for the metrics, on standard error."""
    with BenchWatch(sys.stderr if asked.json else sys.stdout, live=asked.watch) as watcher:
        signals.on_first = watcher.on_first_interrupt
        signals.install()

        def on_state(state: BenchState) -> None:
            watcher.on_state(state)
            notify.on_state(state)

        by = api.Followed(
            signals=signals,
            on_progress=watcher.on_progress,
            on_begin=lambda directory: watcher.on_line(f"results go to {directory.path}"),
            on_state=on_state,
            on_worker=watcher.on_worker,
        )
        return work(by)


def _refuse_contradictions(asked: BenchRequest) -> None:
    if asked.resume is not None:
        _refuse_for_a_resume(asked)
    elif asked.suite is None:
        raise AutoloopError("no suite is named", "Name one: `autoloop bench SUITE`, or go on with `--resume STATE`.")
    elif asked.regrade:
        raise AutoloopError("--regrade needs --resume", "Name the bench whose workspaces are verified once more.")
    if "depends_on" in asked.fields and "reuse" not in asked.fields:
        raise AutoloopError("--depends-on says when results are reused", "Add --reuse DIR, or leave it out.")


def _refuse_for_a_resume(asked: BenchRequest) -> None:
    for flag, given in (("--list", asked.list_tasks), ("--check", asked.check)):
        if given:
            raise AutoloopError(f"{flag} is for a suite, not for a resume", f"Try `autoloop bench SUITE {flag}`.")
    begun = {
        "the suite": asked.suite,
        "the output": asked.output,
        "the arms": asked.arms or asked.validation_rate,
        "failing_first": asked.failing_first,
        **{name: True for name in asked.fields if name not in RESUMABLE},
    }
    if named := [name for name, given in begun.items() if given]:
        said = f"a resume goes on with what the bench began with, so {', '.join(named)} cannot be given"
        raise AutoloopError(said, f"What a resume may set: {', '.join(RESUMABLE)}.")


def _environment(path: Path, file: Path | None) -> Mapping[str, str]:
    """The environment, and under it the variables of a file."""
    if file is None:
        return os.environ
    try:
        text = (path / file.expanduser()).read_text("utf-8-sig", "replace")
    except OSError as error:
        raise AutoloopError(f"--env-file {file}: {error.strerror}", "Copy .env.example and fill it in.") from None
    return {**parse(text), **os.environ}


def _list(path: Path, asked: BenchRequest) -> int:
    assert asked.suite is not None, "refused before"
    named = {name: asked.fields[name] for name in ("tasks", "groups") if name in asked.fields}
    suite = api.suite_of(path, asked.suite, **named)
    chosen = suite.tasks
    if asked.json:
        say_json([{"id": task.id, "name": task.name, "group": task.group, "difficulty": task.difficulty,
                   "repetitions": task.repetitions, "timeout": task.timeout, "max_turns": task.max_turns,
                   "bounds": task.bounds, "has_solution": task.solution is not None,
                   "unsupported": task.unsupported or None, "container": task.contained or None}
                  for task in chosen])  # fmt: skip
        return DONE
    width = max((len(task.id) for task in chosen), default=0)
    for task in chosen:
        why = f"  unsupported: {task.unsupported}" if task.unsupported else ""
        why = why or (f"  in a container: {task.contained}" if task.contained else "")
        say(f"{task.id:{width}}  {task.group:12}  {task.name}{why}".rstrip())
    bounded = sum(bool(task.bounds) for task in chosen)
    if bounded:
        said = "bounds what it uses" if bounded == 1 else "bound what they use"
        say(f"{count(bounded, 'task')} {said} of cores, memory or storage: {_ENFORCED}", sys.stderr)
    say(f"{count(len(chosen), 'task')} in {suite.name}, version {suite.version[:12]}", sys.stderr)
    if any(task.contained and not task.unsupported for task in chosen):
        say(api.container_engine(), sys.stderr)
    return DONE


def _print_check(found: api.SuiteCheck, as_json: bool) -> int:
    totals = found.outcome.summary.totals
    if as_json:
        say_json({"wrong": list(found.wrong), "unsupported": list(found.unsupported), "trials": totals.done})
    else:
        for line in found.wrong:
            say(f"  wrong        {line}")
        for line in found.unsupported:
            say(f"  unsupported  {line}")
        sound = "the suite is sound" if not found.wrong else f"{count(len(found.wrong), 'task')} not as it should be"
        say(f"{sound}: {count(totals.done, 'trial')}, solutions must pass and doing nothing must not")
    return NOTHING_KEPT if found.wrong or not found.outcome.is_complete else DONE


def _print_outcome(outcome: api.BenchOutcome, asked: BenchRequest, *, interrupted: bool) -> int:
    """Print the end of a bench; the exit code."""
    summary = outcome.summary
    out = sys.stderr if asked.json else sys.stdout
    for arm in summary.arms:
        say(arm_line(arm), out)
    for line in _end_lines(outcome, summary):
        say(line, out)
    if interrupted and not outcome.is_complete:
        return INTERRUPTED
    if asked.json:
        print(dumps(outcome.metrics()), flush=True)
        return DONE
    return DONE if outcome.is_complete else FIXABLE


def arm_line(arm: ArmSummary) -> str:
    """An arm's counts and pass rate in one line."""
    rate = arm.rate
    share = "no trial counts" if rate.value is None else (
        f"pass rate {percent(rate.value, '.1f')} (95 %: {percent_range(rate.low, rate.high)})"
    )  # fmt: skip
    counts = f"{arm.passed} passed, {arm.failed} failed, {arm.timeout} timeout, {arm.error} error"
    more = f", {arm.unsupported} unsupported" if arm.unsupported else ""
    return f"{arm.arm}: {share}; {counts}{more}, of {arm.planned}"


def _end_lines(outcome: api.BenchOutcome, summary: BenchSummary) -> list[str]:
    place = outcome.directory
    lines = [f"{duration(summary.worked_seconds)} of work; {place}/summary.md, `autoloop report {place}`"]
    lines.append(
        f"{count(sum(outcome.state.calls.values()), 'model call')}, {count(len(outcome.state.reused), 'result')} reused"
    )
    if not outcome.is_complete:
        why = f" ({summary.stop_detail})" if summary.stop_detail else ""
        lines += [one.sentence for one in summary.cut]
        lines.append(f"stopped: {summary.stop_reason}{why}; {count(len(outcome.state.open), 'trial')} left")
        more = ",".join(f"{one.group}={2 * one.hours:g}" for one in summary.cut)
        lines.append(f"go on: autoloop bench --resume {place}{f' --group-hours {quote(more)}' if more else ''}")
    elif summary.totals.error:
        errors = count(summary.totals.error, "trial")
        lines.append(f"{errors} could not be taken; try again: autoloop bench --resume {place}")
    return lines
