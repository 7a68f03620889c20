"""What models cost, by name. A model that is not listed has no known cost: then token limits guard."""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from autoloop.core.model import Frozen
from autoloop.core.session import Usage

_DATE = re.compile(r"(-latest|[-@]\d{8}|-\d{4}-\d{2}-\d{2})$")


class Price(Frozen):
    """The price of a model's tokens, in US dollars for a million."""

    input: float
    output: float
    cache_read: float | None = None
    """The price of tokens read from a cache; that of input where none is given."""
    cache_write: float | None = None

    def of(self, usage: Usage) -> float:
        """The price of this usage in US dollars."""
        read = self.input if self.cache_read is None else self.cache_read
        write = self.input if self.cache_write is None else self.cache_write
        parts = (
            usage.input * self.input,
            usage.output * self.output,
            usage.cache_read * read,
            usage.cache_write * write,
        )
        return sum(parts) / 1e6


def price_of(model: str, own: Mapping[str, Price]) -> Price | None:
    """The price of a model: the user's, else the shipped one.

    Services add dates and prefixes to names: `anthropic/claude-sonnet-4-5-20250929` is `claude-sonnet-4-5`.
    """
    names = (model, model.rpartition("/")[2])
    found = (table.get(name) for table in (own, shipped()) for name in (*names, *(_DATE.sub("", one) for one in names)))
    return next((price for price in found if price is not None), None)


@cache
def shipped() -> dict[str, Price]:
    """The table that comes with autoloop; its first lines say of when it is."""
    values = tomllib.loads(files("autoloop").joinpath("agents/prices.toml").read_text())
    return {name: Price.model_validate(price) for name, price in values["models"].items()}
