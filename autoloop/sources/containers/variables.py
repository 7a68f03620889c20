"""`$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+other}`: what of them is filled in depends on the file."""

import re
from collections.abc import Iterable, Mapping

_WHOLE = re.compile(r"\$\{(?P<name>[^{}:]+)(?::-(?P<word>.*))?\}")
_ANY = re.compile(r"\\\$|\$\{(?P<name>\w+)(?::(?P<kind>[-+])(?P<word>[^}]*))?\}|\$(?P<bare>[A-Za-z_]\w*)")


def fill(text: str, values: Mapping[str, str]) -> str:
    """A value of `task.toml`: filled in where the whole of it is `${NAME}` or `${NAME:-default}`, else as it stands."""
    found = _WHOLE.fullmatch(text)
    return text if found is None else values.get(found["name"], found["word"] or "")


def fill_bare(text: str, values: Mapping[str, str]) -> str:
    """Every variable in a line of a Dockerfile; what has neither a value nor a default is empty."""
    return _ANY.sub(lambda match: _value(match, values), text)


def missing(texts: Iterable[str], values: Mapping[str, str]) -> list[str]:
    """The names of values that are `${NAME}`, where nothing is known of it."""
    found = (match for text in texts if (match := _WHOLE.fullmatch(text)))
    return sorted({match["name"] for match in found if match["word"] is None} - set(values))


def _value(match: re.Match[str], values: Mapping[str, str]) -> str:
    groups = match.groupdict()
    name = groups["name"] or groups["bare"]
    if name is None:
        return "$"
    value = values.get(name, "")
    match groups["kind"]:
        case "-":
            return value or groups["word"]
        case "+":
            return groups["word"] if value else ""
    return value
