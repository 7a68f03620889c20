"""`guide`, `stop`, `limit`: wishes that a run reads before its next experiment."""

from pathlib import Path
from typing import Annotated

import typer

from autoloop import api
from autoloop.cli import options
from autoloop.cli.render import say, say_json
from autoloop.core.text import resume_command


def guide(
    context: typer.Context,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The steer; an empty text withdraws it.")],
    run: options.RunOption = None,
    json: options.Json = False,
) -> None:
    """Steer the next experiments of a run."""
    run_id = api.guide(context.obj, text, run)
    if json:
        say_json({"run_id": run_id, "guidance": text.strip()})
    elif text.strip():
        say(f"{run_id}: agents are told so{_from_when(context.obj, run_id)}")
    else:
        say(f"{run_id}: the guidance is withdrawn{_from_when(context.obj, run_id)}")


def stop(
    context: typer.Context,
    run: options.Run = None,
    now: Annotated[bool, typer.Option("--now", help="Cut the experiment in progress short.")] = False,
    json: options.Json = False,
) -> None:
    """Ask a run to stop after its experiment. It can be resumed."""
    run_id = api.stop(context.obj, run, now=now)
    if json:
        say_json({"run_id": run_id, "stop": "now" if now else "after"})
    else:
        say(f"{run_id}: stops {'at once' if now else 'after the experiment in progress'}")


def limit(
    context: typer.Context,
    number: Annotated[
        str | None, typer.Argument(metavar="N", help="Stop after N experiments in all.", show_default=False)
    ] = None,
    run: options.Run = None,
    max_hours: options.MaxHours = None,
    max_cost_usd: options.MaxCost = None,
    max_tokens: options.MaxTokens = None,
    target: options.Target = None,
    json: options.Json = False,
) -> None:
    """Change the limits of a run, from its next experiment on."""
    if number is not None and not number.isdecimal():
        if run is not None:
            raise typer.BadParameter(f"N is {number!r}, and not a number of experiments")
        number, run = None, number
    limits = options.limits_given(int(number) if number else None, max_hours, max_cost_usd, max_tokens, target)
    if not limits:
        raise typer.BadParameter("name at least one limit: N, --max-hours, --max-cost-usd, --max-tokens or --target")
    run_id = api.limit(context.obj, limits, run)
    if json:
        say_json({"run_id": run_id, "limits": limits})
    else:
        changes = ", ".join(f"{name} = {value:g}" for name, value in limits.items())
        say(f"{run_id}: {changes}{_from_when(context.obj, run_id)}")


def _from_when(path: Path, run_id: str) -> str:
    facts = api.status(path, run_id)
    resume = (
        ""
        if facts["alive"]
        else f"; it is not running, resume it with `{resume_command(facts['program'], facts['run_id'])}`"
    )
    return f" from the next experiment on{resume}"
