"""What a user can fix.

    AutoloopError      one line that says what is wrong and where, and a hint: the next thing to try
      NoRoom           a disk or a quota is full: the same step works once there is room

The edges print it without a traceback and exit with 2. Any other exception is a bug of ours and
shows its traceback. A failed experiment is never an exception: it is a decision with a reason.
"""

import errno

_FULL = {errno.ENOSPC, errno.EDQUOT}
_HINTS = {
    errno.EROFS: "Make it writable again, then resume the run.",
    errno.EACCES: "Make it yours, then resume the run.",
    errno.EPERM: "Make it yours, then resume the run.",
    errno.EIO: "Look at the disk and at the system's log, then resume the run.",
    errno.ESTALE: "Mount the file system again, then resume the run.",
    errno.EFBIG: "Raise the limit on the size of files (`ulimit -f`), then resume the run.",
    errno.EMFILE: "Raise the limit on open files (`ulimit -n`), then resume the run.",
    errno.ENFILE: "The whole system has too many open files; resume the run when it has fewer.",
    errno.EAGAIN: "The limit on processes is reached (`ulimit -u`); resume the run when there are fewer.",
    errno.ENOMEM: "Memory ran out; resume the run when there is some.",
}
"""What a person can do about what the system refuses; anything that is not here is a bug of ours."""


class AutoloopError(Exception):
    """Something the user can fix. `hint` names the next thing to try."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class NoRoom(AutoloopError):
    """A disk or a quota is full."""


def is_full(error: OSError) -> bool:
    """Whether the system refused for want of room."""
    return error.errno in _FULL


def refused(error: OSError, message: str, hint: str = "") -> AutoloopError:
    """What the system refused, in our words."""
    return (NoRoom if is_full(error) else AutoloopError)(message, hint)


def as_fixable(error: AutoloopError | OSError) -> AutoloopError | None:
    """What a person can do something about, also where the system refused what nobody expected; None for a bug."""
    if isinstance(error, AutoloopError):
        return error
    place = f"{error.filename}: " if error.filename else ""
    message = f"{place}{error.strerror or error}"
    if is_full(error):
        return NoRoom(message, "Make room, then resume the run.")
    hint = _HINTS.get(error.errno or 0)
    return AutoloopError(message, hint) if hint else None
