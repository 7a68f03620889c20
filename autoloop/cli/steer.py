"""`guide`, `stop`, `limit`: wishes that a run reads before its next experiment."""

from collections.abc import Mapping
from pathlib import Path

from autoloop import api
from autoloop.cli.render import say, say_json
from autoloop.core.text import resume_command


def guide(path: Path, text: str, run: str | None, as_json: bool) -> None:
    """Give a run guidance for its next experiments."""
    run_id = api.guide(path, text, run)
    if as_json:
        say_json({"run_id": run_id, "guidance": text.strip()})
    elif text.strip():
        say(f"{run_id}: agents are told so{_from_when(path, run_id)}")
    else:
        say(f"{run_id}: the guidance is withdrawn{_from_when(path, run_id)}")


def stop(path: Path, run: str | None, now: bool, as_json: bool) -> None:
    """Ask a run to stop, now or after its experiment."""
    run_id = api.stop(path, run, now=now)
    if as_json:
        say_json({"run_id": run_id, "stop": "now" if now else "after"})
    else:
        say(f"{run_id}: stops {'at once' if now else 'after the experiment in progress'}")


def limit(path: Path, limits: Mapping[str, int | float], run: str | None, as_json: bool) -> None:
    """Change the limits of a run."""
    run_id = api.limit(path, limits, run)
    if as_json:
        say_json({"run_id": run_id, "limits": dict(limits)})
    else:
        changes = ", ".join(f"{name} = {value:g}" for name, value in limits.items())
        say(f"{run_id}: {changes}{_from_when(path, run_id)}")


def _from_when(path: Path, run_id: str) -> str:
    facts = api.status(path, run_id)
    resume = (
        ""
        if facts["alive"]
        else f"; it is not running, resume it with `{resume_command(facts['program'], facts['run_id'])}`"
    )
    return f" from the next experiment on{resume}"
