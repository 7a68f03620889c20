"""The repository's `.env`: variables that stand in for those which the environment lacks."""

import re
from collections.abc import Mapping
from pathlib import Path

from autoloop.errors import AutoloopError


def variables(root: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment, and under it the repository's `.env`."""
    path = root / ".env"
    if not path.is_file():  # often a directory with a virtual environment
        return dict(environ)
    try:
        text = path.read_text("utf-8-sig", "replace")
    except OSError as error:
        raise AutoloopError(f"cannot read .env: {error.strerror}", "Make it readable, or move it away.") from error
    return {**parse(text), **environ}


_DOTENV = re.compile(
    r"""^[ \t]*(?:export[ \t]+)?([A-Za-z_]\w*)[ \t]*=[ \t]*
        (?: '([^']*)'[ \t]*(?:\#.*)?$ | "((?:[^"\\]|\\.)*)"[ \t]*(?:\#.*)?$ | (.*)$ )""",
    re.MULTILINE | re.VERBOSE,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def parse(text: str) -> dict[str, str]:
    """`KEY=VALUE` lines with quotes, `export` and comments. What is none is passed over: the file has other readers."""
    found = {}
    for match in _DOTENV.finditer(text.replace("\r\n", "\n")):
        name, single, double, bare = match.groups()
        if single is not None:
            found[name] = single
        elif double is not None:
            found[name] = re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), double, flags=re.DOTALL)
        else:
            found[name] = re.split(r"(?:^|\s)#", bare)[0].strip()
    return found
