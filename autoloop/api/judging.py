"""Measuring what was kept, or any two revisions."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from autoloop.api.looking import replayed
from autoloop.errors import AutoloopError
from autoloop.stores.runs import find_run

if TYPE_CHECKING:
    from autoloop.arena import Compared, CompareOptions
    from autoloop.auditing import Audit, OnCommit
    from autoloop.core.verdict import Verification
    from autoloop.ports import OnProgress
    from autoloop.steering import Signals


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
    from itertools import islice

    from autoloop.carrying import carry_on
    from autoloop.core.events import Verified
    from autoloop.repository import find
    from autoloop.stores.journal import read_events

    repository = find(path)
    directory = find_run(repository.root, name)
    record = directory.read_record()
    before = replayed(directory)
    if not before.totals.kept:
        raise AutoloopError(f"run {directory.run_id} kept nothing, so there is nothing to verify")
    wanted = pairs or record.program.criteria.max_pairs
    carry_on(
        repository,
        directory,
        environ=environ,
        signals=signals,
        on_progress=on_progress,
        work=lambda loop: loop.verify(wanted),
    )
    # Not the state's, which keeps the most precise one of the head: what was asked for now is what is told.
    new = islice(read_events(directory.journal), before.events, None)
    verified = [event.verification for event in new if isinstance(event, Verified)]
    if not verified:
        raise AutoloopError("the verification was cut short", f"Run it again: `autoloop verify {directory.run_id}`.")
    return verified[-1]


def compare(
    path: Path,
    a: str,
    b: str,
    command: Sequence[str],
    options: CompareOptions,
    *,
    signals: Signals,
    on_progress: OnProgress,
    environ: Mapping[str, str] = os.environ,
) -> Compared:
    """Whether revision `b` is better than `a`, worse, or noise. One word of `command` is a line for the shell."""
    from autoloop import comparing
    from autoloop.repository import find

    return comparing.compare(
        find(path),
        a,
        b,
        tuple(command),
        options,
        environ=environ,
        on_progress=on_progress,
        cancelled=lambda: signals.stop,
    )


def audit(
    path: Path,
    span: str,
    command: Sequence[str],
    options: CompareOptions,
    *,
    signals: Signals,
    on_progress: OnProgress,
    on_commit: OnCommit = lambda number, of, found: None,
    environ: Mapping[str, str] = os.environ,
) -> Audit:
    """Which commits of `BASE..BRANCH` are real, each against its parent, and what they are together."""
    from autoloop import auditing
    from autoloop.repository import find

    return auditing.audit(
        find(path),
        span,
        tuple(command),
        options,
        environ=environ,
        on_progress=on_progress,
        on_commit=on_commit,
        cancelled=lambda: signals.stop,
    )
