"""Writing a first program from what the repository holds. Nothing that exists is overwritten."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from autoloop.config.repo_survey import ScaffoldPlan, survey
from autoloop.core.run.measurement import MEASURE
from autoloop.errors import AutoloopError
from autoloop.git.repository import find

_TEMPLATES = Path(__file__).resolve().parent / "scaffolds"
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_UNKNOWN = "sh -c 'echo put your command into COMMAND of measure.sh >&2; exit 1'"


@dataclass(frozen=True)
class Scaffold:
    """The files that `init` wrote, and what the user should know."""

    slug: str
    directory: Path
    written: tuple[str, ...]
    """Paths from the repository's root."""
    notes: tuple[str, ...]
    """One sentence each; the last is the next command."""


def init(path: Path, slug: str | None = None) -> Scaffold:
    """Write a first program from what the repository around a path holds."""
    return write_scaffold(find(path).root, slug)


def write_scaffold(root: Path, slug: str | None = None) -> Scaffold:
    """Write `programs/<slug>/`, made for this repository. A file that is there already is left alone."""
    plan = survey(root)
    name = slug or plan.slug
    if not _SLUG.fullmatch(name):
        raise AutoloopError(
            f"{name!r} cannot name a program", "Use letters, digits, - and _, such as `autoloop init import-time`."
        )
    directory = root / "programs" / name
    present = [file for file in ("config.toml", "config.json", MEASURE) if (directory / file).exists()]
    if present:
        raise AutoloopError(
            f"programs/{name} exists already, with {present[0]}",
            f"Check it: `autoloop validate {name}`. Another one: `autoloop init NAME`.",
        )
    written = _write(directory, _files(plan, name))
    return Scaffold(
        slug=name,
        directory=directory,
        written=tuple(f"programs/{name}/{file}" for file in written),
        notes=(*plan.notes, f"Look it over, then check it: `autoloop validate {name}`."),
    )


def _files(plan: ScaffoldPlan, slug: str) -> dict[str, str]:
    slots = {
        "SLUG": slug,
        "DIRECTORY": f"programs/{slug}",
        "WHAT": plan.what,
        "METRIC": plan.metric,
        "SETUP": plan.setup,
        "COMMAND": plan.command or _UNKNOWN,
        "RUNS": str(plan.runs),
        "PYTHON": plan.python,
        "TIMEOUT": str(plan.timeout),
        "EDITABLE": json.dumps(plan.editable),
        "PROTECTED": json.dumps(plan.protected),
        "CACHE_PATHS": json.dumps(plan.cache_paths),
        "SHARE_PATHS": json.dumps(plan.share_paths),
    }
    templates = {name: (_TEMPLATES / name).read_text() for name in ("program.md", "config.toml", MEASURE)}
    return {name: _filled(text, slots) for name, text in templates.items()} | plan.scripts


def _filled(template: str, slots: dict[str, str]) -> str:
    """The template with every `@SLOT@` filled; bash needs the `$` for itself."""
    return re.sub(r"@([A-Z_]+)@", lambda slot: slots[slot[1]], template)


def _write(directory: Path, files: dict[str, str]) -> list[str]:
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in files.items():
        try:
            with (directory / name).open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            continue
        if name.endswith(".sh"):
            (directory / name).chmod(0o755)
        written.append(name)
    return written
