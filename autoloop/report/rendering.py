"""Templates: they turn values into pages, and can do nothing else. Whatever an agent wrote comes out as text.

A page needs no network and allows none: style and script stand in it, its policy names the script by its digest,
and nothing of an agent becomes a link. In Markdown, text that is not ours is escaped, so that it neither links,
mentions nor formats anything.
"""

import base64
import functools
import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.resources import files
from itertools import groupby

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from autoloop.core import text
from autoloop.core.run.notes import visible

_KINDS = {"+": "add", "-": "del", "@": "hunk"}
_HEADERS = (
    "diff ",
    "index ",
    "--- ",
    "+++ ",
    "new file",
    "deleted file",
    "similarity ",
    "rename ",
    "old mode",
    "new mode",
)


def page(template: str, **values: object) -> str:
    """An HTML page from a template; values are escaped."""
    script, style = _file("report.js"), _file("report.css")
    return (
        _html()
        .get_template(template)
        .render(policy=_policy(script), script=Markup(script), style=Markup(style), **values)
    )


def markdown(template: str, **values: object) -> str:
    """A text of Markdown from a template; values are escaped unless they are `Ready`."""
    return _text().get_template(template).render(**values)


@functools.cache
def _html() -> Environment:
    environment = _environment(autoescape=True, finalize=_shown)
    environment.filters["diff"] = diff_lines
    return environment


@functools.cache
def _text() -> Environment:
    return _environment(autoescape=False, finalize=plain)


def _environment(**options: object) -> Environment:
    environment = Environment(
        loader=PackageLoader("autoloop.report"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **options,  # type: ignore[arg-type]
    )
    named = (text.number, text.percent, text.signed_percent, text.duration, text.money, text.count, when, thousands)
    environment.filters |= {function.__name__: function for function in named}
    return environment


def thousands(amount: int | None) -> str:
    """A number with groups of three digits, apart by spaces that do not break: `12 345`."""
    return "" if amount is None else f"{amount:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def when(seconds: float) -> str:
    """A moment in UTC, from Unix seconds."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def diff_lines(text: str) -> Iterator[tuple[str, str]]:
    """The lines of a diff, neighbours of one kind together: the kind and the text."""
    for kind, lines in groupby(text.splitlines(keepends=True), _kind):
        yield kind, "".join(lines)


def _kind(line: str) -> str:
    return "head" if line.startswith(_HEADERS) else _KINDS.get(line[:1], "")


def _shown(value: object) -> object:
    """Text in which nothing turns a line around; markup of our own as it is."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _policy(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = {"default-src": "'none'", "script-src": f"'sha256-{digest}'", "style-src": "'unsafe-inline'"}
    closed = dict.fromkeys(("base-uri", "form-action"), "'none'")
    return "; ".join(f"{name} {value}" for name, value in (allowed | closed).items())


@functools.cache
def _file(name: str) -> str:
    return (files("autoloop.report") / "templates" / name).read_text(encoding="utf-8")


_MARKS = re.compile(r"([\\`*\[\]<>|~]|(?<!\w)_|_(?!\w))")
"""An underscore within a word marks nothing."""
_LINKS = re.compile(r"(?i)(:(?=//)|www(?=\.)|[@#](?=\w))")
_JOINER = "\N{WORD JOINER}"


class Ready(str):
    """Markdown that we wrote ourselves and that is not escaped."""

    __slots__ = ()


def plain(value: object) -> object:
    """Anything but our own Markdown as one line of plain text."""
    if isinstance(value, Ready) or not isinstance(value, str):
        return value
    line = " ".join(visible(value).split())
    return _LINKS.sub(rf"\1{_JOINER}", _MARKS.sub(r"\\\1", line).replace("&", "&amp;"))


def code(text: str) -> Ready:
    """A command or a name as code, whatever backticks it holds."""
    line = " ".join(visible(text).split()).replace("|", "\\|")
    longest = max((len(run) for run in re.findall(r"`+", line)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return Ready(f"{fence}{pad}{line}{pad}{fence}")
