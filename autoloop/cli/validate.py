"""`validate`: a program's measurement tried as a run would, and what it can resolve."""

import os
import sys
from typing import Annotated

import typer

from autoloop import api
from autoloop.cli import options
from autoloop.cli.live import Watcher
from autoloop.cli.render import say, say_json


def validate(
    context: typer.Context,
    slug: options.Slug,
    runs: Annotated[int, typer.Option("--runs", metavar="N", min=3, help="How many pairs; fewer when slow.")] = 10,
    json: options.Json = False,
) -> None:
    """Try a measurement as a run would. Says what it can resolve, and what an experiment costs."""
    with Watcher(sys.stderr if json else sys.stdout) as watcher:
        found = api.validate(context.obj, slug, runs=runs, on_progress=watcher.on_progress, environ=os.environ)
    if json:
        say_json(found.as_dict())
    else:
        for line in found.lines():
            say(line)
