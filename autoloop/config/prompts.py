"""The text files that ship with autoloop: prompts, example programs, the example of a measure.sh.

In a checkout they are the live files beside the package, in a wheel the copies inside it.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from autoloop.errors import AutoloopError

_PACKAGE = Path(__file__).resolve().parents[1]
_SUFFIX = ".md"


@dataclass(frozen=True)
class Prompt:
    """A template with slots, and the digest that says which one it was."""

    text: str
    sha256: str


def prompt(name: str, base: Path | None = None) -> Prompt:
    """The shipped prompt of this name, or a file of the user's when it is a path (from `base`)."""
    file = _file(name, base or Path())
    try:
        content = file.read_bytes()
        return Prompt(content.decode(), hashlib.sha256(content).hexdigest())
    except UnicodeDecodeError as error:
        raise AutoloopError(f"the prompt {file} is not UTF-8 text") from error
    except OSError as error:
        known = sorted(path.stem for path in shipped("system_prompts").glob(f"*{_SUFFIX}"))
        raise AutoloopError(
            f"the prompt {name!r} cannot be read from {file}: {error.strerror}",
            f"Name a file, or one that ships: {', '.join(known)}.",
        ) from error


def shipped(name: str) -> Path:
    """A file or directory that ships: `system_prompts`, `programs`, `measure.sh.example`."""
    inside = _PACKAGE / "_shipped" / name
    return inside if inside.exists() else _PACKAGE.parent / name


def _file(name: str, base: Path) -> Path:
    is_path = "/" in name or name.endswith(_SUFFIX)
    return base / Path(name).expanduser() if is_path else shipped("system_prompts") / f"{name}{_SUFFIX}"
