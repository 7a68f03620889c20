"""The verbs of the command line in one table. The file of a verb is imported when that verb is typed."""

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from autoloop.cli import options


class Verb(NamedTuple):
    """What is known of a verb before its file is imported."""

    module: str
    """The file of this room that defines it, as a function of its name."""
    sentence: str
    """Its line in the list of verbs: the first sentence of the function's docstring."""
    example: str
    """The words after `autoloop`, shown below its help."""


VERBS = {
    "init": Verb("look", "Write a first program, made for this repository.", "init import-time"),
    "validate": Verb("validate", "Try a measurement as a run would.", "validate import-time --runs 10"),
    "run": Verb("run", "Run the loop: propose, measure, keep or discard.", "run import-time --max-hours 8 --detach"),
    "status": Verb("look", "Say how a run is doing, and what is left of it.", "status import-time --json"),
    "results": Verb("look", "List every experiment of a run.", "results | cut -f 1,3,4,7"),
    "show": Verb("show", "Show one experiment: verdict, samples, gates, diff.", "show 7"),
    "ideas": Verb("look", "Print what was tried, what to avoid, what to try next.", "ideas import-time"),
    "packet": Verb("look", "Preview what an agent would be told next.", "packet import-time | less"),
    "guide": Verb(
        "steer", "Steer the next experiments of a run.", 'guide "Leave the parser alone; look at the cache."'
    ),
    "stop": Verb("steer", "Ask a run to stop after its experiment.", "stop import-time"),
    "limit": Verb("steer", "Change the limits of a run, from its next experiment on.", "limit 100 --max-hours 12"),
    "verify": Verb("verify", "Measure a run's gain afresh.", "verify import-time"),
    "compare": Verb(
        "compare", "Compare revisions or results: better, worse or noise.", "compare main HEAD -- python bench.py"
    ),
    "audit": Verb(
        "compare",
        "Say which commits of a branch are real gains.",
        "audit main..feature --measure cpu -- python bench.py",
    ),
    "bench": Verb(
        "bench",
        "Try a suite of tasks with one profile or several.",
        "bench suites/terminal -m claude-code -i 3 --workers 4",
    ),
    "clean": Verb("clean", "Free the disk that runs and benches hold.", "clean --killed"),
    "agents": Verb("agents", "Say which agents can be used, and what the others lack.", "agents claude --check"),
    "report": Verb("report", "Report on a run or a bench.", "report import-time --open"),
    "demo": Verb("demo", "Try what autoloop promises on a shipped example.", "demo"),
    "hud": Verb("hud", "Show a run or a bench as a live page, and as WebSocket messages.", "hud import-time --open"),
}
"""The verbs in the order of the help."""


class _Commands(MutableMapping[str, Any]):
    """The commands by their verbs, each made by typer when it is first asked for."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, verb: str) -> Any:
        if verb not in self._made:
            function = getattr(import_module(f"autoloop.cli.{VERBS[verb].module}"), verb)
            alone = typer.Typer(add_completion=False, rich_markup_mode=None)
            alone.command(verb, epilog=f"Example: autoloop {VERBS[verb].example}")(function)
            self._made[verb] = typer.main.get_command(alone)
        return self._made[verb]

    def __setitem__(self, verb: str, command: Any) -> None:
        self._made[verb] = command

    def __delitem__(self, verb: str) -> None:
        del self._made[verb]

    def __iter__(self) -> Iterator[str]:
        return iter(VERBS)

    def __len__(self) -> int:
        return len(VERBS)


class _LazyGroup(TyperGroup):
    """A group whose commands are imported one by one."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Commands()

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the verbs by their sentences, and import none."""
        outlines = {verb: TyperCommand(verb, help=known.sentence) for verb, known in VERBS.items()}
        TyperGroup(name="", commands=dict(outlines)).format_commands(ctx, formatter)


app = typer.Typer(
    name="autoloop",
    cls=_LazyGroup,
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
