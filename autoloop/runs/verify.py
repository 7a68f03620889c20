"""Verifying a run: its original measured against its head once more."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from autoloop.core.run.events import Verified
from autoloop.errors import AutoloopError
from autoloop.runs.context import RunContext
from autoloop.runs.find import find_run
from autoloop.runs.record import read_events, read_record, replayed
from autoloop.runs.resume import resume_run

if TYPE_CHECKING:
    from autoloop.core.run.verdict import Verification
    from autoloop.host.signals import Signals
    from autoloop.ports import OnProgress


def verify(
    path: Path,
    name: str | None = None,
    *,
    pairs: int | None = None,
    signals: Signals,
    on_progress: OnProgress,
    environ: Mapping[str, str] = os.environ,
) -> Verification:
    """Measure a run's original against its head afresh, in pairs: the headline gain, kept in the journal."""
    context = RunContext.at(path, environ, on_progress, signals)
    directory = find_run(context.root, name)
    record = read_record(directory)
    before = replayed(directory)
    if not before.totals.kept:
        raise AutoloopError(f"run {directory.run_id} kept nothing, so there is nothing to verify")
    wanted = pairs or record.program.criteria.max_pairs
    resume_run(context, directory, work=lambda loop: loop.verify(wanted))
    # Not the state's, which keeps the most precise one of the head: what was asked for now is what is told.
    new = islice(read_events(directory.journal), before.events, None)
    verified = [event.verification for event in new if isinstance(event, Verified)]
    if not verified:
        raise AutoloopError("the verification was cut short", f"Run it again: `autoloop verify {directory.run_id}`.")
    return verified[-1]
