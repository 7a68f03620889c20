"""What is kept of a measurement's standard output: all of it while it is short, then only lines of metrics."""

_WHOLE = 1 << 20
"""Bytes kept as they came; JSON over several lines must fit."""
_LINES = 1 << 20
"""Bytes of metric lines kept beyond that."""


class MetricsOutput:
    """Collects output as it streams by, in bounded memory."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._size = 0
        self._rest = b""
        self._long = False
        self.overflowed = False
        """Whether there were more metric lines than can be kept."""

    def feed(self, chunk: bytes) -> None:
        """Take the next piece."""
        if not self._long and self._size + len(chunk) <= _WHOLE:
            self._keep(chunk)
            return
        if not self._long:
            chunk, self._chunks, self._size, self._long = b"".join([*self._chunks, chunk]), [], 0, True
        self._keep_metrics(chunk)

    def text(self) -> str:
        """What was kept."""
        if _could_be_metric(self._rest):
            self._keep(self._rest)
        self._rest = b""
        return b"".join(self._chunks).decode("utf-8", "replace")

    def _keep_metrics(self, chunk: bytes) -> None:
        chunk = self._rest + chunk
        if b"{" not in chunk and b"METRIC" not in chunk:
            self._rest = chunk[chunk.rfind(b"\n") + 1 :][:_WHOLE]
            return
        *lines, self._rest = chunk.split(b"\n")
        self._rest = self._rest[:_WHOLE]
        for line in filter(_could_be_metric, lines):
            if self._size + len(line) > _LINES:
                self.overflowed = True
                return
            self._keep(line + b"\n")

    def _keep(self, data: bytes) -> None:
        self._chunks.append(data)
        self._size += len(data)


def _could_be_metric(line: bytes) -> bool:
    return line.lstrip()[:6].startswith((b"{", b"METRIC"))
