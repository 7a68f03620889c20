"""`report`: what came of a run or of a bench, as a page or as Markdown."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from autoloop import api
from autoloop.cli.render import FIXABLE, complain, say

Target = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN|DIRECTORY",
        help="A run's id, a program's name, a directory of a run or a bench, or nothing for the latest here.",
        show_default=False,
    ),
]
Html = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Where the page goes; - prints it.", show_default=False),
]
Markdown = Annotated[
    Path | None,
    typer.Option("--markdown", metavar="FILE", help="Write Markdown as well; - prints it.", show_default=False),
]


def report(
    context: typer.Context,
    target: Target = None,
    html: Html = None,
    markdown: Markdown = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    traces: Annotated[
        bool, typer.Option("--traces/--no-traces", help="Whether packets and what agents said are in it.")
    ] = True,
) -> None:
    """Report on a run or a bench. One page that needs nothing beside it, or Markdown for a pull request.

    Without --html and --markdown the page is written beside what it is about, as report.html.
    """
    wanted = api.ReportOptions(html=html, markdown=markdown, traces=traces)
    made = api.report(context.obj, target, wanted)
    if made.printed:
        typer.echo(made.printed, nl=False)
        return
    say(f"{made.about}: {made.claim}")
    for path in made.written:
        say(f"  {path}")
    if made.without_plots:
        say("  without plots, which matplotlib would draw: pip install 'autoloop-engine[plots]'")
    if show and not _opened(made.written):
        complain("no browser could be started here", "Open the page by hand, or leave --open out.")
        raise typer.Exit(FIXABLE)


def _opened(written: tuple[Path, ...]) -> bool:
    pages = [path for path in written if path.suffix.lower() in (".html", ".htm")]
    return bool(pages) and webbrowser.open(pages[0].resolve().as_uri())
