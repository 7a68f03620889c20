"""`clean`: what runs and benches hold on the disk, what of it would go, and removing that once a person agrees."""

import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from autoloop import api
from autoloop.cleanup.remove import Cleaned
from autoloop.cleanup.survey import Holdings
from autoloop.cli import options
from autoloop.cli.render import DONE, FIXABLE, INTERRUPTED, complain, say, say_json, table
from autoloop.core.holdings import CleanOptions, Holding, Part, State
from autoloop.core.text import count

Runs = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN",
        help="A run's id, a program for all its runs, a bench's directory.",
        show_default=False,
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Remove it without asking.")]
Killed = Annotated[bool, typer.Option("--killed", help="Trees of killed runs too; a resume builds them again.")]
Everywhere = Annotated[bool, typer.Option("--everywhere", help="Trees of other repositories too.")]
All = Annotated[bool, typer.Option("--all", help="All trees: --killed and --everywhere.")]
Transcripts = Annotated[
    bool, typer.Option("--transcripts", help="Packets and transcripts of experiments that were not kept too.")
]
WholeRuns = Annotated[bool, typer.Option("--runs", help="Whole runs: directory, journal and refs.")]
Branches = Annotated[bool, typer.Option("--branches", help="With --runs: their branches too.")]
Workspaces = Annotated[
    bool, typer.Option("--workspaces", help="Workspaces of benches that are done too, but for the latest's.")
]


def clean(
    context: typer.Context,
    run: Runs = None,
    yes: Yes = False,
    killed: Killed = False,
    everywhere: Everywhere = False,
    all_: All = False,
    transcripts: Transcripts = False,
    runs: WholeRuns = False,
    branches: Branches = False,
    workspaces: Workspaces = False,
    json: options.Json = False,
) -> None:
    """Free the disk that runs and benches hold.

    Removes trees and caches of runs that have ended, and what killed processes left over. Journals, results, refs and
    branches stay, and so does what a running or killed run needs. All that goes by default is made again by a
    resume. Your checkout is not touched.
    """
    if branches and not runs:
        raise typer.BadParameter("--branches goes with --runs")
    chosen = CleanOptions(killed or all_, everywhere or all_, transcripts, runs, branches, workspaces)
    found = api.holdings(context.obj, run, chosen)
    done = None
    try:
        if json:
            done = api.clean(found) if yes else None
            print_facts(found, done)
        else:
            show(found)
            if found.to_go and not (yes or _agreed()):
                say_how(_command(context.obj, run, chosen))
            elif found.to_go:
                done = api.clean(found, show_entry)
                print_end(done)
    except KeyboardInterrupt:
        say_interrupted()
        raise typer.Exit(INTERRUPTED) from None
    raise typer.Exit(FIXABLE if done is not None and done.problems else DONE)


def _agreed() -> bool:
    """Whether a person at a terminal agrees; without a terminal nobody does."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    try:
        return input("Remove it? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _command(path: Path, run: str | None, chosen: CleanOptions) -> str:
    """The command that removes the same without a question."""
    flags = [f"--{name}" for name, wanted in vars(chosen).items() if wanted]
    there = [] if path == Path.cwd() else ["-C", str(path)]
    return shlex.join(["autoloop", *there, "clean", *([run] if run else []), *flags, "--yes"])


_COLUMNS = {
    "trees": (Part.TREES,),
    "caches": (Part.CACHES,),
    "scratch": (Part.SCRATCH,),
    "sealed": (Part.SEALED,),
    "journal": (Part.JOURNAL, Part.LITTER),
    "sessions": (Part.SESSIONS, Part.TRANSCRIPTS),
    "workspaces": (Part.WORKSPACES,),
    "records": (Part.RECORDS,),
}
_REBUILT = frozenset({Part.TREES, Part.CACHES, Part.SCRATCH})
_WORTH_A_ROW = _REBUILT | {Part.WORKSPACES}


def show(found: Holdings) -> None:
    """Print the table of holdings, and what it means."""
    shown = [entry for entry in found.entries if _is_worth_a_row(entry, found.options)]
    if shown:
        _table(shown, found.options)
        say()
    for line in _sentences(found, [entry for entry in found.entries if entry not in shown]):
        say(line)


def show_entry(entry: Holding, freed: int) -> None:
    """Print one holding that was gone through."""
    say(f"{_label(entry)}: {size(freed)} freed")


def say_how(command: str) -> None:
    """Say that nothing was removed, and which command does it."""
    say(f"Nothing was removed. To remove it: {command}")


def say_interrupted() -> None:
    """Say what a Ctrl-C in the middle leaves."""
    complain("interrupted", "What was left half-way goes with the next `autoloop clean`.")


def print_end(done: Cleaned) -> None:
    """Print what was removed, and what could not be."""
    say(f"{size(done.freed)} freed")
    for branch in done.branches:
        name, _, commit = branch.partition(" ")
        say(f"the branch {name} is gone; to have it again: git branch {name} {commit}")
    for problem in done.problems:
        complain(problem)


def print_facts(found: Holdings, done: Cleaned | None) -> None:
    """Print every number, for `--json`."""
    say_json(
        {
            "removed": done is not None,
            "frees": found.frees,
            "freed": done.freed if done else 0,
            "entries": [_facts(entry, found.options) for entry in found.entries],
            "elsewhere": found.elsewhere,
            "branches": list(done.branches) if done else [],
            "problems": list(done.problems) if done else [],
        }
    )


def size(amount: int) -> str:
    """An amount of bytes as `12.3 MB` or `4.5 GB`."""
    return f"{amount / 1e9:.1f} GB" if amount >= 1e9 else f"{amount / 1e6:.1f} MB"


def _is_worth_a_row(entry: Holding, options: CleanOptions) -> bool:
    """What holds nothing but what stays is only counted."""
    holds = any(entry.sizes.get(part, 0) for part in _WORTH_A_ROW)
    return holds or entry.state is State.ALIVE or entry.has_something_to_go(options)


def _table(entries: Sequence[Holding], options: CleanOptions) -> None:
    header = ["", "state", *_COLUMNS, "refs", "frees"]
    rows = [
        [
            _label(entry),
            entry.state.value,
            *(_megabytes(sum(entry.sizes.get(part, 0) for part in parts)) for parts in _COLUMNS.values()),
            str(entry.refs or ""),
            _megabytes(entry.frees(options)),
        ]
        for entry in entries
    ]
    shown = [n for n in range(len(header)) if n in (0, 1, len(header) - 1) or any(row[n] for row in rows)]
    table([header[n] for n in shown], [[row[n] for n in shown] for row in rows], [""] * len(rows))


def _sentences(found: Holdings, unseen: Sequence[Holding]) -> Iterator[str]:
    options, entries = found.options, found.entries
    yield _headline(found)
    if runs := sum(entry.what != "bench" for entry in unseen):
        yield f"{count(runs, 'more run')}: nothing but journal, results and refs; --runs removes whole runs"
    yield from _of_benches(found)
    killed = [entry for entry in entries if entry.state is State.KILLED and (entry.here or options.everywhere)]
    kept = sum(entry.sizes.get(part, 0) for entry in killed for part in _REBUILT)
    if kept and not options.killed:
        yield f"{count(len(killed), 'killed run')}: {size(kept)} for a quick resume; --killed frees that, to be rebuilt"
    if found.elsewhere:
        yield f"other repositories: {found.elsewhere} of their directories in the cache; --everywhere looks there"
    if found.to_go and any(entry.state is State.ALIVE for entry in entries):
        yield "a run is in progress: what is removed beside it may show in its samples"


def _of_benches(found: Holdings) -> Iterator[str]:
    """What holds workspaces, and how they would go."""
    benches = [entry for entry in found.entries if entry.sizes.get(Part.WORKSPACES, 0)]
    old = [entry for entry in benches if not entry.is_latest]
    if old and not found.options.workspaces:
        held = size(sum(entry.sizes[Part.WORKSPACES] for entry in old))
        yield f"benches that are done: {held} of workspaces; --workspaces frees that"
    if found.options.workspaces:
        for latest in (entry for entry in benches if entry.is_latest):
            yield f"{latest.name} is the latest bench and keeps its workspaces; name it to free them"


def _headline(found: Holdings) -> str:
    if not found.to_go:
        return "Nothing to free."
    stays = "journals, results, refs and branches stay"
    if all(entry.what == "bench" for entry in found.to_go):
        stays = "results and records stay"
    if found.options.runs:
        stays = f"whole runs go with their results{'' if found.options.branches else ', their branches stay'}"
    return f"This frees {size(found.frees)} (the table is in MB); {stays}."


def _facts(entry: Holding, options: CleanOptions) -> dict[str, Any]:
    return {
        "name": entry.name,
        "what": entry.what,
        "state": entry.state.value,
        "program": entry.program,
        "repository": entry.repository,
        "bytes": {part.value: amount for part, amount in sorted(entry.sizes.items()) if amount},
        "refs": entry.refs,
        "branch": entry.branch,
        "goes": sorted(part.value for part in entry.parts_to_go(options)),
        "frees": entry.frees(options),
    }


def _label(entry: Holding) -> str:
    if entry.what == "files":
        return entry.name
    return " ".join(filter(None, (entry.program or (entry.what if entry.what != "run" else ""), entry.name)))


def _megabytes(amount: int) -> str:
    return f"{amount / 1e6:.1f}" if amount else ""
