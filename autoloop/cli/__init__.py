"""The command line: parse, one call of `api`, render. What a user can fix is one line and a hint, never a traceback.

One file a verb, or a few that belong together:
- `app`: the table of the verbs, each with its file, which is imported when the verb is typed
- `run`, `validate`, `verify`, `bench`, `compare` (with `audit`), `clean`, `show`, `demo`, `hud`, `report`, `agents`
- `look`: the bare command, `init`, `status`, `results`, `ideas`, `packet`
- `steer`: `guide`, `limit`, `stop`

What they share:
- `status`: what is printed of a run and its benches, loading no typer
- `options`: arguments and options, each described once
- `bench_options`: those of `bench`
- `render`: tables, JSON, colours, exit codes
- `live`: a line for each finished experiment, and a live line
- `watch`: the live table
- `notify`: `--notify`
"""

import io
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autoloop.cli.render import DONE, FIXABLE, complain
from autoloop.cli.status import print_status
from autoloop.errors import AutoloopError, as_fixable


def main() -> None:
    """The entry point of the command `autoloop`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character of somebody's file name is no reason to stop.
            stream.reconfigure(errors="backslashreplace")
    try:
        _dispatch(sys.argv[1:])
    except AutoloopError as error:
        complain(error.message, error.hint)
        sys.exit(FIXABLE)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(DONE)
    except OSError as error:
        fixable = as_fixable(error)
        if fixable is None:
            _own_up()
            raise
        complain(fixable.message, fixable.hint)
        sys.exit(FIXABLE)
    except Exception:
        _own_up()
        raise


def _own_up() -> None:
    complain("this is a bug of autoloop, not of yours", "Nothing of a run is lost: `autoloop run SLUG --resume`.")


def _dispatch(arguments: Sequence[str]) -> None:
    plain = plain_status(arguments)
    if plain is None:
        from autoloop.cli.app import app

        app(prog_name="autoloop")
    else:
        print_status(plain.path.resolve(), plain.run, plain.json)


@dataclass(frozen=True)
class PlainStatus:
    """The arguments of a plain `status`."""

    path: Path
    run: str | None
    json: bool


def plain_status(arguments: Sequence[str]) -> PlainStatus | None:
    """`[-C REPO] status [RUN] [--json]`, read without typer; None for whatever else was typed.

    `status` is asked again and again, also by scripts. typer reads the same words, at three times the whole cost.
    """
    path, rest = Path(), list(arguments)
    if len(rest) > 1 and rest[0] == "-C":
        path, rest = Path(rest[1]), rest[2:]
    names = [word for word in rest[1:] if word != "--json"]
    if rest[:1] != ["status"] or len(names) > 1 or any(name.startswith("-") for name in names) or not path.is_dir():
        return None
    return PlainStatus(path, names[0] if names else None, "--json" in rest)
