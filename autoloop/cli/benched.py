"""What `bench` does once its words are read: carries a bench, follows it, and tells what came of it."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any, TypeVar

from autoloop import api
from autoloop.cli import DONE, FIXABLE, INTERRUPTED, NOTHING_KEPT
from autoloop.cli.noticing import Notify
from autoloop.cli.render import complain, count, duration, say, say_json
from autoloop.cli.watch import BenchWatch
from autoloop.core.suite.state import BenchState
from autoloop.core.suite.summary import ArmSummary, BenchSummary
from autoloop.errors import AutoloopError
from autoloop.steering import Signals

Result = TypeVar("Result")


@dataclass(frozen=True)
class Asked:
    """What a person typed after `bench`."""

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


_ENFORCED = "a container enforces the first two, nothing the last"


def run_bench(path: Path, asked: Asked, notify: Notify) -> int:
    """Do what was asked for; the exit code."""
    _refuse_contradictions(asked)
    with notify.opened(path):
        return _run(path, asked, notify)


def _run(path: Path, asked: Asked, notify: Notify) -> int:
    environ = _environment(path, asked.env_file)
    if asked.list_tasks:
        return _list(path, asked)
    signals = Signals()
    try:
        if asked.check:
            found = _followed(
                asked, signals, notify, lambda by: api.check_suite(path, _options(path, asked), by, environ=environ)
            )
            return _tell_check(found, asked.json)
        outcome = _followed(asked, signals, notify, lambda by: _carried(path, asked, by, environ))
    except AutoloopError as error:
        if signals.received is None:
            raise
        complain(f"interrupted: {error.message}", error.hint)
        return INTERRUPTED
    notify.bench_ended(outcome)
    return _tell(outcome, asked, interrupted=signals.received is not None)


def _carried(path: Path, asked: Asked, by: api.Followed, environ: Mapping[str, str]) -> api.BenchOutcome:
    if asked.resume is None:
        return api.bench(path, _options(path, asked), by, environ=environ)
    if asked.regrade:
        return api.regrade(path, asked.resume, by, environ=environ)
    return api.resume_bench(path, asked.resume, asked.fields, by, environ=environ, asks=asked.asks)


def _options(path: Path, asked: Asked) -> api.BenchOptions:
    assert asked.suite is not None, "refused before"
    first = {"failing": api.failing_tasks(path, asked.failing_first)} if asked.failing_first else {}
    fields = {**asked.fields, **first}
    return api.BenchOptions(asked.suite, asked.arms, asked.validation_rate, asked.output, fields, asked.asks)


def _followed(asked: Asked, signals: Signals, notify: Notify, work: Callable[[api.Followed], Result]) -> Result:
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


def _refuse_contradictions(asked: Asked) -> None:
    if asked.resume is not None:
        _refuse_for_a_resume(asked)
    elif asked.suite is None:
        raise AutoloopError("no suite is named", "Name one: `autoloop bench SUITE`, or go on with `--resume STATE`.")
    elif asked.regrade:
        raise AutoloopError("--regrade needs --resume", "Name the bench whose workspaces are verified once more.")
    if "depends_on" in asked.fields and "reuse" not in asked.fields:
        raise AutoloopError("--depends-on says when results are reused", "Add --reuse DIR, or leave it out.")


def _refuse_for_a_resume(asked: Asked) -> None:
    from autoloop.core.suite.config import RESUMABLE

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
    from autoloop.dotenv import parse

    try:
        text = (path / file.expanduser()).read_text("utf-8-sig", "replace")
    except OSError as error:
        raise AutoloopError(f"--env-file {file}: {error.strerror}", "Copy .env.example and fill it in.") from None
    return {**parse(text), **os.environ}


def _list(path: Path, asked: Asked) -> int:
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


def _tell_check(found: api.SuiteCheck, as_json: bool) -> int:
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


def _tell(outcome: api.BenchOutcome, asked: Asked, *, interrupted: bool) -> int:
    """The end of a bench."""
    summary = outcome.summary
    out = sys.stderr if asked.json else sys.stdout
    for arm in summary.arms:
        say(arm_line(arm), out)
    for line in _last_words(outcome, summary):
        say(line, out)
    if interrupted and not outcome.is_complete:
        return INTERRUPTED
    if asked.json:
        import json

        print(json.dumps(outcome.metrics()), flush=True)
        return DONE
    return DONE if outcome.is_complete else FIXABLE


def arm_line(arm: ArmSummary) -> str:
    """One arm in one line."""
    rate = arm.rate
    share = "no trial counts" if rate.value is None else (
        f"pass rate {100 * rate.value:.1f} % (95 %: {100 * rate.low:.1f} to {100 * rate.high:.1f})"
    )  # fmt: skip
    counts = f"{arm.passed} passed, {arm.failed} failed, {arm.timeout} timeout, {arm.error} error"
    more = f", {arm.unsupported} unsupported" if arm.unsupported else ""
    return f"{arm.arm}: {share}; {counts}{more}, of {arm.planned}"


def _last_words(outcome: api.BenchOutcome, summary: BenchSummary) -> list[str]:
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
