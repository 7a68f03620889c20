"""What a command says: passed on as it comes, and remembered in bounded memory."""

import fcntl
import os
import struct
import termios
from collections.abc import Callable
from typing import IO, BinaryIO

CHUNK = 1 << 16


class Stream:
    """One stream of a command: passed on as it arrives, its head and its tail remembered."""

    def __init__(
        self, pipe: IO[bytes], keep: int, on_chunk: Callable[[bytes], object] | None, log: BinaryIO | None
    ) -> None:
        self.fd = pipe.fileno()
        self.listeners = [listener for listener in (log and log.write, on_chunk) if listener]
        self.head, self.tail, self.total = bytearray(), bytearray(), 0
        self.tail_size = keep // 2
        self.head_size = keep - self.tail_size

    def take(self, size: int) -> bool:
        """Read once. False at the end of the stream."""
        chunk = os.read(self.fd, size)
        self._remember(chunk)
        for listener in self.listeners:
            if chunk:
                listener(chunk)
        return bool(chunk)

    def drain(self) -> None:
        """Read what is in the pipe, and no more: somebody beyond our rights may still be writing to it."""
        (left,) = struct.unpack("i", fcntl.ioctl(self.fd, termios.FIONREAD, b"\0\0\0\0"))
        while left > 0 and self.take(min(left, CHUNK)):
            left -= CHUNK

    def _remember(self, chunk: bytes) -> None:
        self.total += len(chunk)
        room = self.head_size - len(self.head)
        if room > 0:
            self.head += chunk[:room]
            chunk = chunk[room:]
        self.tail += chunk
        if len(self.tail) > self.tail_size + 4 * CHUNK:  # seldom, so that it costs little
            del self.tail[: len(self.tail) - self.tail_size]

    def text(self) -> str:
        """All of it when it fits; else both ends, and how much is missing between them."""
        left_out = self.total - len(self.head) - min(len(self.tail), self.tail_size)
        if left_out <= 0:
            return (self.head + self.tail).decode(errors="replace")
        cut = f"\n… {left_out} bytes left out …\n".encode()  # lines of its own: a cut line is not a line
        return (self.head + cut + self.tail[len(self.tail) - self.tail_size :]).decode(errors="replace")
