"""The transcript of a session, written while it runs: recorded, passed on line by line, its closing notes remembered.

Memory stays bounded however much is said; the record on disk ends at `largest` bytes and says so, or where the disk
is full: no session ends for want of its record.
"""

import codecs
import json
import re
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from json.encoder import encode_basestring_ascii
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from autoloop.agents.redaction import Redaction
from autoloop.core.run.notes import one_line
from autoloop.ports import OnProgress, Progress, Task

LARGEST = 16 << 20
"""Bytes that one transcript may take on disk."""
END = 8 << 10
"""Characters of the end that become the session's text."""
LARGEST_NOTES = 20 << 10
_LONGEST_LINE = 1 << 16
_WINDOW = END + LARGEST_NOTES
_SHOWN = 50
"""Lines of one chunk that are passed on as progress: nobody reads faster."""

_TAG = re.compile(r"<(/?)((?:autoauto_)?notes)>", re.IGNORECASE)
_COLOURS = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")


class Transcript:
    """The record of one session: `{"at": seconds, "stream": "stdout", "text": line}`, a line each."""

    def __init__(
        self, task: Task, on_progress: OnProgress, largest: int = LARGEST, secrets: Iterable[str] = ()
    ) -> None:
        self.task = task
        self.largest = largest
        self.on_progress = on_progress
        self.closing = Closing(task.packet)
        self.redacted = Redaction(secrets)
        self.last = {"stdout": "", "stderr": ""}
        self.began = time.monotonic()
        self.size = 0
        task.transcript.parent.mkdir(parents=True, exist_ok=True)
        self.file = Path(task.transcript).open("wb", buffering=0)  # noqa: SIM115 - closed by __exit__
        self.stdout = Lines(lambda lines: self.say("stdout", lines))
        self.stderr = Lines(lambda lines: self.say("stderr", lines))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self.file:
            self.stdout.end()
            self.stderr.end()

    def say(self, stream: str, lines: list[str]) -> None:
        """Take lines as they come."""
        self.record(stream, lines)
        self.tell(stream, lines)

    def tell(self, stream: str, lines: list[str]) -> None:
        """Show lines, and look for notes in them, without recording them: the record has them in another form."""
        lines = [self.redacted(line) for line in lines]
        if stream == "stdout":
            self.closing.take(lines)
        shown = [text for line in lines[-_SHOWN:] if (text := one_line(_COLOURS.sub("", line)))]
        if shown:
            self.last[stream] = shown[-1]
        for text in shown:
            self.on_progress(Progress("agent", self.task.experiment, text))

    def record(self, stream: str, lines: Iterable[str]) -> None:
        """Write lines as they are."""
        if self.size >= self.largest:
            return
        at = round(time.monotonic() - self.began, 3)
        start = f'{{"at": {at}, "stream": "{stream}", "text": '  # by hand: a tenth of json.dumps' time
        entry = "".join(f"{start}{encode_basestring_ascii(self.redacted(line))}}}\n" for line in lines).encode()
        if self.size + len(entry) >= self.largest:
            entry += b'{"at": %.3f, "stream": "autoloop", "text": "too long: the rest is left out"}\n' % at
        if not self._write(entry):
            self.size = self.largest

    def _write(self, entry: bytes) -> bool:
        """Whether the entry is in the record; a part of one is taken back."""
        try:
            if self.file.write(entry) == len(entry):
                self.size += len(entry)
                return True
        except OSError:
            pass
        with suppress(OSError):
            self.file.truncate(self.size)
        return False


class Lines:
    """Turns bytes as they arrive into whole lines; one without an end is cut where it gets too long."""

    def __init__(self, take: Callable[[list[str]], None], longest: int = _LONGEST_LINE) -> None:
        self.take = take
        self.longest = longest
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.rest = ""

    def feed(self, chunk: bytes) -> None:
        """Take some more bytes, and pass on the lines that they complete."""
        *lines, self.rest = (self.rest + self.decoder.decode(chunk)).split("\n")
        if len(self.rest) > self.longest:
            lines.append(self.rest)
            self.rest = ""
        if lines:
            self.take([line.removesuffix("\r") for line in lines])

    def end(self) -> None:
        """Pass on the last line, which has no end."""
        rest = self.rest + self.decoder.decode(b"", final=True)
        if rest:
            self.take([rest])


class Closing:
    """The end of a text that goes by, and the last notes block in it.

    Agents repeat their prompt; a block that stands in the packet as it is counts for nothing.
    """

    def __init__(self, packet: str) -> None:
        self.packet = packet
        self.window = ""
        self.notes = ""

    def take(self, lines: list[str]) -> None:
        """Take the next lines of the text."""
        more = "\n".join(lines) + "\n"
        self.window += more
        if _TAG.search(more):
            own = [block for block in blocks(self.window) if block not in self.packet]
            self.notes = next((block for block in reversed(own) if len(block) <= LARGEST_NOTES), self.notes)
        self.window = self.window[-_WINDOW:]

    def text(self) -> str:
        """The end of the text, with the notes before it when they stand earlier."""
        end = self.window[-END:]
        for block in blocks(end):
            if block in self.packet:
                end = end.replace(block, "")
        return end if not self.notes or self.notes in end else f"{self.notes}\n…\n{end}"


def blocks(text: str) -> list[str]:
    """The notes blocks of a text, from the nearest opening tag to its closing tag."""
    found = []
    opened: re.Match[str] | None = None
    for tag in _TAG.finditer(text):
        if not tag[1]:
            opened = tag
        elif opened and opened[2].lower() == tag[2].lower():
            found.append(text[opened.start() : tag.end()])
            opened = None
    return found


def notes_block(notes: dict[str, Any]) -> str:
    """A notes block as an agent would print it."""
    return f"<notes>{json.dumps(notes, ensure_ascii=False)}</notes>"


def reported(notes: str, name: str) -> float | None:
    """A number from 0 that the JSON of a notes block gives under this name."""
    body = re.sub(r"^```\w*|```$", "", _TAG.sub("", notes).strip(), flags=re.MULTILINE)
    try:
        found = json.loads(body, strict=False)
    except (ValueError, RecursionError):
        return None
    value = found.get(name) if isinstance(found, dict) else None
    return value if isinstance(value, int | float) and type(value) is not bool and 0 <= value < 1e15 else None
