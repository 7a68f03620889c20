"""Reading documents in pieces, so that a long one need not fit into memory."""

from collections.abc import Iterator
from pathlib import Path

from wordindex.settings import READ_BYTES


def documents(directory: Path) -> list[Path]:
    """The documents, in the order of their numbers."""
    return sorted(directory.iterdir())


def pieces(document: Path) -> Iterator[str]:
    """The text of a document; every piece ends at white space, so that no word is cut in two."""
    rest = b""
    with document.open("rb", buffering=0) as file:
        while read := file.read(READ_BYTES):
            whole, space, rest = (rest + read).rpartition(b" ")
            if space:
                yield whole.decode()
    yield rest.decode()
