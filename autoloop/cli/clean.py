"""`clean`: what is held on the disk, and removing it once a person has seen it. Parse, two calls of `api`, render.

Only typer and the standard library are loaded here.
"""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autoloop.cli import DONE, FIXABLE, INTERRUPTED, options

if TYPE_CHECKING:
    from autoloop.core.keeping import CleanOptions

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
    branches stay, and so does what a run that goes or was killed needs. All that goes by default is made again by a
    resume. Your checkout is not touched.
    """
    from autoloop import api
    from autoloop.cli import cleaned as told
    from autoloop.core.keeping import CleanOptions

    if branches and not runs:
        raise typer.BadParameter("--branches goes with --runs")
    chosen = CleanOptions(killed or all_, everywhere or all_, transcripts, runs, branches, workspaces)
    found = api.holdings(context.obj, run, chosen)
    done = None
    try:
        if json:
            done = api.clean(found) if yes else None
            told.print_facts(found, done)
        else:
            told.show(found)
            if found.to_go and not (yes or _agreed()):
                told.say_how(_command(context.obj, run, chosen))
            elif found.to_go:
                done = api.clean(found, told.show_entry)
                told.conclude(done)
    except KeyboardInterrupt:
        told.say_interrupted()
        raise typer.Exit(INTERRUPTED) from None
    raise typer.Exit(FIXABLE if done is not None and done.problems else DONE)


def _agreed() -> bool:
    """Whether a person at a terminal says yes; elsewhere nobody does."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    try:
        return input("Remove it? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _command(path: Path, run: str | None, chosen: "CleanOptions") -> str:
    """What does it without a question."""
    flags = [f"--{name}" for name, wanted in vars(chosen).items() if wanted]
    there = [] if path == Path.cwd() else ["-C", str(path)]
    return shlex.join(["autoloop", *there, "clean", *([run] if run else []), *flags, "--yes"])
