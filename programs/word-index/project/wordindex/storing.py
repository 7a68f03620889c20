"""Writing the index: lines of text in compressed blocks, each with its length before it."""

import zlib
from pathlib import Path

from wordindex.segments import Entry, Segment
from wordindex.settings import BLOCK_WORDS, COMPRESSION


def store(entries: Segment, index: Path) -> None:
    """Write the entries to a file."""
    with index.open("wb") as file:
        for at in range(0, len(entries), BLOCK_WORDS):
            text = "".join(map(_line, entries[at : at + BLOCK_WORDS]))
            block = zlib.compress(text.encode(), COMPRESSION)
            file.write(len(block).to_bytes(4, "big") + block)


def _line(entry: Entry) -> str:
    stem, postings = entry
    return f"{stem}\t{' '.join(f'{document}:{count}' for document, count in postings)}\n"
