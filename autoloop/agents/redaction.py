"""Secrets in what agents say and do: replaced before anything is written or shown."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

HIDDEN = "[redacted]"
_KEYS = re.compile(
    r"\b(sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|AKIA[0-9A-Z]{16}|xox[a-z]-[A-Za-z0-9-]{10,}"
    r"|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,})"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
"""Keys of well-known services, tokens in the form of a JWT, and private keys."""
_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS?)$")
_SHORTEST = 8
"""Characters: shorter values stand in ordinary texts as well."""
_LONG = 24
"""Characters from which a text in a file of secrets is one: the others are names."""


class Redaction:
    """Replaces known secrets in texts, and whatever looks like one."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        words = {word for word in secrets if len(word) >= _SHORTEST}
        self._known = re.compile("|".join(map(re.escape, sorted(words, key=len, reverse=True)))) if words else None

    def __call__(self, text: str) -> str:
        """The text with every secret replaced."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        return _KEYS.sub(HIDDEN, text)


def secrets_of(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The values of variables whose names say that they are secret."""
    return tuple(value for name, value in environ.items() if _SECRET_NAME.search(name.upper()))


def secrets_in(file: Path) -> tuple[str, ...]:
    """The long texts in a JSON file of secrets; none when there is no such file."""
    try:
        return tuple(text for text in _texts(json.loads(file.read_bytes())) if len(text) >= _LONG)
    except (OSError, ValueError, RecursionError):
        return ()


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)
