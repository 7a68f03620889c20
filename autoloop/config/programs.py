"""Finding and loading a program. It reads the checkout as it is, uncommitted edits included.

Everything that a person can get wrong in a program's files is refused here, in one line, before
anything is started.
"""

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from pydantic import BaseModel

from autoloop.config.fields import Values, did_you_mean, quoted, read_values, refuse_unknown, validated
from autoloop.core.globs import escaped
from autoloop.core.run.measurement import HOLDOUT, HOLDOUT_DATA, MEASURE
from autoloop.core.run.program import Criteria, Limits, Measuring, Program, Scope, Tuning, contradictions
from autoloop.errors import AutoloopError

PLACES = ("programs", ".autoloop/programs", ".autoauto/programs")
"""Where programs are looked for, in this order."""
SCRIPTS = (MEASURE, "prepare.sh", "services.sh", "build.sh", "checks.sh", "screen.sh", HOLDOUT)
_PARTS: tuple[type[BaseModel], ...] = (Criteria, Scope, Measuring, Limits, Tuning)
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")

Part = TypeVar("Part", bound=BaseModel)


@dataclass(frozen=True)
class FieldNote:
    """The description of one field of `config.toml`, for people."""

    name: str
    default: str
    """As it would stand in the file; `required`, or `none`."""
    allowed: str


def find_program(root: Path, slug_or_path: str, start: Path | None = None) -> Path:
    """The directory of a program, by its slug or by a path from where the user stands.

    Nearer places come first: those of `start`, when that lies inside the repository, then those of
    the directories above it up to the root. A path comes last, so that a slug always means the same.
    """
    is_slug = "/" not in slug_or_path and slug_or_path not in ("", ".", "..")
    by_slug = [place / slug_or_path for place in _places(root, start)] if is_slug else []
    by_path = [base / Path(slug_or_path).expanduser() for base in (start or root, root)]
    for path in (*filter(Path.is_dir, by_slug), *filter(_is_program, by_path)):
        return path
    known = list_programs(root, start)
    found = f"Found: {', '.join(known)}." if known else "There is none yet."
    raise AutoloopError(
        f"there is no program {quoted(slug_or_path)} here{did_you_mean(slug_or_path, known)}",
        f"{found} `autoloop init {slug_or_path if is_slug else 'NAME'}` writes a new one.",
    )


def list_programs(root: Path, start: Path | None = None) -> list[str]:
    """The slugs of all programs that can be found, in the order of the search."""
    found = (
        directory.name
        for place in _places(root, start)
        if place.is_dir()
        for directory in sorted(place.iterdir())
        if _is_program(directory)
    )
    return list(dict.fromkeys(found))


def load_program(root: Path, directory: Path, tracked: Callable[[str], bool] | None = None) -> Program:
    """The program in a directory, checked; `tracked` says whether git has a path (from the root)."""
    inside = _inside(root, directory)
    shown = inside[0] if inside else str(directory.absolute())
    source = f"{shown}/{_config(directory, shown)}"
    values = read_values(directory / Path(source).name, source)
    refuse_unknown(values, (name for part in _PARTS for name in part.model_fields), source)
    program = Program(
        slug=_slug(directory, shown),
        directory=shown,
        text=_text(directory / "program.md", f"{shown}/program.md"),
        scripts=_scripts(directory, shown),
        criteria=_part(Criteria, values, source),
        scope=_protecting(_part(Scope, values, source), inside),
        measuring=_part(Measuring, values, source),
        limits=_part(Limits, values, source),
        tuning=_part(Tuning, values, source),
    )
    for problem in contradictions(program):
        raise AutoloopError(f"{source}: {problem}")
    for path in holdout_parts(program, inside):
        _require_private(root, path, source, tracked)
    return program


def holdout_parts(program: Program, places: Iterable[str]) -> list[str]:
    """What only `holdout.sh` may see: itself and its data in these places of the program, and `holdout_paths`."""
    own = [f"{place}/{name}" for place in places for name in (HOLDOUT, HOLDOUT_DATA)]
    return [*(own if program.has(HOLDOUT) else []), *program.measuring.holdout_paths]


def _require_private(root: Path, path: str, source: str, tracked: Callable[[str], bool] | None) -> None:
    named = root / Path(path).expanduser()
    real = named.parent.resolve() / named.name
    if not os.path.lexists(real):
        if path.endswith(f"/{HOLDOUT_DATA}"):
            return
        raise AutoloopError(f'{source}: holdout_paths has "{path}", which does not exist', "Name where the data lies.")
    below = os.path.relpath(real, root.resolve())
    if tracked and below.split("/")[0] != ".." and tracked(below):
        option = " -r" if real.is_dir() else ""
        raise AutoloopError(
            f"{below} is tracked by git, so an agent can read it",
            f"Take the holdout out of git: `git rm{option} --cached {below}`, then commit.",
        )


def hints(program: Program) -> list[str]:
    """Warnings of what the program lacks that does not stop a run, one sentence each."""
    empty = not program.text.strip()
    return [f"{program.directory}/program.md should say what the agent is to achieve."] if empty else []


def field_table() -> list[FieldNote]:
    """Every field of a program's config, in the order of the parts."""
    return [
        FieldNote(name, _default(part, name), info.description or "")
        for part in _PARTS
        for name, info in part.model_fields.items()
    ]


def _default(part: type[BaseModel], name: str) -> str:
    info = part.model_fields[name]
    if info.is_required():
        return "required"
    return "none" if info.default is None else quoted(info.default)


def _places(root: Path, start: Path | None) -> list[Path]:
    levels = [root]
    if start is not None and start != root and start.is_relative_to(root):
        between = start.relative_to(root).parts
        levels = [root.joinpath(*between[:depth]) for depth in range(len(between), -1, -1)]
    return [level / place for level in levels for place in PLACES]


def _is_program(directory: Path) -> bool:
    return any((directory / name).is_file() for name in ("config.toml", "config.json", MEASURE))


def _inside(root: Path, directory: Path) -> list[str]:
    """The directory's paths from the repository's root, with links resolved and not; none when it lies outside."""
    found = []
    for path, base in ((directory.absolute(), root.absolute()), (directory.resolve(), root.resolve())):
        if path.is_relative_to(base):
            found.append(path.relative_to(base).as_posix())
    if "." in found:
        raise AutoloopError(
            "the repository's root cannot be a program: its directory is protected, so all would be",
            "Move its files to programs/<name>/.",
        )
    return list(dict.fromkeys(found))


def _slug(directory: Path, shown: str) -> str:
    name = directory.resolve().name if directory.name in ("", "..") else directory.name
    if not _SLUG.fullmatch(name) or name.endswith(".lock"):
        raise AutoloopError(
            f"{shown}: {quoted(name)} cannot name a program; allowed: letters, digits, - and _",
            "The name becomes part of a branch: rename the directory.",
        )
    return name


def _config(directory: Path, shown: str) -> str:
    match [name for name in ("config.toml", "config.json") if (directory / name).is_file()]:
        case [name]:
            return name
        case []:
            raise AutoloopError(
                f"{shown}/config.toml is missing" if directory.is_dir() else f"{shown} is not a directory",
                "It needs metric_field and direction; `autoloop init` writes an example.",
            )
    raise AutoloopError(
        f"{shown} holds both config.toml and config.json",
        f"Delete the one that is out of date: `rm {shown}/config.json`, or the other.",
    )


def _part(part: type[Part], values: Values, source: str) -> Part:
    mine = {name: value for name, value in values.items() if name in part.model_fields}
    return validated(part, mine, source)


def _protecting(scope: Scope, directories: list[str]) -> Scope:
    """The scope with the program's own directory protected and its paths spelled plainly."""
    protected = (*scope.protected, *(f"{escaped(path)}/**" for path in directories))
    return scope.model_copy(
        update={
            "protected": tuple(dict.fromkeys(protected)),
            "cache_paths": _plain(scope.cache_paths),
            "share_paths": _plain(scope.share_paths),
            "sparse": _plain(scope.sparse),
        }
    )


def _plain(paths: tuple[str, ...]) -> tuple[str, ...]:
    """Paths without a leading `./` and a trailing slash: `./node_modules/` as `node_modules`."""
    return tuple(str(PurePosixPath(path)) for path in paths)


def _text(file: Path, shown: str) -> str:
    try:
        return file.read_text(encoding="utf-8-sig", errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise AutoloopError(f"{shown}: cannot be read: {error.strerror}") from error


def _scripts(directory: Path, shown: str) -> tuple[str, ...]:
    found = tuple(name for name in SCRIPTS if (directory / name).is_file())
    if MEASURE not in found:
        raise AutoloopError(
            f"{shown}/{MEASURE} is missing",
            'It prints the metrics as one JSON line, such as {"latency_ms": 12.3}; see measure.sh.example.',
        )
    for name in found:
        if b"\r\n" in _head(directory / name, f"{shown}/{name}"):
            raise AutoloopError(
                f"{shown}/{name} has Windows line endings, which bash cannot run",
                f"Convert it: `sed -i 's/\\r$//' {shown}/{name}`.",
            )
    return found


def _head(file: Path, shown: str) -> bytes:
    try:
        with file.open("rb") as script:
            return script.read(4096)
    except OSError as error:
        raise AutoloopError(f"{shown}: cannot be read: {error.strerror}") from error
