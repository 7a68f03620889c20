"""One agent session from prompt to exit: how it ended, and what it cost in dollars and tokens."""

from enum import StrEnum

from autoloop.core.model import Frozen


class SessionFailure(StrEnum):
    """How a session can go wrong. What it changed still decides, unless the agent is out of reach."""

    NOT_INSTALLED = "not_installed"
    NOT_SIGNED_IN = "not_signed_in"
    OUT_OF_QUOTA = "out_of_quota"
    """The quota or the credit of the account is used up."""
    UNREACHABLE = "unreachable"
    """Its service does not answer, or it could not be started for another reason."""
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    REFUSED = "refused"
    """The model or its service would not do what was asked."""
    CONTEXT_TOO_LONG = "context_too_long"
    TIMEOUT = "timeout"
    IDLE = "idle"
    TURNS = "turns"
    BUDGET = "budget"
    MALFORMED = "malformed"
    """Its service answered with what is no answer."""
    EXITED = "exited"
    CANCELLED = "cancelled"

    @property
    def out_of_reach(self) -> bool:
        """Whether the next session would fail the same: the run stops, and no experiment is spent."""
        return self in _OUT_OF_REACH

    @property
    def passes(self) -> bool:
        """Whether the failure may go away by waiting, as a rate limit does."""
        return self in _PASSES


_OUT_OF_REACH = {
    SessionFailure.NOT_INSTALLED,
    SessionFailure.NOT_SIGNED_IN,
    SessionFailure.OUT_OF_QUOTA,
    SessionFailure.UNREACHABLE,
}
_PASSES = {SessionFailure.RATE_LIMITED, SessionFailure.OVERLOADED, SessionFailure.UNREACHABLE}


class Usage(Frozen):
    """Tokens of one session by what they cost. The four counts do not overlap."""

    input: int = 0
    """Input tokens that were read anew, not from a cache."""
    output: int = 0
    """Tokens that the model wrote, reasoning included."""
    cache_read: int = 0
    cache_write: int = 0

    @property
    def total(self) -> int:
        """All tokens of the session, cached ones included."""
        return self.input + self.output + self.cache_read + self.cache_write

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            input=self.input + other.input,
            output=self.output + other.output,
            cache_read=self.cache_read + other.cache_read,
            cache_write=self.cache_write + other.cache_write,
        )


class Session(Frozen):
    """How one agent session went. An unknown cost is None, never 0."""

    seconds: float
    failure: SessionFailure | None = None
    detail: str = ""
    cost_usd: float | None = None
    tokens: int | None = None
    """Input and output, cached input included."""
    usage: Usage | None = None
    """The tokens by what they cost, where the agent tells."""
    turns: int | None = None
    """Answers of the model."""
    model: str = ""
    """The model that answered, as its service names it."""
    profile: str = ""
    """The profile that took over, when the first one was out of reach."""
    retry_at: float | None = None
    """Unix seconds when a limit is said to be over."""
    text: str = ""
    """The end of what it said, where the notes block is looked for; clipped."""
    parameters: dict[str, str | int | float | bool] = {}
    """What a searching agent set, so that its history can be read back from the journal."""
