"""Path globs from the repository's root, as `editable` and `protected` use them."""

import re
from collections.abc import Iterable
from functools import cache


def matches(path: str, patterns: Iterable[str]) -> bool:
    """Whether any pattern covers the path.

    `*` and `?` stay inside one part, `**` crosses parts, `[ab]` is a set. A pattern that names a
    directory covers it and everything below it: `src` is `src/**`.
    """
    return any(_compiled(pattern).fullmatch(path) for pattern in patterns)


def escaped(path: str) -> str:
    """The pattern that covers this path and nothing else, whatever characters it has."""
    return re.sub(r"([*?[])", r"[\1]", path)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    pattern = pattern.removeprefix("./").strip("/")
    while pattern.endswith("/**"):
        pattern = pattern.removesuffix("/**")
    return re.compile(_translated(pattern) + "(?:/.*)?", re.DOTALL)


def _translated(pattern: str) -> str:
    tokens = re.findall(r"\*\*/|\*\*|\*|\?|\[[^]/]+\]|.", pattern, re.DOTALL)
    return "".join(map(_token, tokens))


def _token(token: str) -> str:
    match token:
        case "**/":
            return "(?:.*/)?"
        case "**":
            return ".*"
        case "*":
            return "[^/]*"
        case "?":
            return "[^/]"
    return _set(token[1:-1]) if len(token) > 1 else re.escape(token)


def _set(body: str) -> str:
    """A bracket expression as a regular expression; it never matches `/`. An invalid one is taken literally."""
    negated = len(body) > 1 and body[0] in "!^"
    inner = re.sub(r"([\\[\]^&|~])", r"\\\1", body[negated:])
    found = f"(?!/)[{'^' * negated}{inner}]"
    try:
        re.compile(found)
    except re.error:
        return re.escape(f"[{body}]")
    return found
