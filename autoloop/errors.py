"""What a user can fix.

    AutoloopError      one line that says what is wrong and where, and a hint: the next thing to try

The edges print it without a traceback and exit with 2. Any other exception is a bug of ours and
shows its traceback. A failed experiment is never an exception: it is a decision with a reason.
"""


class AutoloopError(Exception):
    """Something the user can fix. `hint` names the next thing to try."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message
