"""The verbs of the command line in one table. A verb's file is imported once the verb is typed, or its help."""

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from autoloop.cli import options

VERBS = {
    "init": ("look", "init import-time"),
    "validate": ("validate", "validate import-time --runs 10"),
    "run": ("run", "run import-time --max-hours 8 --detach"),
    "status": ("look", "status import-time --json"),
    "results": ("look", "results | cut -f 1,3,4,7"),
    "show": ("show", "show 7"),
    "ideas": ("look", "ideas import-time"),
    "packet": ("look", "packet import-time | less"),
    "guide": ("steer", 'guide "Leave the parser alone; look at the cache."'),
    "stop": ("steer", "stop import-time"),
    "limit": ("steer", "limit 100 --max-hours 12"),
    "verify": ("verify", "verify import-time"),
    "compare": ("compare", "compare main HEAD -- python bench.py"),
    "audit": ("compare", "audit main..feature --measure cpu -- python bench.py"),
    "bench": ("bench", "bench suites/terminal -m claude-code -i 3 --workers 4"),
    "clean": ("clean", "clean --killed"),
    "agents": ("agents", "agents claude --check"),
    "report": ("report", "report import-time --open"),
    "demo": ("demo", "demo"),
    "hud": ("hud", "hud import-time --open"),
}
"""Each verb in the order of the help, with the file of this room that defines it and the example below its help."""


class _Commands(MutableMapping[str, Any]):
    """The commands by their verbs, each made by typer when it is first asked for."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, verb: str) -> Any:
        if verb not in self._made:
            module, example = VERBS[verb]
            alone = typer.Typer(add_completion=False, rich_markup_mode=None)
            alone.command(verb, epilog=f"Example: autoloop {example}")(
                getattr(import_module(f"autoloop.cli.{module}"), verb)
            )
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
