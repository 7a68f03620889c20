"""One line that says what an experiment was."""

from autoloop.core.candidate import Candidate
from autoloop.core.notes import Notes


def describe(notes: Notes, candidate: Candidate | None) -> str:
    """The hypothesis of the notes, else a summary of the changed files."""
    if notes.hypothesis:
        return notes.hypothesis
    if candidate is None or not candidate.changes:
        return "no change"
    names = [change.path for change in candidate.changes]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more} (+{candidate.lines_added} -{candidate.lines_removed})"


def commit_message(experiment: int, program: str, notes: Notes) -> str:
    """The message of a candidate's commit."""
    subject = notes.hypothesis or f"experiment {experiment}"
    body = f"\n{notes.why}\n" if notes.why else ""
    return f"{subject}\n{body}\nautoloop {program}, experiment {experiment}\n"
