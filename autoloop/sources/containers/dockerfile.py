"""A Dockerfile, instruction by instruction. What each means is said elsewhere."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from autoloop.errors import AutoloopError

_DIRECTIVE = re.compile(r"#\s*(\w+)\s*=\s*(\S+)\s*$")
_FLAG = re.compile(r"--([\w-]+)(?:=(\S+))?\s+")
_HERE = re.compile(r"<<-?\s*[\"']?[A-Za-z_]\w*")


@dataclass(frozen=True)
class Instruction:
    """One instruction; `line` is where it begins."""

    line: int
    word: str
    """In capitals."""
    flags: dict[str, str]
    rest: str
    """What follows the flags, continued lines joined."""

    @property
    def has_here_document(self) -> bool:
        """Whether a part of it follows below. What stands there is not read."""
        return self.word in ("RUN", "COPY", "ADD") and bool(_HERE.search(self.rest))

    def listed(self) -> list[str] | None:
        """The words of the JSON form `["a", "b"]`; None in the other form."""
        try:
            words = json.loads(self.rest) if self.rest.startswith("[") else None
        except ValueError:
            return None
        return words if isinstance(words, list) and all(isinstance(word, str) for word in words) else None

    def words(self, source: str) -> list[str]:
        """The words of either form."""
        try:
            return self.listed() or shlex.split(self.rest)
        except ValueError as error:
            raise AutoloopError(f"{source}:{self.line}: {self.word}: {error}") from error


def instructions(text: str, source: str) -> Iterator[Instruction]:
    """The instructions, one by one, up to and with the first that has a here-document."""
    lines = text.replace("\r\n", "\n").split("\n")
    escape = _escape(lines)
    joined, begun = "", 0
    for number, line in enumerate(lines, 1):
        if line.lstrip().startswith("#") or (joined and not line.strip()):
            continue
        begun = begun if joined else number
        if line.rstrip().endswith(escape):
            joined += line.rstrip()[: -len(escape)] + " "
            continue
        whole, joined = (joined + line).strip(), ""
        if whole:
            found = _instruction(whole, begun, source)
            yield found
            if found.has_here_document:
                return
    if joined.strip():
        yield _instruction(joined.strip(), begun, source)


def _escape(lines: list[str]) -> str:
    """The character that continues a line, which the first lines may change."""
    for line in lines:
        directive = _DIRECTIVE.match(line.strip())
        if not directive:
            break
        if directive[1].lower() == "escape":
            return directive[2]
    return "\\"


def _instruction(text: str, line: int, source: str) -> Instruction:
    word, _, rest = text.partition(" ") if " " in text else text.partition("\t")
    if not word.isalpha():
        raise AutoloopError(f"{source}:{line}: {word!r} is no instruction of a Dockerfile")
    rest, flags = rest.strip(), {}
    while match := _FLAG.match(rest):
        flags[match[1]] = match[2] or ""
        rest = rest[match.end() :]
    return Instruction(line, word.upper(), flags, rest)
