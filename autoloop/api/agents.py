"""The agents at hand."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autoloop.agents.probing import Found
    from autoloop.core.session import Session
    from autoloop.ports import OnProgress


@dataclass(frozen=True)
class Checked:
    """One tiny real session."""

    profile: str
    done: bool
    """Whether the errand was done."""
    session: Session
    sandbox: str


def agents_at_hand(path: Path, name: str | None = None, *, environ: Mapping[str, str] = os.environ) -> list[Found]:
    """Every profile, or the named one, with what was found of its agent and what to do where something is missing.

    Asks no model.
    """
    from autoloop.agents.probing import probe
    from autoloop.api.looking import root_of
    from autoloop.errors import AutoloopError
    from autoloop.profiles import choose, load_settings, user_config
    from autoloop.trying import survey

    try:
        root = root_of(path)
    except AutoloopError:
        root = path.resolve()
    settings = load_settings(root, environ, user_config(environ))
    return [probe(choose(settings, name), root, environ)] if name else survey(settings, root, environ)


def check_agent(
    path: Path, name: str | None, *, on_progress: OnProgress, environ: Mapping[str, str] = os.environ
) -> Checked:
    """Have one agent do a tiny errand, in the sandbox that a run would have."""
    from autoloop.confining import sandbox_for
    from autoloop.creation import cache_directory
    from autoloop.profiles import choose, load_settings, user_config
    from autoloop.repository import find
    from autoloop.trying import errand_program, first_usable, one_session

    repository = find(path)
    root = repository.root
    settings = load_settings(root, environ, user_config(environ))
    if name is None and settings.default_profile is None:
        profile, _ = first_usable(settings, root, environ, has_knobs=False)
    else:
        profile = choose(settings, name)
    choice = sandbox_for(settings.sandbox, repository, errand_program(), cache_directory(environ), environ)
    session, done = one_session(profile, root, environ, choice.sandbox, on_progress)
    return Checked(profile.name, done, session, choice.sandbox.tier)
