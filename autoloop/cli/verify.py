"""`verify`: the original against the head of a run, measured afresh; 0 when it is better, 3 when that is not shown."""

import os
import sys
from typing import Annotated

import typer

from autoloop import api
from autoloop.cli import options
from autoloop.cli.live import Watcher
from autoloop.cli.render import DONE, INTERRUPTED, NOTHING_KEPT, say, say_json
from autoloop.cli.status import verified_line
from autoloop.host.signals import Signals


def verify(
    context: typer.Context,
    run: options.Run = None,
    pairs: Annotated[
        int | None,
        typer.Option("--pairs", metavar="N", min=2, help="How many pairs, if not max_pairs.", show_default=False),
    ] = None,
    json: options.Json = False,
) -> None:
    """Measure a run's gain afresh. Original against head, in pairs."""
    signals = Signals()
    with Watcher(sys.stderr if json else sys.stdout) as watcher:
        signals.on_first = watcher.on_first_interrupt
        signals.install()
        found = api.verify(
            context.obj, run, pairs=pairs, signals=signals, on_progress=watcher.on_progress, environ=os.environ
        )
    facts = found.model_dump(mode="json")
    if json:
        say_json(facts)
    else:
        say(f"verified: {verified_line(facts)}")
    if signals.received is not None:
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(DONE if found.low is not None and found.low > 0 and not found.problems else NOTHING_KEPT)
