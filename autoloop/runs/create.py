"""Creating a run: its directory, its seal, its record and the first line of its journal.

Whatever is wrong is refused with one clear line, and nothing stays behind.
"""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from autoloop.agents.profiles import Profile
from autoloop.config.places import versions
from autoloop.config.prompts import Prompt, prompt
from autoloop.core.run.events import RunStarted
from autoloop.core.run.packet import SLOTS, slots
from autoloop.core.run.program import Program
from autoloop.core.run.replay import after
from autoloop.core.run.state import RunState
from autoloop.errors import AutoloopError
from autoloop.git.command import refs_git
from autoloop.git.git_trees import GitTrees
from autoloop.git.repository import Repository, tree_of
from autoloop.measure.seal import seal
from autoloop.ports import Tier
from autoloop.runs.calibrations import Calibrations
from autoloop.runs.confine import tree_options
from autoloop.runs.context import RunContext
from autoloop.runs.directory import RunDirectory
from autoloop.runs.find import RUNS, all_runs, is_alive
from autoloop.runs.record import FileJournal, RunRecord, read_record, write_record


def create_run(
    context: RunContext,
    program: Program,
    source: Path,
    profile: Profile,
    fallback: Profile | None = None,
    *,
    seed: int | None,
    sandbox: Tier,
) -> RunDirectory:
    """Make the run's directory, seal the program, and write the journal's first line."""
    repository = context.repository
    refuse_second_run(repository.root, program.slug)
    directory = _new_directory(repository.root, program.slug)
    directory.path.mkdir(parents=True)
    try:
        _ignore_runs(repository)
        digests = seal(source, directory.sealed)
        if seed is None:
            # A remembered calibration speaks for the seeds that it was taken with.
            known = Calibrations(context.cache, program, digests, tree_of(repository, repository.head)).recall(
                time.time()
            )
            seed = known.seed if known else secrets.randbits(31)
        record = RunRecord(
            run_id=directory.run_id,
            program=program,
            profile=profile,
            fallback=fallback,
            sandbox=sandbox,
            seal=digests,
            prompt_sha256=_copy_prompt(repository.root, profile, directory).sha256,
            seed=seed,
            start=repository.head,
            branch=f"autoloop/{program.slug}/{directory.run_id}",
            versions=versions(),
        )
        _begin_journal(directory, record)
        # The record comes last: with it the directory is a run.
        write_record(directory, record)
    except BaseException:
        _remove(directory)
        raise
    return directory


def _copy_prompt(root: Path, profile: Profile, directory: RunDirectory) -> Prompt:
    """The prompt of this run, kept with it: a resume tells its agents the same, whatever became of the file."""
    chosen = prompt(profile.prompt or "experiment", root)
    missing = SLOTS ^ slots(chosen.text)
    if missing:
        raise AutoloopError(
            f"the prompt {profile.prompt} has other slots than a packet: {', '.join(sorted(missing))}",
            "Begin with a copy of system_prompts/experiment.md; a dollar sign is written $$.",
        )
    directory.prompt.write_text(chosen.text)
    return chosen


def _begin_journal(directory: RunDirectory, record: RunRecord) -> None:
    event = RunStarted(
        at=time.time(),
        run_id=record.run_id,
        program=record.program.slug,
        seed=record.seed,
        start=record.start,
        branch=record.branch,
    )
    with closing(FileJournal(directory.journal)) as journal:
        journal.append(event, after(RunState(record.program.criteria), event))


def refuse_second_run(root: Path, slug: str) -> None:
    """Two runs of one program at a time would disturb each other's measurements."""
    for run in all_runs(root, slug):
        if is_alive(run):
            raise AutoloopError(
                f"run {run.run_id} of {slug} is already running",
                f"Watch it with `autoloop status {run.run_id}`, end it with `autoloop stop {run.run_id}`.",
            )


def unfinished_run(root: Path, slug: str) -> RunDirectory | None:
    """The newest run of a program whose journal has no end: it was killed."""
    return next((run for run in reversed(all_runs(root, slug)) if not has_ended(run) and not is_alive(run)), None)


def has_ended(run: RunDirectory) -> bool:
    """Whether the journal has an end; without one the run was killed, or is running."""
    lines = run.journal.read_bytes()[-4000:].splitlines() if run.journal.exists() else []
    return bool(lines) and b'"kind":"run_stopped"' in lines[-1]


def trees_of(context: RunContext, record: RunRecord) -> GitTrees:
    """The trees of a run, in the user's cache directory."""
    home = home_of(record.run_id, context.cache)
    return GitTrees(
        context.repository, home, record.run_id, record.branch, tree_options(record.program, record.sandbox)
    )


def home_of(run_id: str, cache: Path) -> Path:
    """The directory of a run's trees; everything in it can be made again."""
    return cache / run_id


def discard_run(directory: RunDirectory, trees: GitTrees) -> None:
    """Undo the creation of a run in which nothing has happened."""
    trees.forget(pins=True)
    refs_git(trees.repository.common_dir)("update-ref", "-d", f"refs/heads/{read_record(directory).branch}")
    _remove(directory)


def _remove(directory: RunDirectory) -> None:
    """Remove a run's directory, and those above it that it leaves empty."""
    shutil.rmtree(directory.path, ignore_errors=True)
    with suppress(OSError):
        for above in directory.path.parents[:2]:
            above.rmdir()


def _new_directory(root: Path, slug: str) -> RunDirectory:
    """A directory whose name sorts by the time it was made, to the millisecond."""
    now = time.time()
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
    milliseconds = int(now * 1000) % 1000
    return RunDirectory(root / RUNS / slug / f"{stamp}-{milliseconds:03d}{secrets.token_hex(1)}")


def _ignore_runs(repository: Repository) -> None:
    """Keep `.autoloop/runs` out of the user's `git status`, without touching a file of theirs."""
    exclude = repository.common_dir / "info" / "exclude"
    text = exclude.read_text(errors="surrogateescape") if exclude.exists() else ""
    line = f"/{RUNS}/"
    if line not in text.splitlines():
        exclude.parent.mkdir(exist_ok=True)
        with exclude.open("a") as file:
            file.write(("" if text.endswith("\n") or not text else "\n") + line + "\n")


@dataclass(frozen=True)
class RunOptions:
    """The options of a run that a person chose, beyond the program."""

    profile: str | None = None
    limits: Mapping[str, int | float] | None = None
    rule: str | None = None
    seed: int | None = None
