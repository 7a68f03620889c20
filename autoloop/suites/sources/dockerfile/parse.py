"""A Dockerfile, instruction by instruction. What each means is said elsewhere.

`$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+other}`: what of them is filled in depends on the file.

The directory that a Dockerfile copies from, with what its .dockerignore leaves out.
"""

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from autoloop.config.fields import quoted
from autoloop.core.globs import matches
from autoloop.core.suite.tasks import Placed
from autoloop.errors import AutoloopError
from autoloop.suites.sources.contents import files_below

_DIRECTIVE = re.compile(r"#\s*(\w+)\s*=\s*(\S+)\s*$")
_FLAG = re.compile(r"--([\w-]+)(?:=(\S+))?\s+")
_HERE = re.compile(r"<<-?\s*[\"']?[A-Za-z_]\w*")


@dataclass(frozen=True)
class Instruction:
    """One instruction; `line` is where it begins."""

    line: int
    word: str
    """The instruction's name in capitals."""
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
        """The words of an instruction, in either form."""
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


@dataclass(frozen=True)
class BuildContext:
    """The directory that a Dockerfile copies from: the `environment/` directory of a task."""

    root: Path
    """The suite's directory."""
    directory: Path
    ignored: tuple[str, ...] = field(default=())
    """The lines of its .dockerignore."""

    def find(self, name: str, source: str) -> list[Path]:
        """What a name or glob of COPY stands for; an AutoloopError when there is no such file."""
        path = name.lstrip("/").removeprefix("./")
        if ".." in Path(path).parts:
            raise AutoloopError(f"{source}: {quoted(name)} leads out of {self.directory.name}/")
        exact = self.directory / path
        found = [exact] if exact.exists() else sorted(self.directory.glob(path))
        kept = [path for path in found if path.is_dir() or not self._is_ignored(path)]
        if not kept:
            raise AutoloopError(f"{source}: there is no {quoted(name)} in {self.directory}")
        return kept

    def placed(self, path: Path, target: str) -> list[Placed]:
        """The file, or a directory's content, at its target."""
        if not path.is_dir() or not self.ignored:
            return [Placed(source=self._named(path), target=target)]
        return [
            Placed(source=self._named(file), target=f"{target.rstrip('/')}/{file.relative_to(path)}")
            for file in files_below(path)
            if not self._is_ignored(file)
        ]

    def _named(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _is_ignored(self, path: Path) -> bool:
        """The last line that covers a path decides."""
        name, ignored = path.relative_to(self.directory).as_posix(), False
        for line in self.ignored:
            if matches(name, [line.removeprefix("!")]):
                ignored = not line.startswith("!")
        return ignored


def context_of(root: Path, directory: Path) -> BuildContext:
    """The context of a task, with its .dockerignore if it has one."""
    file = directory / ".dockerignore"
    lines = file.read_text(errors="replace").splitlines() if file.is_file() else []
    kept = (line.strip() for line in lines)
    return BuildContext(root, directory, tuple(line for line in kept if line and not line.startswith("#")))
