"""The verbs. Each one parses and hands over; what it needs is imported when it is called.

Only typer and the standard library are loaded here: who types `results` does not wait for what a run imports.
"""

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from autoloop.cli import options
from autoloop.cli.agents import agents
from autoloop.cli.demo import demo
from autoloop.cli.hud import hud
from autoloop.cli.report import report

LARGE = {"run": "run", "compare": "compare", "audit": "compare", "bench": "bench", "clean": "clean"}
"""Verbs that are described where they work, and their files, which load much."""


class Verbs(TyperGroup):
    """Loads the file of a large verb when that is typed, or when the help describes it."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The verb with its options."""
        placeholder = self.commands.get(cmd_name)
        if placeholder is None or cmd_name not in LARGE:
            return placeholder
        alone = typer.Typer(rich_markup_mode=None, add_completion=False)
        home = import_module(f"autoloop.cli.{LARGE[cmd_name]}")
        alone.command(cmd_name, epilog=placeholder.epilog)(getattr(home, cmd_name))
        return typer.main.get_command(alone)


def _large(name: str, epilog: str) -> None:
    """Keep a verb's place in the help."""
    app.command(name, epilog=epilog)(lambda: None)


app = typer.Typer(
    name="autoloop",
    cls=Verbs,
    help="Leave it overnight on a git repository with one number to move; wake up to improvements that are real.",
    epilog="Without a verb: what is here, and the next command to type.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(f"autoloop {version('autoloop-engine')}")
        except PackageNotFoundError:
            typer.echo("autoloop, not installed but run from its source")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    path: options.Here = Path(),
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    context.obj = path.resolve()
    if context.invoked_subcommand is None:
        from autoloop.cli.look import overview

        overview(context.obj)


@app.command(epilog="Example: autoloop init import-time")
def init(
    context: typer.Context,
    slug: Annotated[str | None, typer.Argument(metavar="SLUG", help="What to call it.", show_default=False)] = None,
    json: options.Json = False,
) -> None:
    """Write a first program, made for this repository. Nothing that exists is overwritten."""
    from autoloop.cli.look import init

    init(context.obj, slug, json)


@app.command(epilog="Example: autoloop validate import-time --runs 10")
def validate(
    context: typer.Context,
    slug: options.Slug,
    runs: Annotated[int, typer.Option("--runs", metavar="N", min=3, help="How many pairs; fewer when slow.")] = 10,
    json: options.Json = False,
) -> None:
    """Try a measurement as a run would. Says what it can resolve, and what an experiment costs."""
    from autoloop.cli.run import validate

    validate(context.obj, slug, runs, json)


_large("run", "Example: autoloop run import-time --max-hours 8 --detach")


@app.command(epilog="Example: autoloop status import-time --json")
def status(context: typer.Context, run: options.Run = None, json: options.Json = False) -> None:
    """Say how a run is doing, and what is left of it."""
    from autoloop.cli.status import status

    status(context.obj, run, json)


@app.command(epilog="Example: autoloop results | cut -f 1,3,4,7")
def results(context: typer.Context, run: options.Run = None, json: options.Json = False) -> None:
    """List every experiment of a run. A table for people, tab-separated values when piped."""
    from autoloop.cli.look import results

    results(context.obj, run, json)


@app.command(epilog="Example: autoloop show 7")
def show(
    context: typer.Context,
    experiment: Annotated[int, typer.Argument(metavar="N", min=0, help="The experiment's number; 0 is the baseline.")],
    run: options.Run = None,
    json: options.Json = False,
) -> None:
    """Show one experiment: verdict, samples, gates, diff."""
    from autoloop.cli.show import show

    show(context.obj, experiment, run, json)


@app.command(epilog="Example: autoloop ideas import-time")
def ideas(context: typer.Context, run: options.Run = None) -> None:
    """Print what was tried, what to avoid, what to try next."""
    from autoloop.cli.look import ideas

    ideas(context.obj, run)


@app.command(epilog="Example: autoloop packet import-time | less")
def packet(context: typer.Context, slug: options.Slug) -> None:
    """Preview what an agent would be told next."""
    from autoloop.cli.look import packet

    packet(context.obj, slug)


@app.command(epilog='Example: autoloop guide "Leave the parser alone; look at the cache."')
def guide(
    context: typer.Context,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The steer; an empty text withdraws it.")],
    run: options.RunOption = None,
    json: options.Json = False,
) -> None:
    """Steer the next experiments of a run."""
    from autoloop.cli.steer import guide

    guide(context.obj, text, run, json)


@app.command(epilog="Example: autoloop stop import-time")
def stop(
    context: typer.Context,
    run: options.Run = None,
    now: Annotated[bool, typer.Option("--now", help="Cut the experiment in progress short.")] = False,
    json: options.Json = False,
) -> None:
    """Ask a run to stop after its experiment. It can be resumed."""
    from autoloop.cli.steer import stop

    stop(context.obj, run, now, json)


@app.command(epilog="Example: autoloop limit 100 --max-hours 12")
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
    from autoloop.cli.run import limits_given
    from autoloop.cli.steer import limit

    if number is not None and not number.isdecimal():
        if run is not None:
            raise typer.BadParameter(f"N is {number!r}, and not a number of experiments")
        number, run = None, number
    given = limits_given(int(number) if number else None, max_hours, max_cost_usd, max_tokens, target)
    if not given:
        raise typer.BadParameter("name at least one limit: N, --max-hours, --max-cost-usd, --max-tokens or --target")
    limit(context.obj, given, run, json)


@app.command(epilog="Example: autoloop verify import-time")
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
    from autoloop.cli.run import verify

    raise typer.Exit(verify(context.obj, run, pairs, json))


_large("compare", "Example: autoloop compare main HEAD -- python bench.py")
_large("audit", "Example: autoloop audit main..feature --measure cpu -- python bench.py")
_large("bench", "Example: autoloop bench suites/terminal -m claude-code -i 3 --workers 4")
_large("clean", "Example: autoloop clean --killed")
app.command(epilog="Example: autoloop agents claude --check")(agents)
app.command(epilog="Example: autoloop report import-time --open")(report)

app.command(epilog="Example: autoloop demo")(demo)
app.command(epilog="Example: autoloop hud import-time --open")(hud)
