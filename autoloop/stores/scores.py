"""Scores by task, from an earlier bench or from a file."""

import json
from pathlib import Path

from autoloop.core.suite.state import replay
from autoloop.core.suite.summary import metrics_line
from autoloop.errors import AutoloopError
from autoloop.stores.bench_directory import directory_of
from autoloop.stores.bench_journal import read_bench

_WANTED = 'It should be the directory of a bench, or an object such as {"task": 0.5}, alone or as "cases".'


def scores_of(path: Path) -> dict[str, float]:
    """The score of each task, from 0 to 1: of the first arm of a bench, or as a JSON file says."""
    if path.is_dir():
        state = replay(read_bench(directory_of(path).journal))
        assert state.started is not None, "a journal begins with its bench"
        found: object = metrics_line(state, state.started.plan.arms[0].name)["cases"]
    else:
        found = _read(path)
    if isinstance(found, dict) and isinstance(found.get("cases"), dict):
        found = found["cases"]
    if not isinstance(found, dict) or not all(type(score) in (int, float) for score in found.values()):
        raise AutoloopError(f"{path} holds no scores of tasks", _WANTED)
    return found


def _read(path: Path) -> object:
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise AutoloopError(f"{path} cannot be read: {error.strerror}", _WANTED) from None
    except ValueError as error:
        raise AutoloopError(f"{path} is no JSON: {error}", _WANTED) from None
