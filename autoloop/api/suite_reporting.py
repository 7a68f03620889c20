"""What the report of a bench is read from: its journal, the episodes beside it, and what failed trials left behind."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoloop.stores.bench_directory import BenchDirectory

if TYPE_CHECKING:
    from autoloop.core.suite.episode import EpisodeRecord
    from autoloop.core.suite.state import BenchState
    from autoloop.core.suite.trial import TrialKey
    from autoloop.report.bounds import Excerpt
    from autoloop.report.suite_material import SuiteMaterial, Traces

TRACED = 400
"""Trials whose traces are read at most."""
_STEPS = 12
_LONGEST_STEP = 300
_LARGEST_TRAJECTORY = 20_000_000
_TEXTS = ("output", "verification", "error")


def suite_material(directory: BenchDirectory, *, traces: bool = True, files: str | None = None) -> SuiteMaterial:
    """Everything that the report of a bench is made of."""
    from autoloop.core.suite.state import replay
    from autoloop.report.suite_material import SuiteMaterial
    from autoloop.stores.bench_journal import read_bench
    from autoloop.stores.runs import is_held

    state = replay(read_bench(directory.journal))
    return SuiteMaterial(
        state=state,
        alive=is_held(directory.lock),
        made_at=time.time(),
        episodes=list(_episodes(directory.shared_episodes)),
        kept=_traces(directory, state) if traces else {},
        files=files,
    )


def _episodes(path: Path) -> Iterator[EpisodeRecord]:
    """The lines that can be read: other tools write there as well, and a kill may tear one."""
    from autoloop.core.suite.episode import EpisodeRecord

    if not path.is_file():
        return
    with path.open("rb") as lines:
        for line in lines:
            try:
                yield EpisodeRecord.model_validate_json(line)
            except ValueError:
                continue


def _traces(directory: BenchDirectory, state: BenchState) -> dict[TrialKey, Traces]:
    from autoloop.report.bounds import room_for
    from autoloop.report.suite_material import Traces, worth_tracing

    assert state.started is not None, "a journal begins with its bench"
    chosen = worth_tracing(state, TRACED)
    most = room_for(len(_TEXTS) * len(chosen), 0).ordinary
    found = {}
    for key in chosen:
        place = directory.trial(key, state.started.plan)
        ends = {
            name: ending_of(place / f"{name}.txt", directory.path, most) for name in ("output", "verification", "error")
        }
        found[key] = Traces(steps=_last_steps(place / "trajectory.json", directory.path), **ends)
    return found


def ending_of(file: Path, root: Path, most: int) -> Excerpt:
    """So many characters from the end of a file below `root`; nothing when it cannot be read or is empty."""
    from autoloop.report.bounds import Excerpt, ending

    try:
        with file.open("rb") as content:
            size = os.fstat(content.fileno()).st_size
            content.seek(max(0, size - most - 1))
            text = content.read(most + 1).decode(errors="replace")
    except OSError:
        return Excerpt()
    return ending(text, most, size, file.relative_to(root).as_posix()) if size else Excerpt()


def _last_steps(file: Path, root: Path) -> Excerpt:
    from autoloop.report.bounds import Excerpt

    try:
        if file.stat().st_size > _LARGEST_TRAJECTORY:
            return Excerpt(path=file.relative_to(root).as_posix(), left_out=file.stat().st_size)
        steps = json.loads(file.read_bytes())["steps"]
        lines = [_step(step) for step in steps[-_STEPS:]]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return Excerpt()
    earlier = f"… {len(steps) - _STEPS} earlier ones\n" if len(steps) > _STEPS else ""
    return Excerpt(earlier + "".join(lines), path=file.relative_to(root).as_posix())


def _step(step: dict[str, Any]) -> str:
    """A step of a trajectory on one line: who, what was said, what was called."""
    from autoloop.core.notes import one_line

    calls = [f"{call['function_name']} {json.dumps(call['arguments'], ensure_ascii=False)}" for call in _calls(step)]
    said = step["message"] if isinstance(step["message"], str) else "[parts]"
    return one_line(" > ".join([f"{step['step_id']} {step['source']}: {said}", *calls]), _LONGEST_STEP) + "\n"


def _calls(step: dict[str, Any]) -> list[dict[str, Any]]:
    return list(step.get("tool_calls") or ())
