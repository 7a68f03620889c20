"""Text inside Markdown: whatever is not ours says what it says, and neither links, mentions nor formats anything."""

import re

from autoloop.core.notes import visible

_MARKS = re.compile(r"([\\`*\[\]<>|~]|(?<!\w)_|_(?!\w))")
"""An underscore within a word marks nothing."""
_LINKS = re.compile(r"(?i)(:(?=//)|www(?=\.)|[@#](?=\w))")
_JOINER = "\N{WORD JOINER}"


class Ready(str):
    """Markdown of our own."""

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
