"""A user's sign-in for a session in a sandbox: a copy in its private home, kept equal to the user's own both ways.

Refresh tokens are good for one use, so whoever renews one must be heard by the other at once. A bound file will not
do: Codex renews its by renaming another onto it, which a mount refuses (rename(2): EBUSY), and the token is spent. A
bound directory will not do either: what is put beside the sign-in (settings, hooks, instructions, memories) would act
on the user's own sessions later, and carry from one experiment to the next.
"""

import json
import os
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_LARGEST = 1 << 20
_PAUSE = 0.5
"""Seconds between two looks."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


@dataclass
class BorrowedSignIn:
    """One file of the user's, and its copy. A session can put anything in its place, so no link is followed."""

    own: Path
    home: Path
    """The private home."""
    place: Path
    """The path of the copy, from the private home."""
    agreed: bytes | None = None
    """The content that both held last; None when there is no copy."""
    looked: float = 0.0
    folder: int = -1
    """An open descriptor of the copy's directory."""

    def rescue(self) -> None:
        """Bring home a token that a session renewed which was killed before anybody looked."""
        folder = _folder(self.home, self.place)
        if folder is None:
            return
        try:
            own, copy = _read(self.own), _read(self.place.name, folder)
            if own and copy and own != copy and _age(self.place.name, folder) > _age(self.own):
                _write(copy, self.own)
        finally:
            os.close(folder)

    def copy_in(self) -> None:
        """Make the copy, in a home that nobody else has written to."""
        self.agreed = _read(self.own)
        if self.agreed is None:
            return
        (self.home / self.place).parent.mkdir(parents=True, exist_ok=True)
        self.folder = os.open((self.home / self.place).parent, _FOLDER)
        _write(self.agreed, self.place.name, self.folder)

    def look(self, *, at_once: bool = False) -> None:
        """Bring a change of one side to the other; the session's goes first, since nobody else has its token."""
        if self.agreed is None or (time.monotonic() - self.looked < _PAUSE and not at_once):
            return
        own, copy = _read(self.own), _read(self.place.name, self.folder)
        if copy is not None and copy != self.agreed:
            self.agreed = copy if _write(copy, self.own) else self.agreed
        elif own is not None and own != self.agreed:
            self.agreed = own if _write(own, self.place.name, self.folder) else self.agreed
        self.looked = time.monotonic()

    def take_back(self) -> None:
        """A last look; no copy stays behind."""
        if self.agreed is None:
            return
        try:
            self.look(at_once=True)
            with suppress(OSError):
                os.unlink(self.place.name, dir_fd=self.folder)
        finally:
            os.close(self.folder)
            self.agreed = None


def _folder(home: Path, place: Path) -> int | None:
    """The directory of a file below a home, reached without following a link; None where there is none."""
    here = None
    for name in (str(home), *place.parts[:-1]):
        try:
            below = os.open(name, _FOLDER, dir_fd=here)
        except OSError:
            return None
        finally:
            if here is not None:
                os.close(here)
        here = below
    return here


def _read(path: Path | str, folder: int | None = None) -> bytes | None:
    """The text of a JSON object; None for anything else, so that nothing broken is ever brought home."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError:
        return None
    with open(file, "rb") as opened:
        try:
            found = opened.read(_LARGEST)
            return found if isinstance(json.loads(found), dict) else None
        except (OSError, ValueError, RecursionError):
            return None


def _write(data: bytes, path: Path | str, folder: int | None = None) -> bool:
    """Replace a file at once, readable by its user alone; whether that worked."""
    partial = f"{path}.{secrets.token_hex(4)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        with open(os.open(partial, flags, 0o600, dir_fd=folder), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        with suppress(OSError):
            os.unlink(partial, dir_fd=folder)
        return False
    return True


def _age(path: Path | str, folder: int | None = None) -> int:
    return os.stat(path, dir_fd=folder, follow_symlinks=False).st_mtime_ns
