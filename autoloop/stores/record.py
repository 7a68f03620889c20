"""The record of how a run was started: `run.json`. Apart, so that a look at a run need not know models."""

from autoloop.core.model import Frozen
from autoloop.core.program import Program
from autoloop.ports import Tier
from autoloop.profiles import Profile
from autoloop.stores.directory import FORMAT


class RunRecord(Frozen):
    """`run.json`: everything the run depends on, as it was when it began."""

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
