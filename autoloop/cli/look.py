"""`init`, `status`, `results`, `ideas`, `packet`, and the bare command: what is here, printed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TextIO

import typer

from autoloop import api
from autoloop.cli import options
from autoloop.cli.render import on_terminal, say, say_json, table
from autoloop.cli.status import flagged_line, keeps_line, print_status, sandbox_line, verified_line
from autoloop.core.run.results import HEADER, Row
from autoloop.core.text import count, duration, money, number, resume_command, signed_percent

_LATEST = 5


def overview(path: Path) -> None:
    """Print the programs and runs found here, and the next command to type."""
    found = api.look(path)
    say(f"{found.root}")
    say(f"  programs  {', '.join(found.programs) or 'none yet'}")
    say(f"  runs      {_runs(found)}")
    for run_id in found.alive:
        say(f"  alive     {run_id}")
    say(f"\nNext: {_next_command(found)}")
    say("All commands: autoloop --help")


def init(
    context: typer.Context,
    slug: Annotated[str | None, typer.Argument(metavar="SLUG", help="What to call it.", show_default=False)] = None,
    json: options.Json = False,
) -> None:
    """Write a first program, made for this repository. Nothing that exists is overwritten."""
    made = api.init(context.obj, slug)
    if json:
        facts = {"slug": made.slug, "directory": str(made.directory)}
        say_json({**facts, "written": list(made.written), "notes": list(made.notes)})
        return
    for name in made.written:
        say(f"wrote {name}")
    for note in made.notes:
        say(note)


def status(context: typer.Context, run: options.Run = None, json: options.Json = False) -> None:
    """Say how a run is doing, and what is left of it."""
    print_status(context.obj, run, json)


def results(context: typer.Context, run: options.Run = None, json: options.Json = False) -> None:
    """List every experiment of a run. A table for people, tab-separated values when piped."""
    rows = api.results(context.obj, run)
    if json:
        say_json([row.facts() for row in rows])
    elif on_terminal():
        results_table(rows)
        facts = api.status(context.obj, run)
        verified = verified_line(facts.get("verified"))
        for name, text in (("keeps", keeps_line(facts)), ("flagged", flagged_line(facts)), ("verified", verified)):
            if text:
                say(f"{name}: {text}")
        say(f"sandbox: {sandbox_line(facts)}")
    else:
        say((HEADER + "".join(row.to_tsv() for row in rows)).rstrip("\n"))


def results_table(rows: Sequence[Row], file: TextIO | None = None) -> None:
    """Print rows as a table; columns that say nothing are left out."""
    if not rows:
        say("no results: the baseline has not been measured", file)
        return
    header = ("#", "status", "reason", "metric", "gain", "flags", "samples", "took", "cost", "lines", "description")
    columns = list(zip(*map(_cells, rows), strict=True)) or [()] * len(header)
    shown = [i for i, column in enumerate(columns) if any(column) or i in (0, len(header) - 1)]
    cells = [tuple(column[n] for i, column in enumerate(columns) if i in shown) for n in range(len(rows))]
    table(tuple(header[i] for i in shown), cells, [row.status.value for row in rows], file)


def ideas(context: typer.Context, run: options.Run = None) -> None:
    """Print what was tried, what to avoid, what to try next."""
    say(api.ideas(context.obj, run).rstrip("\n"))


def packet(context: typer.Context, slug: options.Slug) -> None:
    """Preview what an agent would be told next."""
    say(api.packet(context.obj, slug).rstrip("\n"))


def _cells(row: Row) -> tuple[str, ...]:
    lines = "" if row.lines_added is None else f"+{row.lines_added} -{row.lines_removed or 0}"
    return (
        str(row.experiment),
        row.status.value,
        f"{row.reason}, {row.confidence}" if row.confidence else row.reason,
        number(row.metric),
        signed_percent(row.gain),
        f"! {', '.join(flag.sign for flag in row.flags)}" if row.flags else "",
        str(row.samples or ""),
        duration(row.seconds),
        "" if row.cost_usd is None else money(row.cost_usd),
        lines,
        row.description,
    )


def _runs(found: api.Overview) -> str:
    if not found.runs:
        return "none yet"
    latest = ", ".join(f"{run.slug} {run.run_id}" for run in reversed(found.runs[-_LATEST:]))
    older = len(found.runs) - _LATEST
    return latest + (f", and {count(older, 'older one')}" if older > 0 else "")


def _next_command(found: api.Overview) -> str:
    if found.alive:
        return f"autoloop status {found.alive[-1]}"
    if found.runs and api.status(found.root)["phase"] == "killed":
        latest = found.runs[-1]
        return resume_command(latest.slug, latest.run_id)
    if found.runs:
        return f"autoloop results {found.runs[-1].run_id}"
    if found.programs:
        return f"autoloop validate {found.programs[0]}   then: autoloop run {found.programs[0]}"
    return "autoloop init   (or see one work: autoloop demo)"
