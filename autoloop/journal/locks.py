"""Locks on files: who holds one, and holding one. A lock dies with its process, so there is no stale one."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
def locked(path: Path, refusal: Exception | None = None, patience: float = 1.0) -> Iterator[None]:
    """Hold a lock; raise `refusal` where another process has it for longer than `patience`, in seconds.

    Without a refusal it is waited for as long as it takes.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=patience if refusal else -1)
    try:
        lock.acquire()
    except Timeout:
        if refusal is None:
            raise
        raise refusal from None
    try:
        yield
    finally:
        lock.release()
