"""Tokens that a session used, by what they cost."""

from autoloop.core.model import Frozen


class Usage(Frozen):
    """Tokens of one session. The four do not overlap."""

    input: int = 0
    """Read anew."""
    output: int = 0
    """Written, reasoning included."""
    cache_read: int = 0
    cache_write: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.input + self.output + self.cache_read + self.cache_write

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            input=self.input + other.input,
            output=self.output + other.output,
            cache_read=self.cache_read + other.cache_read,
            cache_write=self.cache_write + other.cache_write,
        )
