"""A user's settings, read strictly into a model: one clear line when something does not fit.

It names the file, the field, what was found and what is allowed. Nothing is converted: `"3"` is no
number, `true` is not 1, NaN is refused. It refuses to know which files there are.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from autoloop.errors import AutoloopError

Model = TypeVar("Model", bound=BaseModel)
Values = dict[str, Any]

_LONGEST_FOUND = 60
_KINDS = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "string_too_short": "text that is not empty",
    "greater_than": "a number above {gt:g}",
    "greater_than_equal": "a number from {ge:g}",
    "less_than": "a number below {lt:g}",
    "less_than_equal": "a number up to {le:g}",
    "literal_error": "{expected}",
    "enum": "{expected}",
}


def read_values(file: Path, source: str) -> Values:
    """The fields of a TOML or JSON file, by its suffix; `source` names it in messages."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise AutoloopError(f"{source}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise AutoloopError(f"{source}: is not UTF-8 text (byte {error.start})") from error
    try:
        values = tomllib.loads(text) if file.suffix == ".toml" else _json_values(text)
    except RecursionError as error:
        raise AutoloopError(f"{source}: is nested too deeply") from error
    except ValueError as error:
        raise AutoloopError(f"{source}: {error}") from error
    return values


def validated(model: type[Model], values: Mapping[str, Any], source: str) -> Model:
    """The model that these values make; an AutoloopError for the first that does not fit."""
    try:
        return model.model_validate_json(json.dumps(values, default=str), strict=True)
    except ValidationError as error:
        raise AutoloopError(f"{source}: {_problem(model, values, error.errors()[0])}") from error


def refuse_unknown(values: Mapping[str, Any], known: Iterable[str], source: str) -> None:
    """An AutoloopError when a field is not among the known ones."""
    allowed = sorted(known)
    for name in values:
        if name not in allowed:
            raise AutoloopError(
                f"{source}: unknown field {quoted(name)}{did_you_mean(name, allowed)}",
                f"The fields are {', '.join(allowed)}.",
            )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean "repeats"?`, or nothing when no known word is near."""
    near = get_close_matches(word, list(known), n=1)
    return f"; did you mean {quoted(near[0])}?" if near else ""


def quoted(value: object) -> str:
    """A value as the user's file would have it, clipped to a few words."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_FOUND else text[: _LONGEST_FOUND - 1] + "…"


def _json_values(text: str) -> Values:
    found = json.loads(text, object_pairs_hook=_without_repeats)
    if not isinstance(found, dict):
        raise ValueError(f"holds {quoted(found)}; allowed: one object with the fields")
    return found


def _without_repeats(pairs: list[tuple[str, Any]]) -> Values:
    values: Values = {}
    for name, value in pairs:
        if name in values:
            raise ValueError(f"the field {quoted(name)} stands twice")
        values[name] = value
    return values


def _problem(model: type[BaseModel], values: Mapping[str, Any], error: ErrorDetails) -> str:
    where = _present(error["loc"], values)
    path = _path(where)
    match error["type"]:
        case "missing":
            return f"{_path(error['loc'])} is missing; needed: {_allowed(model, error)}"
        case "extra_forbidden":
            return _unknown_nested(model, error["loc"])
        case "value_error":
            return f"{path}: {error['ctx']['error']}"
        case "too_short":
            return f"{path} is empty; allowed: {_allowed(model, error)}"
    return f"{path} is {quoted(_at(where, values))}; allowed: {_allowed(model, error)}"


def _present(location: tuple[int | str, ...], values: Any) -> tuple[int | str, ...]:
    """The part of a location that the user's values have; what follows names a branch of a union."""
    for length, step in enumerate(location):
        try:
            values = values[step]
        except (LookupError, TypeError):
            return location[:length]
    return location


def _at(location: tuple[int | str, ...], values: Any) -> Any:
    for step in location:
        values = values[step]
    return values


def _path(location: tuple[int | str, ...]) -> str:
    """A location as people write it: `quality_gates.errors.max`, `knobs[0].low`."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return "".join(steps).removeprefix(".")


def _allowed(model: type[BaseModel], error: ErrorDetails) -> str:
    """The field's own note; for a field inside it, what the type says."""
    location = error["loc"]
    field = model.model_fields.get(str(location[0]))
    nested = any(isinstance(step, str) for step in location[1:])
    if field and field.description and not nested:
        return field.description
    if error["type"] == "missing":
        return f"one for each entry: {field.description}" if field and field.description else "a value"
    if "choices" in location:
        return "text, a number, true or false"
    return _KINDS.get(error["type"], error["msg"]).format(**error.get("ctx", {})).replace("'", '"')


def _unknown_nested(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    name, table = str(location[-1]), _path(location[:-1])
    if name in model.model_fields:
        return f"{name} stands inside the table {table}; move it above the first [table] of the file"
    field = model.model_fields.get(str(location[0]))
    allowed = f"; allowed: {field.description}" if field and field.description else ""
    return f"unknown field {quoted(name)} in {table}{allowed}" if table else f"unknown field {quoted(name)}"
