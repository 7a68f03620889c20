"""`demo`: each act as it comes, then the table of results and where to look next."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from autoloop import api
from autoloop.cli import options
from autoloop.cli.live import Watcher
from autoloop.cli.look import results_table
from autoloop.cli.render import DONE, INTERRUPTED, say, say_json
from autoloop.host.signals import Signals


def demo(
    directory: Annotated[
        Path | None,
        typer.Argument(metavar="DIRECTORY", help="Where to make the example repository.", show_default=False),
    ] = None,
    json: options.Json = False,
) -> None:
    """Try what autoloop promises on a shipped example. All of it live, in under 90 seconds; no key, no network."""
    signals = Signals()
    with Watcher(sys.stderr if json else sys.stdout) as watcher:
        signals.install()
        shown = api.demo(watcher.on_progress, signals, os.environ, directory, watcher.on_line)
    if json:
        say_json(shown.facts())
    else:
        say()
        if shown.rows:
            results_table(shown.rows)
            say()
        for line in shown.lines:
            say(line)
    raise typer.Exit(INTERRUPTED if signals.received is not None else DONE)
