"""What lies below `/logs` of a trial: an agent finds the directories, and what it leaves there lasts.

Only where the reward is read nothing of an agent's stays. No link of its is followed.
"""

from contextlib import suppress
from pathlib import Path

from autoloop.trees.walk import is_real_folder, make_real, open_up, remove

VERIFIER = Path("/logs/verifier")
"""Where the reward is."""
BESIDE = (VERIFIER.with_name("agent"), VERIFIER.with_name("artifacts"))
_TOP = VERIFIER.parent.relative_to("/")
_ALL = [path.relative_to("/") for path in (VERIFIER, *BESIDE)]


def make_logs(ground: Path) -> None:
    """Make the directories in a root, where they are not there."""
    for path in _ALL:
        make_real(bytes(ground), bytes(path))


def clear_verifier(ground: Path) -> None:
    """Remove what stands where a verifier leaves its reward."""
    make_real(bytes(ground), bytes(_TOP))
    open_up(bytes(ground / _TOP))
    remove(bytes(ground / VERIFIER.relative_to("/")))


def remove_empty_logs(ground: Path) -> None:
    """Remove the directories again, as far as nothing is in them."""
    if not is_real_folder(bytes(ground / _TOP)):
        return
    for path in (*_ALL, _TOP):
        with suppress(OSError):
            (ground / path).rmdir()
