"""Knobs in files: find the one value that a pattern names, write another, leave the rest as it is.

It reads and writes files of the agent's tree, and refuses paths outside of it.
"""

import itertools
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from autoloop.core.run.history import Parameter
from autoloop.core.run.program import Knob
from autoloop.errors import AutoloopError

_EXAMPLE = "The pattern is a regular expression in which ^ and $ match at lines, such as '^BLOCK = (\\d+)'."


@dataclass(frozen=True)
class Spot:
    """The place of a knob's value in its file, and the text there."""

    knob: Knob
    start: int
    end: int
    now: str

    @property
    def value(self) -> Parameter | None:
        """The value at the place, of the knob's type; None when the text is no such value."""
        match self.knob.type:
            case "int":
                return _number(int, self.now)
            case "float":
                return _number(float, self.now)
            case "choice":
                same = (choice for choice in self.knob.choices if written(self, choice) == self.now)
                return next(same, None)


def check(knobs: Sequence[Knob], read: Callable[[str], str]) -> None:
    """Refuse knobs that could not be turned. `read` gives the text of a file of the repository."""
    if not knobs:
        raise AutoloopError(
            "the program declares no knobs, and the tuner turns nothing else",
            "Add to config.toml: knobs = [{name, file, pattern, type, low, high}], or choose another agent.",
        )
    for knob in knobs:
        _check_range(knob)
    texts = {knob.file: _text(knob, read) for knob in knobs}
    for knob in knobs:
        _check_round_trip(knob, texts[knob.file])
    locate(knobs, texts)


def locate(knobs: Iterable[Knob], texts: Mapping[str, str]) -> list[Spot]:
    """Where the knobs stand in the texts of their files."""
    spots = [_find(knob, texts[knob.file]) for knob in knobs]
    ordered = sorted(spots, key=lambda spot: (spot.knob.file, spot.start))
    for one, other in itertools.pairwise(ordered):
        if one.knob.file == other.knob.file and other.start < one.end:
            raise AutoloopError(
                f"the knobs {one.knob.name!r} and {other.knob.name!r} stand in the same place of {one.knob.file}"
            )
    return spots


def turned(text: str, spots: Iterable[Spot], values: Mapping[str, Parameter]) -> str:
    """The text of one file with other values at its spots."""
    for spot in sorted(spots, key=lambda spot: -spot.start):
        text = text[: spot.start] + written(spot, values[spot.knob.name]) + text[spot.end :]
    return text


def written(spot: Spot, value: Parameter) -> str:
    """A value as it is written there: a float keeps its point, a truth value the file's way of writing it."""
    if isinstance(value, bool):
        return str(value) if spot.now in ("True", "False") else str(value).lower()
    if isinstance(value, float):
        return _float_text(value)
    return str(value)


def rounded(knob: Knob, value: Parameter) -> Parameter:
    """A float with no more digits than its range can use, and within it."""
    if knob.type != "float" or knob.low is None or knob.high is None:
        return value
    number = float(value)
    decimals = 3 - math.floor(math.log10(knob.high - knob.low))
    number = float(f"{number:.4g}") if knob.log else round(number, decimals)
    return min(max(number, float(knob.low)), float(knob.high))


def _number(kind: type[int] | type[float], text: str) -> int | float | None:
    try:
        return kind(text)
    except ValueError:
        return None


def _text(knob: Knob, read: Callable[[str], str]) -> str:
    try:
        return read(knob.file)
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise AutoloopError(f"knob {knob.name!r}: cannot read {knob.file}: {why}") from error


def _check_range(knob: Knob) -> None:
    if knob.type == "int" and any(bound != int(bound) for bound in _bounds(knob)):
        raise AutoloopError(f"knob {knob.name!r} is an int, so low and high must be whole numbers")
    if len(set(knob.choices)) < len(knob.choices):
        raise AutoloopError(f"knob {knob.name!r} has a choice twice")


def _check_round_trip(knob: Knob, text: str) -> None:
    """A pattern whose group covers only a part of some value would spoil the file."""
    spot = _find(knob, text)
    for value in _extremes(knob):
        after = turned(text, [spot], {knob.name: value})
        try:
            found = _find(knob, after).now
        except AutoloopError:
            found = "nothing"
        if found != written(spot, value):
            raise AutoloopError(
                f"knob {knob.name!r}: once {written(spot, value)!r} is written to {knob.file},"
                f" the pattern {knob.pattern!r} finds {found!r}",
                "Let its group cover every value that the knob can take.",
            )


def _extremes(knob: Knob) -> Sequence[Parameter]:
    match knob.type:
        case "choice":
            return knob.choices
        case "int":
            return [int(bound) for bound in _bounds(knob)]
        case "float":
            low, high = _bounds(knob)
            return [low, high, rounded(knob, low + 0.61803 * (high - low))]


def _bounds(knob: Knob) -> list[float]:
    return [float(bound) for bound in (knob.low, knob.high) if bound is not None]


def _find(knob: Knob, text: str) -> Spot:
    try:
        found = list(re.finditer(knob.pattern, text, re.MULTILINE))
    except re.error as error:
        raise AutoloopError(f"knob {knob.name!r}: the pattern {knob.pattern!r} is wrong: {error}", _EXAMPLE) from None
    where = f"knob {knob.name!r}: the pattern {knob.pattern!r}"
    if len(found) != 1:
        count = f"{len(found)} times" if found else "nowhere"
        raise AutoloopError(f"{where} matches {count} in {knob.file}, and has to match once", _EXAMPLE)
    if not found[0].re.groups or found[0].start(1) < 0:
        raise AutoloopError(f"{where} has no group around the value in {knob.file}", _EXAMPLE)
    return Spot(knob, found[0].start(1), found[0].end(1), found[0][1])


def _float_text(value: float) -> str:
    """Digits as far as that is readable: YAML takes `1e-05` for a text."""
    if value == 0 or 1e-9 <= abs(value) < 1e16:
        text = format(Decimal(repr(value)), "f")
        return text if "." in text else f"{text}.0"
    mantissa, _, exponent = repr(value).partition("e")
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{exponent}"


def inside(tree: Path, path: str) -> Path:
    """Where a path of the tree leads; refused when that is outside, also by way of a symlink."""
    target = (tree / path).resolve()
    if not target.is_relative_to(tree.resolve()):
        raise AutoloopError(f"{path} leads out of the tree")
    return target


def read(tree: Path, path: str) -> str:
    """A file's text with its line ends as they are; bytes that are not UTF-8 survive `write`."""
    target = inside(tree, path)
    if not target.is_file():  # a pipe would block for ever
        raise AutoloopError(f"{path} is not a file" if target.exists() else f"{path} does not exist")
    return target.read_bytes().decode(errors="surrogateescape")


def write(tree: Path, path: str, text: str) -> None:
    """Write a file of the tree, making its folders."""
    target = inside(tree, path)
    if target.exists() and not target.is_file():
        raise AutoloopError(f"{path} is not a file")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(text.encode(errors="surrogateescape"))


def delete(tree: Path, path: str) -> None:
    """Delete a file of the tree; a symlink goes itself, not what it leads to."""
    target = inside(tree, str(Path(path).parent)) / Path(path).name
    if not target.is_symlink() and not target.is_file():
        raise AutoloopError(f"{path} is not a file" if target.exists() else f"{path} does not exist")
    target.unlink()
