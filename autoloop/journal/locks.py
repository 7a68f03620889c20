"""Locks on files: who holds one, and holding one. A lock dies with its process, so there is no stale one."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autoloop.errors import AutoloopError


def is_held(lock: Path) -> bool:
    """Whether a process holds a lock."""
    try:
        with lock.open("rb") as file:
            # A shared request collides with the holder alone, not with others who look.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


@contextmanager
def locked(path: Path, held_by_another: str, hint: str) -> Iterator[None]:
    """Hold a lock; AutoloopError with these words where another process has it for longer than a second."""
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=1)
    try:
        lock.acquire()
    except Timeout:
        raise AutoloopError(held_by_another, hint) from None
    try:
        yield
    finally:
        lock.release()
