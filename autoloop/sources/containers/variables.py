"""`$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+other}` in texts of task files."""

import re
from collections.abc import Iterable, Mapping

_BRACED = re.compile(r"\\\$|\$\{(?P<name>\w+)(?::(?P<kind>[-+])(?P<word>[^}]*))?\}")
_ANY = re.compile(_BRACED.pattern + r"|\$(?P<bare>[A-Za-z_]\w*)")


def fill(text: str, values: Mapping[str, str]) -> str:
    """`${NAME}` filled in; what has neither a value nor a default is empty."""
    return _BRACED.sub(lambda match: _value(match, values), text)


def fill_bare(text: str, values: Mapping[str, str]) -> str:
    """The same, and `$NAME` without braces, as in a Dockerfile."""
    return _ANY.sub(lambda match: _value(match, values), text)


def missing(texts: Iterable[str], values: Mapping[str, str]) -> list[str]:
    """The names of `${NAME}` that have neither a value nor a default."""
    found = (match for text in texts for match in _BRACED.finditer(text))
    return sorted({match["name"] for match in found if match["name"] and not match["kind"]} - set(values))


def _value(match: re.Match[str], values: Mapping[str, str]) -> str:
    groups = match.groupdict()
    name = groups["name"] or groups.get("bare")
    if name is None:
        return "$"
    value = values.get(name, "")
    match groups["kind"]:
        case "-":
            return value or groups["word"]
        case "+":
            return groups["word"] if value else ""
    return value
