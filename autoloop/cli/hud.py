"""`hud`: a live page of a run or a bench."""

import webbrowser
from threading import Event
from typing import Annotated

import typer

from autoloop.cli.render import complain, say
from autoloop.errors import AutoloopError


def hud(
    context: typer.Context,
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            help="A run's id, a program's name, the directory of a run or a bench, or nothing for the newest here.",
            show_default=False,
        ),
    ] = None,
    port: Annotated[int, typer.Option("--port", metavar="N", min=0, help="Where to listen; 0: any free port.")] = 4242,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Who can reach it.")] = "127.0.0.1",
    browse: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Show a run or a bench as a live page, and as WebSocket messages. It only reads; Ctrl-C ends it.

    It may be started before, while and after the run or the bench goes, and ended at any time.
    """
    try:
        from autoloop.hud.server import is_loopback, keep_looking, shown
    except ModuleNotFoundError as error:
        if error.name != "websockets":
            raise
        hint = "Install it: pip install 'autoloop-engine[hud]'."
        raise AutoloopError("the hud needs the package websockets", hint) from None
    if not is_loopback(host):
        complain(
            f"warning: whoever reaches {host} can read this run, without a password and in plain text",
            "From elsewhere, better: ssh -L 4242:127.0.0.1:4242 THIS-MACHINE, and no --host.",
        )
    with shown(context.obj, run, host, port) as page:
        say(f"{page.about} {page.directory}\n{page.url}   Ctrl-C ends the page, not the {page.about}")
        if browse:
            webbrowser.open(page.url)
        try:
            keep_looking(page.hub, Event())
        except KeyboardInterrupt:
            say()
