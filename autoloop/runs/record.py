"""The record of a run: `run.json`, how it was started, and its journal as events.

Apart from the directory, so that a look at a run need not load models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from autoloop.agents.profiles import Profile
from autoloop.core.model import Frozen
from autoloop.core.run.events import RUN_EVENTS, Event
from autoloop.core.run.program import Program
from autoloop.core.run.replay import replay
from autoloop.core.run.state import RunState
from autoloop.core.run.summary import Summary, summarise
from autoloop.errors import AutoloopError
from autoloop.journal.files import write_atomically
from autoloop.journal.journal import JournalFile, read_lines
from autoloop.ports import Tier
from autoloop.runs.directory import FORMAT, RunDirectory


class RunRecord(Frozen):
    """The content of `run.json`: everything that the run depends on, as it was when it began."""

    format: int = FORMAT
    run_id: str
    program: Program
    profile: Profile
    fallback: Profile | None = None
    """The profile that takes over when the agent is out of reach."""
    sandbox: Tier
    """The tier in force."""
    seal: dict[str, str]
    """Digest of each sealed file, by its path in `sealed/`."""
    prompt_sha256: str
    seed: int
    start: str
    branch: str
    versions: dict[str, str]


def read_record(directory: RunDirectory) -> RunRecord:
    """Read `run.json`; AutoloopError when it is missing, damaged or from a newer version."""
    path = directory.path / "run.json"
    directory.refuse_newer()
    try:
        return RunRecord.model_validate_json(path.read_text())
    except FileNotFoundError:
        raise AutoloopError(f"{path} is missing, so this is not a run", "See `autoloop status`.") from None
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise AutoloopError(f"{path} is damaged: {reason}", "Restore it, or start a new run.") from None


def write_record(directory: RunDirectory, record: RunRecord) -> None:
    """Save `run.json` when a run is created; it never changes after."""
    write_atomically(directory.path / "run.json", record.model_dump_json(indent=2) + "\n", durable=True)


class FileJournal(JournalFile[Event, RunState]):
    """The journal of the run that this process holds."""

    def __init__(self, path: Path, on_append: Callable[[Event, RunState, int], None] | None = None) -> None:
        super().__init__(path, RUN_EVENTS, on_append)


def read_events(path: Path) -> Iterator[Event]:
    """The events of a run's journal, streamed; a torn last line is left out."""
    return read_lines(path, RUN_EVENTS)


def replayed(directory: RunDirectory) -> RunState:
    """The state of a run, from its whole journal."""
    return replay(read_events(directory.journal), RunState(read_record(directory).program.criteria))


def summary_of(directory: RunDirectory) -> Summary:
    """The summary of a run, from its whole journal."""
    record = read_record(directory)
    return summarise(replayed(directory), record.program.limits, phase="unknown", sandbox=record.sandbox)
