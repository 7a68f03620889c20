"""What a workspace held at the end of each step of a trial, kept beside it, so that each can be verified once more.

The end of the last step is the workspace itself. A copy that is not whole is none: it would be verified as if it were.
"""

import os
from pathlib import Path

from autoloop import process
from autoloop.trees.walk import remove
from autoloop.workspaces.workspace import LASTING, STEPS, Workspace

_LONGEST = 600.0
"""Seconds for one copy."""


def begin(workspace: Workspace) -> None:
    """Say that from here on the steps are kept."""
    (workspace.scratch / STEPS).mkdir()


def keep(workspace: Workspace, number: int) -> None:
    """Copy what there is at the end of a step that has another behind it."""
    kept = at(workspace, number)
    parts = [workspace.tree, *(part for name in LASTING if (part := workspace.scratch / name).is_dir())]
    for part in parts:
        copy = kept.directory / part.relative_to(workspace.directory)
        copy.parent.mkdir(parents=True, exist_ok=True)
        done = process.run(["cp", "-a", part, copy], cwd=workspace.directory, env=dict(os.environ), deadline=_LONGEST)
        if not done.ok:
            remove(bytes(kept.tree))
            return


def at(workspace: Workspace, number: int) -> Workspace:
    """The workspace as it was at the end of a step with another behind it."""
    return Workspace(_place(workspace, number), workspace.workdir, workspace.suite, workspace.rooted)


def begun(workspace: Workspace, steps: int) -> int | None:
    """How many of a task's steps were begun; None where that was not recorded."""
    if steps == 1:
        return 1
    folder = workspace.scratch / STEPS
    return len(os.listdir(folder)) + 1 if folder.is_dir() else None


def _place(workspace: Workspace, number: int) -> Path:
    return workspace.scratch / STEPS / str(number)
