"""Classes that a short name or a path `package.module:Class` stands for: built-in ones and the user's own."""

from collections.abc import Mapping
from importlib import import_module

from autoloop.config.fields import quoted
from autoloop.errors import AutoloopError

DOTTED = "package.module:Class"


def load_class(name: str, built_in: Mapping[str, str], *, kind: str, signature: str, written: str = DOTTED) -> type:
    """The class behind a name: a short one of `built_in`, or a dotted path; it has the method of `signature`.

    `kind` says in messages what it is that cannot be used, `written` how its path is written there.
    """
    module, _, attribute = built_in.get(name, name).partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise AutoloopError(
            f"{kind} {quoted(name)} cannot be imported: {error}",
            f"Write it as {written}, and install it where autoloop is installed, or name its directory in PYTHONPATH.",
        ) from error
    if not isinstance(found, type) or not callable(getattr(found, signature.partition("(")[0], None)):
        raise AutoloopError(f"{kind} {quoted(name)} is not a class with a method {signature}")
    return found
