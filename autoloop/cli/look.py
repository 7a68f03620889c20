"""The verbs that only look, and `init`: an overview, results, ideas, the packet, a first program."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from autoloop import api
from autoloop.cli.render import on_terminal, say, say_json, table
from autoloop.cli.status import flagged_line, keeps_line, sandbox_line, verified_line
from autoloop.core.text import count, duration, money, number, resume_command, signed_percent

if TYPE_CHECKING:
    from autoloop.core.run.results import Row


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


def init(path: Path, slug: str | None, as_json: bool) -> None:
    """Write a first program, and print what was written."""
    made = api.init(path, slug)
    if as_json:
        facts = {"slug": made.slug, "directory": str(made.directory)}
        say_json({**facts, "written": list(made.written), "notes": list(made.notes)})
        return
    for name in made.written:
        say(f"wrote {name}")
    for note in made.notes:
        say(note)


def results(path: Path, run: str | None, as_json: bool) -> None:
    """Print every row: a table on a terminal, `results.tsv` when piped."""
    from autoloop.core.run.results import HEADER

    rows = api.results(path, run)
    if as_json:
        say_json([row.facts() for row in rows])
    elif on_terminal():
        results_table(rows)
        facts = api.status(path, run)
        verified = verified_line(facts.get("verified"))
        for name, text in (("keeps", keeps_line(facts)), ("flagged", flagged_line(facts)), ("verified", verified)):
            if text:
                say(f"{name}: {text}")
        say(f"sandbox: {sandbox_line(facts)}")
    else:
        say((HEADER + "".join(row.to_tsv() for row in rows)).rstrip("\n"))


def results_table(rows: Sequence["Row"], file: TextIO | None = None) -> None:
    """Print rows as a table; columns that say nothing are left out."""
    if not rows:
        say("no results: the baseline has not been measured", file)
        return
    header = ("#", "status", "reason", "metric", "gain", "flags", "samples", "took", "cost", "lines", "description")
    columns = list(zip(*map(_cells, rows), strict=True)) or [()] * len(header)
    shown = [i for i, column in enumerate(columns) if any(column) or i in (0, len(header) - 1)]
    cells = [tuple(column[n] for i, column in enumerate(columns) if i in shown) for n in range(len(rows))]
    table(tuple(header[i] for i in shown), cells, [row.status.value for row in rows], file)


def ideas(path: Path, run: str | None) -> None:
    """Print the ideas backlog of a run."""
    say(api.ideas(path, run).rstrip("\n"))


def packet(path: Path, slug: str) -> None:
    """Print the packet that an agent would be given."""
    say(api.packet(path, slug).rstrip("\n"))


def _cells(row: "Row") -> tuple[str, ...]:
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
