"""`run`: the loop, started or resumed, shown while it works, and what came of it as lines and an exit code."""

import os
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import typer

from autoloop import api
from autoloop.cli import options
from autoloop.cli.live import Watcher
from autoloop.cli.look import results_table
from autoloop.cli.notify import Notify
from autoloop.cli.render import DONE, FIXABLE, INTERRUPTED, NOTHING_KEPT, complain, say, say_json
from autoloop.cli.status import flagged_line, keeps_line, sandbox_line, verified_line
from autoloop.cli.watch import RunWatch
from autoloop.core.run.program import Rule
from autoloop.core.run.reasons import StopReason
from autoloop.core.run.results import Row
from autoloop.core.run.summary import Summary
from autoloop.core.text import count, number, resume_command, signed_percent
from autoloop.errors import AutoloopError
from autoloop.host.signals import Signals
from autoloop.runs.resume import RunEnd


def run(
    context: typer.Context,
    slug: options.Slug,
    agent: options.Agent = None,
    max_experiments: options.MaxExperiments = None,
    max_hours: options.MaxHours = None,
    max_cost_usd: options.MaxCost = None,
    max_tokens: options.MaxTokens = None,
    target: options.Target = None,
    rule: options.Rule = None,
    seed: options.Seed = None,
    ollama_endpoint: options.OllamaEndpoint = None,
    detach: options.Detach = False,
    resume: options.Resume = False,
    run: options.ResumedRun = None,
    watch: options.Watch = False,
    notify: options.Notify = None,
    notify_each: options.NotifyEach = False,
    json: options.Json = False,
) -> None:
    """Run the loop: propose, measure, keep or discard. It goes on until there is a reason to stop.

    Your checkout is not touched: what is kept is on a branch of its own. Ctrl-C finishes the experiment in
    progress, a second one cuts it short. Limits that are not given come from the program.

    Exit codes: 0 something was kept, 2 something you can fix, 3 nothing was kept, 130 interrupted.
    """
    if ollama_endpoint:
        os.environ["OLLAMA_ENDPOINT"] = ollama_endpoint
    given = options.limits_given(max_experiments, max_hours, max_cost_usd, max_tokens, target)
    chosen = api.RunOptions(agent, given, rule, seed)
    wanted = RunRequest(slug, chosen, resume=resume, run=run, detach=detach, json=json, watch=watch)
    raise typer.Exit(run_loop(context.obj, wanted, Notify(notify, notify_each)))


_PATIENCE_SECONDS = 10.0
_WORTH_A_LINE = 1e9
"""Bytes of trees that are left for a resume."""


@dataclass(frozen=True)
class RunRequest:
    """The request that a person typed after `run`."""

    slug: str
    options: api.RunOptions
    resume: bool
    run: str | None
    detach: bool
    json: bool
    watch: bool = False


def run_loop(path: Path, wanted: RunRequest, notify: Notify) -> int:
    """Run the loop to its end, or leave it to the background; the exit code."""
    _refuse_contradictions(wanted)
    if wanted.detach:
        notify.refuse_in_background()
        return _run(path, wanted, notify)
    with notify.opened(path):
        return _run(path, wanted, notify)


def _run(path: Path, wanted: RunRequest, notify: Notify) -> int:
    signals = Signals()
    try:
        with _watcher(path, wanted) as watcher:
            signals.on_first = watcher.on_first_interrupt
            signals.install()
            if wanted.detach:
                run_id = api.detach(path, wanted.slug, wanted.options, signals=signals, on_progress=watcher.on_progress)
                outcome = None
            else:
                outcome = _start_or_resume(path, wanted, signals, watcher, notify)
    except AutoloopError as error:
        if signals.received is None:
            raise
        complain(f"interrupted: {error.message}", error.hint)
        return INTERRUPTED
    if outcome is None:
        return _print_background_run(path, run_id, wanted.json)
    notify.run_ended(outcome.summary)
    _print_outcome(path, outcome, wanted.json)
    return _exit_code(outcome.summary, interrupted=signals.received is not None)


def _refuse_contradictions(wanted: RunRequest) -> None:
    rule, rules = wanted.options.rule, [rule.value for rule in Rule]
    if rule is not None and rule not in rules:
        raise AutoloopError(f"--rule is {rule!r}; allowed: {', '.join(rules)}")
    if wanted.run is not None and not wanted.resume:
        raise AutoloopError("--run names a run to resume", f"Add --resume: `autoloop run {wanted.slug} --resume`.")
    if wanted.resume and (wanted.options.profile is not None or wanted.options.seed is not None):
        raise AutoloopError("a run keeps the agent and the seed that it began with", "Start a new run for others.")
    if wanted.watch and wanted.detach:
        hint = f"Leave out one of them; `autoloop hud {wanted.slug}` shows a run in the background."
        raise AutoloopError("--watch shows a run in the foreground, so it does not go with --detach", hint)
    if wanted.resume and wanted.detach:
        hint = f"`nohup autoloop run {wanted.slug} --resume &` goes on in the background."
        raise AutoloopError("--detach starts a new run, so it does not go with --resume", hint)


def _watcher(path: Path, wanted: RunRequest) -> Watcher:
    file = sys.stderr if wanted.json else sys.stdout
    if not wanted.watch:
        return Watcher(file)
    return RunWatch(file, lambda run_id: api.results(path, run_id))


def _start_or_resume(path: Path, wanted: RunRequest, signals: Signals, watcher: Watcher, notify: Notify) -> RunEnd:
    def on_news(rows: list[Row], summary: Summary) -> None:
        watcher.on_news(rows, summary)
        notify.on_news(rows, summary)

    start = partial(api.resume, path, wanted.slug, wanted.run) if wanted.resume else partial(api.run, path, wanted.slug)
    return start(wanted.options, signals=signals, on_progress=watcher.on_progress, on_news=on_news)


def _print_background_run(path: Path, run_id: str, as_json: bool) -> int:
    """Report once the background process has taken the run up, so that a look at it right after finds it alive."""
    until = time.monotonic() + _PATIENCE_SECONDS
    status = api.status(path, run_id)
    while not status["alive"] and status["stop_reason"] is None and time.monotonic() < until:
        time.sleep(0.1)
        status = api.status(path, run_id)
    log = str(Path(status["path"]) / "run.log")
    if not status["alive"] and status["stop_reason"] is None:
        complain(f"run {run_id} was not taken up by its background process", f"See {log}.")
        return FIXABLE
    if as_json:
        say_json({"run_id": run_id, "log": log})
    else:
        say(f"run {run_id} goes on in the background, with its first measurement; its log: {log}")
        say(f"look: autoloop status {run_id}   steer: autoloop guide TEXT   end: autoloop stop {run_id}")
    return DONE


def _print_outcome(path: Path, outcome: RunEnd, as_json: bool) -> None:
    summary = outcome.summary
    if as_json:
        facts = api.status(path, summary.run_id)
        say_json({**facts, "alive": False, "why_nothing_kept": list(outcome.why_nothing_kept)})
    else:
        _print_summary(path, outcome)
    if summary.stop_reason == StopReason.AGENT_UNAVAILABLE:
        complain(f"the agent cannot be reached: {summary.detail}", f"Fix it, then go on: `{_resume(summary)}`.")


def _print_summary(path: Path, outcome: RunEnd) -> None:
    summary = outcome.summary
    say()
    rows = api.results(path, summary.run_id)
    results_table(rows)
    verdicts = f"{summary.kept} kept, {summary.discarded} discarded, {summary.crashed} crashed"
    say(f"\nended ({summary.stop_reason}) after {count(summary.experiments, 'experiment')}: {verdicts}")
    if summary.kept:
        change = f"{number(summary.original_baseline)} at the start, {number(summary.baseline)} now"
        gain = f"a gain of {signed_percent(summary.gain)}{' side by side' if summary.confirmed is not None else ''}"
        say(f"{summary.metric_field} {change}: {gain}; {summary.direction} is better")
        if summary.verified is not None:
            say(f"verified: {verified_line(summary.verified.model_dump(mode='json'))}")
        facts = summary.model_dump(mode="json")
        keeps, flagged = keeps_line(facts), flagged_line(facts)
        if flagged:
            say(flagged)
        say(f"branch: {summary.branch}{f' ({keeps})' if keeps else ''}\nmerge it: git merge {summary.branch}")
    elif outcome.why_nothing_kept:
        say("nothing was kept:")
        for sentence in outcome.why_nothing_kept:
            say(f"  {sentence}")
    say(f"sandbox: {sandbox_line(summary.model_dump(mode='json'))}")
    name, best = summary.program, summary.best_experiment or summary.experiments
    if rows:
        say(f"look next: autoloop results {name}, autoloop show {best} {name}, autoloop ideas {name}")
    if summary.stop_reason in (StopReason.STOPPED, StopReason.ABORTED):
        say(f"go on: {_resume(summary)}")
    held = api.holdings(path, summary.run_id).frees
    if held > _WORTH_A_LINE:
        say(f"its trees hold {held / 1e9:.1f} GB, for a quick resume; to free them: autoloop clean {summary.run_id}")


def _resume(summary: Summary) -> str:
    return resume_command(summary.program, summary.run_id)


def _exit_code(summary: Summary, *, interrupted: bool) -> int:
    if interrupted or summary.stop_reason == StopReason.ABORTED:
        return INTERRUPTED
    if summary.stop_reason == StopReason.AGENT_UNAVAILABLE:
        return FIXABLE
    return DONE if summary.kept else NOTHING_KEPT
