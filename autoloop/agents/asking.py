"""Whether a model answers, before a night depends on it: one question, of which one token is waited for.

Only the built-in agents are asked, because their calls are ours. A client is looked at without a call: see `probing`.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autoloop.agents.chat.agent import ChatAgent
from autoloop.agents.chat.service import CutShort, ServiceFailed, interruptible
from autoloop.agents.making import bare_agent
from autoloop.agents.redaction import Redaction
from autoloop.core.session import SessionFailure
from autoloop.profiles import Profile

_KEYS = {"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY"}
_PASSING = (SessionFailure.RATE_LIMITED, SessionFailure.OVERLOADED)


@dataclass(frozen=True)
class Asked:
    """What came of the question."""

    seconds: float
    problem: str = ""
    """Why there was no answer."""
    remedy: str = ""
    passes: bool = False
    """Whether the problem is one that a bench waits for: the service is there, and short of breath."""


def ask(profile: Profile, root: Path, environ: Mapping[str, str], patience: float) -> Asked | None:
    """Ask the model of a profile for a token; None where that is not ours to do. Never takes longer than `patience`."""
    agent = bare_agent(profile, root, environ)
    if not isinstance(agent, ChatAgent):
        return None
    began = time.monotonic()
    service = agent.connect(patience)
    try:
        interruptible(service.sign_of_life, lambda: time.monotonic() - began >= patience, service.close)
    except CutShort:
        return _silent(began, patience)
    except ServiceFailed as failed:
        if failed.failure is SessionFailure.IDLE:
            return _silent(began, patience)
        passes = failed.failure in _PASSING or failed.retry_at is not None
        detail = " ".join(Redaction(agent.secrets)(failed.detail).split())
        return Asked(time.monotonic() - began, detail, _remedy(failed.failure, profile), passes)
    finally:
        service.close()
    return Asked(time.monotonic() - began)


def _silent(began: float, patience: float) -> Asked:
    remedy = "See whether it still loads the model, then try again; or begin without asking, with --no-preflight."
    return Asked(time.monotonic() - began, f"no token came within {patience:g} s", remedy)


def _remedy(failure: SessionFailure, profile: Profile) -> str:
    match failure:
        case SessionFailure.NOT_SIGNED_IN:
            key = _KEYS.get(profile.agent)
            return f"Mend {key} in the environment or in .env." if key else "Mend what signs its calls."
        case SessionFailure.OUT_OF_QUOTA:
            return "Add credit, or name another model."
        case SessionFailure.UNREACHABLE:
            return "Mend the model's name or the service's address."
        case _:
            return f"Mend the profile; `autoloop agents {profile.name} --check` tries it alone."
