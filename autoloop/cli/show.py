"""`show N`: one experiment in full."""

import math
from typing import Annotated, Any

import typer

from autoloop import api
from autoloop.cli import options
from autoloop.cli.render import clean, on_terminal, say, say_json
from autoloop.core.run.events import Decided, Event, Sampled, SessionEnded
from autoloop.core.run.measurement import MEASURE, MeasurementFailure
from autoloop.core.run.program import Criteria, Gate
from autoloop.core.run.results import Row
from autoloop.core.text import count, duration, money, number, percent, signed_percent

CALLS = "model_calls"
"""What `bench --json` says of a sample."""


def show(
    context: typer.Context,
    experiment: Annotated[int, typer.Argument(metavar="N", min=0, help="The experiment's number; 0 is the baseline.")],
    run: options.Run = None,
    json: options.Json = False,
) -> None:
    """Show one experiment: verdict, samples, gates, diff."""
    shown = api.show(context.obj, experiment, run)
    if json:
        say_json(_facts(shown))
        return
    say("\n".join([*_verdict(shown.row, shown.criteria), *_session(shown.events)]))
    for line in [*_samples(shown), *_calls(shown), *_evidence(shown)]:
        say(line)
    for name, gate in shown.criteria.quality_gates.items():
        say(f"  gate      {name} {number(shown.row.secondary.get(name)) or 'not measured'} ({_bounds(gate)})")
    say(f"  files     {shown.directory}")
    if shown.patch:
        say()
        _print_patch(shown.patch)


def _facts(shown: api.Shown) -> dict[str, Any]:
    gates = {
        name: {"value": shown.row.secondary.get(name), **gate.model_dump(mode="json", exclude_none=True)}
        for name, gate in shown.criteria.quality_gates.items()
    }
    samples = [
        {**event.taken.wanted.model_dump(mode="json"), **event.taken.result.model_dump(mode="json", exclude_none=True)}
        for event in _sampled(shown)
    ]
    decided = [event.decision for event in shown.events if isinstance(event, Decided)]
    facts = {**shown.row.facts(), "why": shown.row.why, "samples_taken": samples, "gates": gates}
    if (calls := model_calls(shown)) is not None:
        facts[CALLS] = calls
    if decided and decided[0].pairs:
        facts |= decided[0].model_dump(mode="json", include={"low", "high", "sigma", "df", "pairs", "trace"})
        facts["needed"] = math.log(1 / shown.criteria.alpha)
    return {**facts, "patch": shown.patch, "path": str(shown.directory)}


def _verdict(row: Row, criteria: Criteria) -> list[str]:
    reason = f", {row.reason}" if row.reason else ""
    lines = [f"experiment {row.experiment}: {row.status.value}{reason}"]
    lines += [f"  what      {row.description}"] if row.description else []
    lines += [f"  why       {row.why}"] if row.why else []
    lines += [f"  flagged   {flag.sign}: {flag.detail}" for flag in row.flags]
    if row.metric is not None:
        against = f" against {number(row.baseline)} ({signed_percent(row.gain)})" if row.gain is not None else ""
        better = f"; {criteria.direction.value} is better"
        lines.append(f"  metric    {criteria.metric_field} {number(row.metric)}{against}{better}")
    lines += [
        f"  secondary {name} {number(value)}"
        for name, value in row.secondary.items()
        if name not in criteria.quality_gates
    ]
    lines += (
        [f"  commit    {row.commit}, +{row.lines_added} -{row.lines_removed} lines"]
        if row.lines_added is not None
        else []
    )
    return lines + ([f"  took      {duration(row.seconds)}"] if row.seconds else [])


def _session(events: tuple[Event, ...]) -> list[str]:
    lines = []
    for event in events:
        if isinstance(event, SessionEnded):
            session = event.session
            tokens = "" if session.tokens is None else f", {session.tokens} tokens"
            failed = f", {session.failure.value}: {session.detail}" if session.failure else ""
            cost = "cost unknown" if session.cost_usd is None else money(session.cost_usd)
            lines.append(f"  session   {duration(session.seconds)}, {cost}{tokens}{failed}")
            lines += [f"  because   {event.notes.why}"] if event.notes.why else []
    return lines


def _samples(shown: api.Shown) -> list[str]:
    return [f"  sample    {_taken_of(event)}: {_result(event, shown.criteria)}" for event in _sampled(shown)]


def model_calls(shown: api.Shown) -> int | None:
    """Of all samples together, where the measurement says it, as a suite of tasks does."""
    results = [event.taken.result for event in _sampled(shown)]
    said = [one.metrics[CALLS] for one in results if not isinstance(one, MeasurementFailure) and CALLS in one.metrics]
    return round(sum(said)) if said else None


def _calls(shown: api.Shown) -> list[str]:
    calls = model_calls(shown)
    return (
        []
        if calls is None
        else [f"  calls     {count(calls, 'model call')} in {count(len(_sampled(shown)), 'sample')}"]
    )


def _evidence(shown: api.Shown) -> list[str]:
    """Lines with everything that a sceptic needs to check a decision by pairs."""
    decision = next((event.decision for event in shown.events if isinstance(event, Decided)), None)
    if decision is None or not decision.pairs:
        return []
    bound = math.log(1 / shown.criteria.alpha)
    noise = f"noise of one pair {percent(decision.sigma or 0.0)} ({decision.df or 0:.0f} residuals)"
    lines = [f"  evidence  a keep needs {math.exp(bound):.0f} : 1, a log of {bound:.2f}; {noise}"]
    for number_, (gain, log_evidence) in enumerate(zip(shown.gains, decision.trace, strict=False), 1):
        lines.append(f"  pair      {number_:2}: gain {signed_percent(gain)}, log evidence {log_evidence:+.2f}")
    if decision.low is not None and decision.high is not None:
        lines.append(
            f"  claimed   {signed_percent(decision.gain)}, "
            f"95 %: {signed_percent(decision.low)} to {signed_percent(decision.high)}"
        )
    return lines


def _sampled(shown: api.Shown) -> list[Sampled]:
    """The samples behind the row; the baseline is measured again later, which row 0 does not speak of."""
    sampled = [event for event in shown.events if isinstance(event, Sampled)]
    return sampled if shown.row.experiment else sampled[: shown.row.samples]


def _taken_of(event: Sampled) -> str:
    wanted = event.taken.wanted
    script = "" if wanted.script == MEASURE else f" of {wanted.script}"
    return f"{wanted.arm.value} {wanted.index + 1}{script}{' in a fresh tree' if wanted.fresh else ''}"


def _result(event: Sampled, criteria: Criteria) -> str:
    result = event.taken.result
    if isinstance(result, MeasurementFailure):
        return f"{result.reason.value}: {result.detail}"
    values = ", ".join(f"{name} {number(result.metrics[name])}" for name in criteria.fields if name in result.metrics)
    return f"{values} ({duration(result.seconds)})"


def _bounds(gate: Gate) -> str:
    bounds = gate.model_dump(mode="json", exclude_none=True, exclude={"direction"})
    return ", ".join(f"{name} {value:g}" for name, value in bounds.items())


def _print_patch(patch: str) -> None:
    if not on_terminal():
        say(patch.rstrip("\n"))
        return
    from rich.console import Console
    from rich.syntax import Syntax

    Console().print(Syntax(clean(patch), "diff", theme="ansi_dark", background_color="default", word_wrap=True))
