"""The command line: parse, one call of `api`, render. What a user can fix is one line and a hint, never a traceback."""

import gc
import sys

DONE, BUG, FIXABLE, NOTHING_KEPT, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes. Wrong usage is FIXABLE too."""


def main() -> None:
    """The entry point `autoloop`."""
    gc.disable()  # until a verb begins: what is imported is no garbage, and looking for some takes 10 ms
    from autoloop.cli.app import app, narrow
    from autoloop.cli.render import complain
    from autoloop.errors import AutoloopError

    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character of somebody's commit message is no reason to stop.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    narrow(sys.argv[1:])
    try:
        app(prog_name="autoloop")
    except AutoloopError as error:
        complain(error.message, error.hint)
        sys.exit(FIXABLE)
    except Exception:
        complain("this is a bug of autoloop, not of yours", "Nothing of a run is lost: `autoloop run SLUG --resume`.")
        raise
